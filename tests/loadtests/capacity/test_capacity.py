"""`loadtests capacity`: real servers, real arrivals; how good limits are is for simulations."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click import UsageError

from loopbench.cli_types import Parsed
from loopbench.loadtests.capacity.objective import Objective, parse
from loopbench.loadtests.capacity.trial import PROBE_S, PROBE_USERS, arrivals, closed_rate, offer
from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.selfcheck.checks import capacity
from loopbench.results.schema import TRIAL_SERVICES, TRIALS, read_table
from loopbench.results.stats.queueing.queues import ONE_THREAD, QUEUES
from loopbench.servers.contract.cases import CASES
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.settings import Settings
from tests.servers.processes import ROOT, children, eventually, needs_proc


@pytest.mark.parametrize(
    ("text", "percent", "limit_ms"),
    [("p99<20ms", 99.0, 20.0), ("P99.9 <= 1.5s", 99.9, 1500.0), ("p50<500us", 50.0, 0.5)],
)
def test_an_objective_as_people_write_it(text: str, percent: float, limit_ms: float) -> None:
    """A percentile, and a time with its unit."""
    assert parse(text) == Objective(percent, limit_ms)


@pytest.mark.parametrize("text", ["99<20ms", "p99", "p99<20", "p99>20ms", "p10<5ms", "p99<0ms"])
def test_what_is_no_objective_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(UsageError, match=r"p99<20ms|from p50"):
        Parsed("objective", parse).convert(text, None, None)


def test_every_arrival_is_held_to_the_objective(generator: Generator) -> None:
    """A route that waits for 50 ms: all arrivals are slow for 10 ms, and none for a second.
    Offered are those that were due in the window, drawn again from the seed."""
    case = CASES["sleep-async-50"]
    with server_process("aiohttp", settings=Settings(probe=False)) as server:
        short = offer(server, case, 400.0, Objective(99.0, 10.0), generator, 7)
        long = offer(server, case, 400.0, Objective(99.0, 1000.0), generator, 7)
    assert short.trial.offered == sum(due >= 0.2 for due in arrivals(400.0, 0.2, 1.0, 7))
    assert short.trial.slow == short.trial.offered
    assert short.cells["failures"] == long.cells["failures"] == 0
    assert long.trial.offered == sum(due >= 1.0 for due in arrivals(400.0, 1.0, 5.0, 7))
    assert long.trial.slow == 0
    # As one thread: more than 10 ms each, and less than would make any of them wait for a second.
    alone, patient = short.trial.spans[ONE_THREAD], long.trial.spans[ONE_THREAD]
    assert 0 < alone.least_s <= 0.0101
    assert patient.least_s == 0 and patient.most_s < 1.0


def test_a_server_that_holds_its_thread_is_known_by_its_trials(generator: Generator) -> None:
    """For exactly 2 ms a request: a closed loop has 500 a second, and what was under way at the end
    of its window, and no more; an open one that asks for more is slow throughout."""
    with capacity.exact_server(2e-3) as server:
        closed = closed_rate(server, capacity.EXACT, generator, 1)
        tried = offer(server, capacity.EXACT, 1000.0, Objective(99.0, 20.0), generator, 3)
        assert server.alive
    assert not server.alive
    assert 0 < closed.rate_rps <= 501 + PROBE_USERS / PROBE_S
    assert tried.cells["failures"] == 0
    assert tried.trial.slow > 0.9 * tried.trial.offered


def test_a_pool_holds_each_of_its_threads(generator: Generator) -> None:
    """Six of them for exactly 10 ms a request: a closed loop has 600 a second, and not what one
    thread would have."""
    with capacity.exact_server(1e-2, threads=6) as server:
        closed = closed_rate(server, capacity.EXACT, generator, 1)
        assert server.alive
    assert not server.alive
    assert 101 + PROBE_USERS / PROBE_S < closed.rate_rps <= 601 + PROBE_USERS / PROBE_S


def test_a_search_leaves_a_row_a_trial_and_says_what_it_found(tmp_path: Path) -> None:
    """Two stacks in turn: a Turn has one trial of each; the limits as text and as JSON come from
    the rows alone."""
    folder = tmp_path / "limits"
    options = ("--slo", "p90<30ms", "--stack", "asyncio", "--stack", "aiohttp", "--seed", "3")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "loadtests", "capacity", *options),
            *("--case", "sleep-async-50", "--budget", "2s", "--out", str(folder)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    rows = list(read_table(folder, TRIALS))
    assert {row["stack"] for row in rows} == {"asyncio", "aiohttp"}
    assert [(row["turn"], row["position"]) for row in rows[:2]] == [(1, 1), (1, 2)]
    services = list(read_table(folder, TRIAL_SERVICES))
    assert [(row["stack"], row["turn"]) for row in services] == [
        (row["stack"], row["turn"]) for row in rows for _ in QUEUES
    ]
    # In steps of 10 ms, so that a short trial may show some more than the whole of it; blank where
    # the server has no CPU of its own.
    stolen = [share for row in rows if (share := row["stolen_share"]) is not None]
    assert all(isinstance(share, float) and 0 <= share < 1.1 for share in stolen)
    assert len(stolen) in (0, len(rows))
    # 50 ms are never below 30 ms, at whatever rate.
    assert all(row["slow"] == row["offered"] for row in rows)
    assert done.stdout.count("no limit found: ") == 2
    again = subprocess.run(
        [sys.executable, "-m", "results", "capacity", str(folder), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(again.stdout)
    assert document["schema"] == "loopbench.limits/1"
    assert (document["percent"], document["limit_ms"]) == (90.0, 30.0)
    assert [one["rate_rps"] for one in document["stacks"]] == [None, None]


NAPS = """
import asyncio, itertools, os
from aiohttp import web

asked = itertools.count()


async def dies(request):
    if next(asked) > 40:
        os._exit(3)
    return web.Response()


async def half(request):
    count = next(asked)
    return web.Response(status=500 if count > 20 and count % 2 else 200)


async def sleeps(request):
    await asyncio.sleep(2)
    return web.Response()


async def nap(request):
    await asyncio.sleep(0.03)
    return web.Response(text="rested")


app = web.Application()
app.router.add_get("/nap", nap)
app.router.add_get("/doze", nap)
for handler in (dies, half, sleeps):
    app.router.add_get(f"/{handler.__name__}", handler)
"""


def _own(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "naps.py").write_text(NAPS)
    options = ("--slo", "p90<20ms", "--budget", "1s", "--out", str(folder / "limits"))
    return subprocess.run(
        [
            *(sys.executable, "-m", "loadtests", "capacity", "--app", "naps:app"),
            *("--app-dir", str(folder), *options, *words),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_an_application_of_ones_own_is_searched(tmp_path: Path) -> None:
    """Its request is offered like a case of the suite's; 30 ms are never below 20 ms."""
    done = _own(tmp_path, "--get", "/nap")
    assert done.returncode == 0, done.stderr
    rows = list(read_table(tmp_path / "limits", TRIALS))
    assert {row["stack"] for row in rows} == {"app-aiohttp"}
    assert all(row["slow"] == row["offered"] for row in rows)
    assert done.stdout.count("no limit found: ") == 1


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/dies", r"left out: it died in a closed loop of 32 users: [\d,]+ times "),
        ("/half", r"app-aiohttp: not every answer is right \([\d,]+ times status 500 instead of"),
        ("/sleeps", r"left out: no correct answer to a closed loop of 32 users: none ended with"),
    ],
)
def test_an_application_that_fails_has_the_reason(tmp_path: Path, path: str, says: str) -> None:
    """Before any trial: its limit would be none, or a low one, and nobody would know why."""
    done = _own(tmp_path, "--get", path)
    assert re.search(says, done.stderr), done.stderr
    assert done.stderr.count("error: ") == (1 if "left out" in says else 0)


def test_a_limit_is_that_of_one_request(tmp_path: Path) -> None:
    """Of two paths none is chosen; no folder is made."""
    done = _own(tmp_path, "--get", "/nap", "--get", "/doze")
    assert done.returncode == 1
    assert "a limit is that of one request, and these are " in done.stderr
    assert done.stderr.count("error: ") == 1
    assert not (tmp_path / "limits").exists()


@needs_proc
def test_a_trial_that_a_server_dies_in_counts_for_nothing(tmp_path: Path) -> None:
    """What was due after its end was late at any rate: there is no row of it. What was measured
    before stays, and how it died is said."""
    folder = tmp_path / "limits"
    command = ("-m", "loadtests", "capacity", "--slo", "p99<300ms", "--case", "sleep-async-50")
    searching = subprocess.Popen(
        [sys.executable, *command, "--stack", "asyncio", "--budget", "60s", "--out", str(folder)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )

    def rows() -> int:
        path = folder / TRIALS.filename
        return path.read_text().count("\n") - 1 if path.is_file() else 0

    try:
        assert eventually(lambda: rows() > 0)
        before = rows()
        (server,) = (
            pid
            for pid in children(searching.pid)
            if b"child_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        os.kill(server, signal.SIGKILL)
        _, said = searching.communicate(timeout=60)
    finally:
        searching.kill()
        searching.wait()
    assert "asyncio: died: " in said
    assert rows() == before
    found = list(read_table(folder, TRIALS))
    assert all(row["failures"] == 0 for row in found)
