"""The real generator process against real servers: nothing is lost, nothing is made up."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from loadtests import generator_process as harness_side
from loadtests.doubts import GENERATOR_LAG_LIMIT_MS
from loadtests.errors import GeneratorDied, HarnessError
from loadtests.generator_process import Generator, generator_process
from loadtests.histogram import Histogram, from_buckets
from loadtests.scenarios import Closed, Idle, Load, Open, load_to_json
from loadtests.session import Arrivals
from servers.control import Channel
from tests.loadtests.counting import Counting, case, counting_server
from tests.servers.processes import ROOT, eventually

SEED = 5
WARMUP_S = 0.1
MEASURED_S = 0.2


@pytest.fixture(scope="module")
def generator() -> Iterator[Generator]:
    """One generator for all the loads here, one after another."""
    with generator_process() as running:
        yield running


@pytest.fixture
def server() -> Iterator[Counting]:
    with counting_server() as counting:
        yield counting


def command(server: Counting, *loads: Load, **changes: Any) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "loads": [load_to_json(load) for load in loads],
        "warmup_s": WARMUP_S,
        "measured_s": MEASURED_S,
        "drain_s": 5.0,
        "timeout_s": 30.0,
        "seed": SEED,
        **changes,
    }


def offer(
    generator: Generator,
    server: Counting,
    *loads: Load,
    at: dict[str, Callable[[], None]] | None = None,
    give_up: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> dict[str, Any]:
    asked = command(server, *loads, **changes)
    return generator.load(asked, bound_s=30.0, at=at or {}, give_up=give_up)


def closed(path: str, users: int, ramp_s: float = 0.0, name: str = "main") -> Load:
    return Load(name, case(path), Closed(users, ramp_s))


def opened(path: str, rate_rps: float, connections: int, name: str = "main") -> Load:
    return Load(name, case(path), Open(rate_rps, connections))


def histogram(report: dict[str, Any], quantity: str, phase: str, name: str = "main") -> Histogram:
    pairs = report["loads"][name][phase]["histograms"].get(quantity, [])
    return from_buckets(dict(map(tuple, pairs)))


def failures(report: dict[str, Any], phase: str, name: str = "main") -> dict[str, int]:
    told = report["loads"][name][phase]["failures"]
    return {reason: count for reason, count, _ in told}


def begun(report: dict[str, Any], phase: str, name: str = "main") -> int:
    """How many requests of a phase began, however they ended."""
    answered = histogram(report, "service", phase, name).count
    return answered + sum(failures(report, phase, name).values())


def arrivals(rate_rps: float, warmup_s: float, measured_s: float) -> tuple[int, int]:
    """How many arrivals the seed gives to the lead-in and to the window."""
    drawn = Arrivals(rate_rps, int((warmup_s + measured_s) * 1e9), f"{SEED}/main")
    found = []
    while (due := drawn.take()) is not None:
        found.append(due)
    inside = sum(due >= int(warmup_s * 1e9) for due in found)
    return len(found) - inside, inside


@pytest.mark.parametrize("users", [1, 8])
def test_a_closed_loop_loses_no_request(generator: Generator, server: Counting, users: int) -> None:
    """The server was asked exactly as often as lead-in and window have counted."""
    report = offer(generator, server, closed("/now", users))
    assert begun(report, "warmup") > 0
    assert begun(report, "measured") > 0
    assert begun(report, "warmup") + begun(report, "measured") == server.total
    assert failures(report, "warmup") == failures(report, "measured") == {}
    assert server.connections == users
    assert report["loads"]["main"]["users"] == users
    assert report["unfinished_users"] == 0


def test_an_open_loop_sends_every_arrival_once(generator: Generator, server: Counting) -> None:
    """Arrivals of the seed, requests at the server, and records are the same number, phase by
    phase; each has a service time, a response time and a lag of its send."""
    report = offer(generator, server, opened("/now", 400.0, 16))
    expected = arrivals(400.0, WARMUP_S, MEASURED_S)
    assert (begun(report, "warmup"), begun(report, "measured")) == expected
    assert server.total == sum(expected)
    for quantity in ("service", "response", "send_lag"):
        assert histogram(report, quantity, "measured").count == expected[1]


def test_requests_in_flight_at_the_end_are_waited_for(
    generator: Generator, server: Counting
) -> None:
    """With answers that take half the window, all that began in it are counted, those that
    ended after it too; only the throughput leaves these out."""
    report = offer(generator, server, closed("/wait/100", 8))
    measured = histogram(report, "service", "measured")
    assert begun(report, "warmup") + begun(report, "measured") == server.total
    assert failures(report, "measured") == {}
    assert min(measured.buckets()) >= 100_000
    # Eight were under way when the window opened and answered in it, eight when it closed.
    assert report["loads"]["main"]["completed"] <= measured.count
    assert measured.count >= 8


def test_an_open_loop_in_flight_at_the_end_is_waited_for(
    generator: Generator, server: Counting
) -> None:
    """The last arrivals of the window are answered after it, and count."""
    report = offer(generator, server, opened("/wait/200", 100.0, 64))
    expected = arrivals(100.0, WARMUP_S, MEASURED_S)
    assert (begun(report, "warmup"), begun(report, "measured")) == expected
    assert failures(report, "measured") == {}
    assert report["loads"]["main"]["completed"] < sum(expected)


def test_response_times_contain_the_wait_for_a_free_connection(
    generator: Generator, server: Counting
) -> None:
    """One connection, answers of 20 ms, forty arrivals a quarter of which it cannot hold: they
    queue, so that the response times grow far beyond the service times."""
    report = offer(generator, server, opened("/wait/20", 100.0, 1), measured_s=0.4)
    service, response = (histogram(report, name, "measured") for name in ("service", "response"))
    assert service.count == response.count == arrivals(100.0, WARMUP_S, 0.4)[1]
    # Thirty requests of 20 ms need 600 ms, and the last one was due within 600 ms of the first.
    assert max(response.buckets()) > 3 * 20_000
    assert response.mean_us() > service.mean_us()


def test_requests_without_an_answer_within_the_bound_have_failed(
    generator: Generator, server: Counting
) -> None:
    """Each request in flight when the drain's bound is over is one failure with its reason."""
    report = offer(generator, server, closed("/never", 5), warmup_s=0.1, drain_s=0.2)
    # They began in the lead-in, which is where they belong.
    assert failures(report, "warmup") == {"no answer in time": 5}
    assert begun(report, "measured") == 0
    assert server.total == 5
    assert histogram(report, "failed", "warmup").count == 5
    assert min(histogram(report, "failed", "warmup").buckets()) >= 400_000
    assert report["unfinished_users"] == 0


def test_a_request_fails_at_its_own_bound(generator: Generator, server: Counting) -> None:
    """No answer for `timeout_s` is a failure in the middle of the window, and the user goes on."""
    report = offer(
        generator,
        server,
        closed("/never", 2),
        warmup_s=0.1,
        measured_s=0.6,
        timeout_s=0.15,
        drain_s=0.1,
    )
    count = failures(report, "measured")["no answer in time"]
    assert count >= 4
    assert begun(report, "warmup") + begun(report, "measured") == server.total
    assert min(histogram(report, "failed", "measured").buckets()) >= 150_000
    (told,) = report["loads"]["main"]["measured"]["failures"]
    assert told[2].startswith("after ")


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/wrong", "status 503 instead of 200"), ("/close", "closed before the answer")],
)
def test_wrong_answers_are_failures_with_their_reason(
    generator: Generator, server: Counting, path: str, reason: str
) -> None:
    """A wrong answer has no service time, and each one is counted."""
    report = offer(generator, server, closed(path, 3))
    assert list(failures(report, "measured")) == [reason]
    assert histogram(report, "service", "measured").count == 0
    assert report["loads"]["main"]["completed"] == 0
    assert begun(report, "warmup") + begun(report, "measured") == server.total


def test_a_new_connection_for_every_request(generator: Generator, server: Counting) -> None:
    """As many connections as requests, but for the users' first ones, and nothing is lost."""
    load = Load("main", case("/now"), Closed(2, new_connections=True))
    report = offer(generator, server, load)
    counted = begun(report, "warmup") + begun(report, "measured")
    assert counted == server.total
    assert failures(report, "warmup") == failures(report, "measured") == {}
    # Each user's first connection, made before the start, was closed unused.
    assert server.connections == counted + 2
    service, response = (histogram(report, name, "measured") for name in ("service", "response"))
    assert service.count == response.count
    assert response.mean_us() >= service.mean_us()


def test_idle_connections_send_once_and_stay_open(generator: Generator, server: Counting) -> None:
    """One request each in the lead-in, none afterwards, and no figures in the window."""
    held: list[int] = []
    report = offer(
        generator,
        server,
        Load("main", case("/now/idle"), Idle(20)),
        closed("/now/busy", 1, name="busy"),
        at={"window-closed": lambda: held.append(server.open)},
    )
    assert server.requests["/now/idle"] == 20
    assert begun(report, "measured") == 0
    assert held == [21]
    assert begun(report, "warmup", "busy") + begun(report, "measured", "busy") == (
        server.requests["/now/busy"]
    )


def test_arrivals_that_no_connection_was_free_for_are_counted(
    generator: Generator, server: Counting
) -> None:
    """Two connections that are never answered: two requests without an answer, and all other
    arrivals unsent, each one a failure."""
    report = offer(generator, server, opened("/never", 200.0, 2), drain_s=0.1)
    expected = arrivals(200.0, WARMUP_S, MEASURED_S)
    assert (begun(report, "warmup"), begun(report, "measured")) == expected
    assert failures(report, "warmup") == {
        "no answer in time": 2,
        "not sent: every connection was busy": expected[0] - 2,
    }
    assert failures(report, "measured") == {"not sent: every connection was busy": expected[1]}
    assert server.total == 2


def test_nobody_listening_is_counted_as_failures(generator: Generator) -> None:
    """Refused connections are failed requests, not an empty load."""
    with counting_server() as server:
        pass
    report = offer(generator, server, closed("/now", 2))
    assert list(failures(report, "measured")) == ["connect: ECONNREFUSED"]
    assert histogram(report, "service", "measured").count == 0


def test_loads_offered_together_have_figures_of_their_own(
    generator: Generator, server: Counting
) -> None:
    """A closed loop, a slow one and an open one at once: each counts its own requests."""
    report = offer(
        generator,
        server,
        closed("/now/fast", 3, name="fast"),
        closed("/wait/20/slow", 2, name="slow"),
        opened("/now/main", 150.0, 8),
    )
    assert set(report["loads"]) == {"fast", "slow", "main"}
    for name, path in (("fast", "/now/fast"), ("slow", "/wait/20/slow"), ("main", "/now/main")):
        counted = begun(report, "warmup", name) + begun(report, "measured", name)
        assert counted == server.requests[path]
    assert begun(report, "measured") == arrivals(150.0, WARMUP_S, MEASURED_S)[1]
    assert min(histogram(report, "service", "measured", "slow").buckets()) >= 20_000
    assert server.connections == 3 + 2 + 8


def test_a_ramp_spreads_the_first_requests(generator: Generator, server: Counting) -> None:
    """User i of n begins i/n of the ramp after the start, not earlier, and all in the lead-in."""
    users, ramp_s, warmup_s = 8, 0.4, 0.6
    report = offer(generator, server, closed("/wait/5", users, ramp_s), warmup_s=warmup_s)
    start_ns = report["opened_realtime_ns"] - int(report["warmup_s"] * 1e9)
    assert len(server.first_ns) == users
    for index, first_ns in enumerate(sorted(server.first_ns)):
        # A little early is the difference between two clocks, read one after the other.
        assert first_ns >= start_ns + int(ramp_s / users * index * 1e9) - 100_000
    assert max(server.first_ns) < report["opened_realtime_ns"]


def test_without_a_ramp_all_begin_at_once(generator: Generator, server: Counting) -> None:
    """Every user has sent before the first answer, of 100 ms, is in."""
    offer(generator, server, closed("/wait/100", 8))
    assert max(server.first_ns) - min(server.first_ns) < 100_000_000


@pytest.mark.parametrize("load", [closed("/now", 2), opened("/now", 100.0, 4)])
def test_a_load_given_up_reports_what_was_measured(
    generator: Generator, server: Counting, load: Load
) -> None:
    """Breaking off in the window ends it there; what was counted by then is counted right, with
    what was under way at that moment."""
    begun_at: list[float] = []
    report = offer(
        generator,
        server,
        load,
        measured_s=3600.0,
        at={"window-opened": lambda: begun_at.append(time.monotonic())},
        give_up=lambda: bool(begun_at) and time.monotonic() > begun_at[0] + 0.2,
    )
    assert report["measured_s"] < 60.0
    assert begun(report, "measured") > 0
    assert begun(report, "warmup") + begun(report, "measured") == server.total
    assert sum(failures(report, "measured").values()) <= load.model.population
    assert report["loads"]["main"]["completed"] > 0


def test_giving_up_while_nobody_can_connect(generator: Generator) -> None:
    """Users that hang in the kernel's handshake are freed when the load is broken off."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        clients = [socket.socket() for _ in range(3)]
        for client in clients:  # fill the backlog, so that further handshakes get no answer
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        until = time.monotonic() + 0.5
        report = generator.load(
            command(Counting(listener), closed("/now", 4)),
            bound_s=30.0,
            at={},
            give_up=lambda: time.monotonic() > until,
        )
        for client in clients:
            client.close()
    assert report["unfinished_users"] == 0
    assert begun(report, "measured") == 0


def test_the_same_generator_goes_on_after_a_defect(generator: Generator, server: Counting) -> None:
    """What is wrong with the load itself is the harness's error, not a failed request; the next
    load is not touched by it."""
    with pytest.raises(HarnessError, match=r"OverflowError: .*port"):
        generator.load(
            command(server, closed("/now", 3), port=70_000),
            bound_s=10.0,
            at={},
            give_up=lambda: False,
        )
    for nonsense in ({"speed": 3}, {"loads": [{"name": "main"}]}, {"measured_s": float("nan")}):
        with pytest.raises(HarnessError, match="could not run the load"):
            offer(generator, server, closed("/now", 3), **nonsense)
    before = server.total
    report = offer(generator, server, closed("/now", 3))
    assert begun(report, "warmup") + begun(report, "measured") == server.total - before


def test_a_disturbed_generator_says_so(generator: Generator, server: Counting) -> None:
    """A greenlet that spins for 20 ms ten times a second raises the lag beyond its limit."""
    report = offer(generator, server, closed("/now", 1), measured_s=0.5, spin_ms=20.0)
    lag = from_buckets(dict(map(tuple, report["generator_lag"])))
    assert lag.percentile_us(99.0) >= GENERATOR_LAG_LIMIT_MS * 1000
    # A tick every 10 ms, none skipped, however late.
    assert lag.count == pytest.approx(report["measured_s"] * 100, abs=4)


def test_the_window_is_as_long_as_asked(generator: Generator, server: Counting) -> None:
    """Lead-in and window are not shorter than asked, and the clock did not step."""
    report = offer(generator, server, closed("/now", 1))
    assert report["warmup_s"] >= WARMUP_S
    assert report["measured_s"] >= MEASURED_S - 0.05
    assert report["clock"] == ("kernel" if sys.platform == "linux" else "user")
    assert report["clock_step_ms"] < 1.0
    assert 0 < report["cpu_s"] < 2 * report["measured_s"]


def test_a_killed_generator_is_seen_to_be() -> None:
    """In the middle of a load, too: the error says how it ended."""
    with counting_server() as server, generator_process() as generator:
        with pytest.raises(GeneratorDied, match="signal SIGKILL"):
            offer(
                generator,
                server,
                closed("/now", 2),
                measured_s=60.0,
                at={"window-opened": lambda: os.kill(generator.pid, signal.SIGKILL)},
            )
        assert not generator.alive
        with pytest.raises(GeneratorDied):
            offer(generator, server, closed("/now", 2))


def test_a_frozen_generator_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up at the bound, and killed in the end."""
    monkeypatch.setattr(harness_side, "_REPORT_BOUND_S", 0.1)
    monkeypatch.setattr(harness_side, "_STOP_BOUND_S", 0.2)
    with counting_server() as server, generator_process() as generator:
        with pytest.raises(GeneratorDied, match="fell silent"):
            generator.load(
                command(server, closed("/now", 2), measured_s=60.0),
                bound_s=0.5,
                at={"window-opened": lambda: os.kill(generator.pid, signal.SIGSTOP)},
                give_up=lambda: False,
            )
    assert not generator.alive


def test_the_generator_goes_when_the_harness_is_gone(server: Counting) -> None:
    """End of file on its pipe ends it at once, in the middle of a load."""
    with subprocess.Popen(
        [sys.executable, "-m", "loadtests.generator"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert json.loads(process.stdout.readline())["event"] == "ready"
            load = {"do": "load", **command(server, closed("/now", 2), measured_s=60.0)}
            process.stdin.write(json.dumps(load).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["event"] == "window-opened"
            process.stdin.close()
            process.stdout.close()
            assert eventually(lambda: process.poll() is not None)
            assert process.returncode == 0
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def test_an_unknown_command_is_answered(generator: Generator) -> None:
    """A generator of another version says what it does not know, and goes on."""
    channel: Channel = generator._channel
    channel.send({"do": "dance"})
    answer = channel.receive(10.0)
    assert answer["event"] == "failed"
    assert "unknown command" in answer["error"]
