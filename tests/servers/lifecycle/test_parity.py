"""Every stack in a child process, as it is measured: on equal terms, and where it should be."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from loopbench.loadtests.bench.checks import verify
from loopbench.servers.installed import available
from loopbench.servers.lifecycle.parity import (
    PARITY_EXCEPTIONS,
    Difference,
    differences,
    readings,
    table,
    unexplained,
)
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.parts import OwnApp
from loopbench.servers.probe.readings import Glance, Observe, Reset
from loopbench.servers.promises import holes, keeps
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import (
    NO_LOOP,
    STACKS,
)
from loopbench.servers.supervision.messages import to_json
from tests.servers.choices import KINDS, ON_A_LOOP, stacks
from tests.servers.processes import PROC, ask, eventually, free, needs_proc

SETTINGS = Settings(probe=True, executor_threads=4, wait_ms=1)


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    """The facts of the stack that the others are compared with."""
    with server_process("aiohttp", settings=SETTINGS) as running:
        return to_json(running.facts)


@pytest.fixture(scope="module", params=stacks(STACKS))
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A process of each stack, shared by the tests of this file, the last of which stops it."""
    with server_process(request.param, settings=SETTINGS) as running:
        yield running


def test_a_stack_has_started(server: ServerProcess) -> None:
    """It answers where it says that it listens."""
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert 0 < server.start_ms < server.first_answer_ms
    assert server.stack is STACKS[server.stack.name]
    ask(server.port, "plain")


def test_the_reference_has_what_was_asked_for(reference: dict[str, Any]) -> None:
    """So that stacks that are alike are not alike in the wrong."""
    read = readings(reference)
    asked = {
        "body_limit_bytes": SETTINGS.body_limit_bytes,
        "keep_alive_s": SETTINGS.keep_alive_s,
        "grace_s": SETTINGS.grace_s,
        "backlog": SETTINGS.backlog,
        "access_log": False,
        "debug": False,
        "max_requests_per_connection": None,
        "request_threads": None,
        "json": '{"a":[1,"\\u00e9"]}',
    }
    for setting, value in asked.items():
        assert read[f"in_force.{setting}"] == value
    assert read["executor.threads"] == SETTINGS.executor_threads
    assert read["python.gil"] is True
    assert reference["settings"] == SETTINGS.described()


def test_settings_in_force_are_equal(server: ServerProcess, reference: dict[str, Any]) -> None:
    """What differs from the reference is in the row's explained list, and all of that list does."""
    name = server.stack.name
    facts = to_json(server.facts)
    found = differences({"aiohttp": reference, name: facts})
    assert [one for one in found if one.why is None] == []
    assert {one.setting for one in found} == server.stack.differs.keys()
    assert facts["differs"] == server.stack.differs
    assert facts["holes"] == holes(server.stack)
    if server.stack.loop == NO_LOOP:
        assert facts["in_force"]["request_threads"] == SETTINGS.executor_threads
    assert list(facts["packages"]) == list(server.stack.packages)
    json.dumps(facts)


def test_an_unexplained_difference_is_found(reference: dict[str, Any]) -> None:
    """Another value, a setting that only one has; and nothing between equals."""
    other = json.loads(json.dumps(reference))
    assert differences({"aiohttp": reference, "other": other}) == []
    other["in_force"]["access_log"] = True
    other["in_force"]["tracing"] = None
    del other["gc"]["threshold"]
    assert differences({"aiohttp": reference, "other": other}) == [
        Difference("other", "gc.threshold", None, reference["gc"]["threshold"], None),
        Difference("other", "in_force.access_log", True, False, None),
        Difference("other", "in_force.tracing", None, None, None),
    ]
    assert PARITY_EXCEPTIONS["asyncio", "in_force.keep_alive_s"]


def test_the_table_says_why_and_what_nothing_explains(reference: dict[str, Any]) -> None:
    """With the reasons of either side; aiohttp is the reference where it is there, else the
    first."""
    other = json.loads(json.dumps(reference))
    other["in_force"] |= {"access_log": True, "backlog": 7, "debug": True}
    other["differs"] = {"in_force.access_log": "it was asked for"}
    told = table({"other": other, "aiohttp": {**reference, "differs": {"in_force.debug": "so"}}})
    assert told["reference"] == "aiohttp"
    assert {one["setting"]: one["why"] for one in told["differences"]} == {
        "in_force.access_log": "it was asked for",
        "in_force.backlog": None,
        "in_force.debug": "so",
    }
    assert unexplained(told) == {"other": ["in_force.backlog"]}
    assert table({"other": other, "another": other}) == {"reference": "other", "differences": []}
    assert table({}) == {"reference": None, "differences": []}


def test_the_contract_is_kept_as_it_is_measured(server: ServerProcess) -> None:
    """On the loop that the stack names, with the probe on; and each request counts once."""
    server.ask(Reset(instants=True))
    assert verify.problems(server.host, server.port, keeps(server.stack).values()) == []
    seen = server.ask(Observe())
    assert seen.failure is None
    for route in ("plain", "sync", "sleep-async"):
        assert sum(tally.requests for tally in seen.routes[route]) >= 1


@pytest.mark.parametrize("server", stacks(ON_A_LOOP), indirect=True)
def test_the_loop_is_the_one_that_is_named(server: ServerProcess) -> None:
    """The loop that is watched is the one that the handlers run on; a blank is never a nought."""
    server.ask(Reset(instants=True))
    assert verify.problems(server.host, server.port, [keeps(server.stack)["plain"]]) == []
    assert eventually(lambda: bool(server.ask(Glance()).loop.delay_us))
    seen = server.ask(Observe())
    kind = server.facts.loop.class_
    assert kind is not None
    assert kind.startswith(server.stack.loop)
    assert seen.loop.loop_class == kind
    (tally,) = seen.routes["plain"]
    assert (tally.loop_class, tally.is_main_thread) == (kind, True)
    on_uvloop = server.stack.loop == "uvloop"
    assert seen.loop.idle_read_by == ("libuv" if on_uvloop else "selector")
    assert seen.loop.idle_ns is not None
    assert 0 <= seen.loop.idle_ns <= seen.loop.wall_ns
    assert (seen.loop.longest_stretch_ns is None) == on_uvloop
    assert seen.loop.longest_stretch_ns != 0


@pytest.mark.parametrize("server", stacks(["flask-gthread", "flask-waitress"]), indirect=True)
def test_where_no_loop_serves_nothing_is_said_of_one(server: ServerProcess) -> None:
    """The process has a loop, to be commanded through; its figures would be those of nobody."""
    server.ask(Reset(instants=True))
    assert verify.problems(server.host, server.port, [keeps(server.stack)["plain"]]) == []
    time.sleep(0.1)
    seen = server.ask(Observe())
    loop = seen.loop
    assert server.facts.loop.class_ is None
    assert (loop.loop_class, loop.delay_us, loop.beats) == (None, (), 0)
    assert (loop.idle_ns, loop.longest_stretch_ns, loop.tasks_max) == (None,) * 3
    (tally,) = seen.routes["plain"]
    assert (tally.loop_class, tally.is_main_thread) == (None, False)
    assert not tally.is_loop_thread


@needs_proc
@pytest.mark.parametrize("server", stacks(KINDS), indirect=True)
def test_cpu_time_lies_between_two_readings_from_outside(server: ServerProcess) -> None:
    """The reading counts what the kernel counts for the process, worker threads included."""
    outside = (~server.pid << 3) | 2  # the process's own CPU clock, clock_getcpuclockid(3)
    for _ in range(3):
        ask(server.port, "plain", 50)
        ask(server.port, "sync", 50)
        before = time.clock_gettime_ns(outside)
        reading = server.read()
        assert before <= reading.cpu_ns <= time.clock_gettime_ns(outside)
        assert reading.monotonic_ns <= time.monotonic_ns()


@needs_proc
@pytest.mark.parametrize("server", ["aiohttp"], indirect=True)
def test_a_burst_of_requests_costs_at_least_what_its_system_calls_cost(
    server: ServerProcess,
) -> None:
    """CPU time between two readings is more than that of a client that does less."""
    first = server.read()
    begun = time.thread_time_ns()
    ask(server.port, "plain", 500)
    client_ns = time.thread_time_ns() - begun
    second = server.read()
    assert second.cpu_ns - first.cpu_ns > client_ns / 4
    assert second.monotonic_ns > first.monotonic_ns


@needs_proc
@pytest.mark.parametrize("server", ["aiohttp"], indirect=True)
def test_memory_and_threads_are_the_kernels_figures(server: ServerProcess) -> None:
    """The peak is not under the current size, and the count is that of the kernel."""
    assert server.ended is None
    ask(server.port, "sync")
    reading = server.read()
    tasks = len(list((PROC / str(server.pid) / "task").iterdir()))
    assert reading.rss_bytes is not None
    assert reading.rss_peak_bytes is not None
    assert 1_000_000 < reading.rss_bytes <= reading.rss_peak_bytes
    assert reading.threads == tasks
    assert reading.threads >= 3  # the loop's, the control thread, a worker


def test_it_stops_and_frees_its_port(server: ServerProcess) -> None:
    """It ends with status 0. No test of this file comes after this one."""
    server.stop()
    assert not server.alive
    assert server.ended is not None
    assert server.ended.stop_ms is not None
    assert server.ended.stop_ms > 0
    assert (server.ended.exit_code, server.ended.killed) == (0, False)
    assert free(server.port)


def test_what_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names what is missing and the command that brings it."""
    core = replace(STACKS["aiohttp"], packages=("aiohttp", "no-such-package", "nor-this"))
    assert available(core) == "install no-such-package, nor-this (`make setup` does)"
    more = replace(core, optional="stacks")
    assert available(more) == ("install no-such-package, nor-this (`make setup STACKS=all` does)")
    assert available(STACKS["aiohttp"]) is None


def test_what_an_own_application_lacks_is_installed_where_it_is_to_run() -> None:
    """No set-up of the suite brings it; what the suite's own servers need is brought by that."""
    own = replace(STACKS["aiohttp"], own=OwnApp("shop:app", "/nowhere", "/"))
    lacking = available(replace(own, packages=("aiohttp", "no-such-package")))
    assert lacking is not None
    command = f"`{sys.executable} -m pip install no-such-package`"
    assert lacking.endswith(
        f"lacks no-such-package, which the application needs; {command} installs it"
    )
    assert available(own) is None
