"""The real generator process against real servers: nothing is lost, nothing is made up."""

from __future__ import annotations

import sys

import pytest

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.messages.generator import WindowOpened
from loopbench.loadtests.rows.histogram import from_pairs
from loopbench.loadtests.scenarios.table import Closed, Idle, Load
from loopbench.results.schema.warnings import GENERATOR_LAG_LIMIT_MS
from tests.loadtests.generator.counting import Counting, case
from tests.loadtests.generator.loads import (
    MEASURED_S,
    WARMUP_S,
    arrivals,
    begun,
    closed,
    failures,
    histogram,
    offer,
    opened,
)
from tests.servers.processes import eventually


@pytest.mark.parametrize("users", [1, 8])
def test_a_closed_loop_loses_no_request(generator: Generator, server: Counting, users: int) -> None:
    """The server was asked exactly as often as lead-in and window have counted."""
    report = offer(generator, server, closed("/now", users))
    assert begun(report, "warmup") > 0
    assert begun(report, "measured") > 0
    assert begun(report, "warmup") + begun(report, "measured") == server.total
    assert failures(report, "warmup") == failures(report, "measured") == {}
    assert server.connections == users
    assert report.loads["main"].users == users


def test_an_open_loop_sends_every_arrival_once(generator: Generator, server: Counting) -> None:
    """Arrivals of the seed, requests at the server, and records are the same number, phase by
    phase; each has a service time, a response time and a lag of its send."""
    report = offer(generator, server, opened("/now", 400.0, 16))
    expected = arrivals(400.0, WARMUP_S, MEASURED_S)
    assert (begun(report, "warmup"), begun(report, "measured")) == expected
    assert server.total == sum(expected)
    for quantity in ("service_time", "response_time", "send_lag"):
        assert histogram(report, quantity, "measured").count == expected[1]


def test_requests_in_flight_at_the_end_are_waited_for(
    generator: Generator, server: Counting
) -> None:
    """With answers that take a part of the window, all that began in it are counted, those that
    ended after it too; only the throughput leaves these out."""
    report = offer(generator, server, closed("/wait/100", 8), measured_s=0.6)
    measured = histogram(report, "service_time", "measured")
    assert begun(report, "warmup") + begun(report, "measured") == server.total
    assert failures(report, "measured") == {}
    assert min(measured.buckets()) >= 100_000
    # Eight were under way when the window opened and answered in it, eight when it closed.
    assert report.loads["main"].completed <= measured.count
    assert measured.count >= 8


def test_an_open_loop_in_flight_at_the_end_is_waited_for(
    generator: Generator, server: Counting
) -> None:
    """The last arrivals of the window are answered after it, and count."""
    report = offer(generator, server, opened("/wait/200", 100.0, 64))
    expected = arrivals(100.0, WARMUP_S, MEASURED_S)
    assert (begun(report, "warmup"), begun(report, "measured")) == expected
    assert failures(report, "measured") == {}
    assert report.loads["main"].completed < sum(expected)


def test_a_new_connection_is_charged_to_the_server_that_closed_the_last_one(
    generator: Generator, server: Counting
) -> None:
    """Connecting anew is part of the response time, not of the service time, and no lag of the
    generator's own."""
    report = offer(generator, server, opened("/bye", 200.0, 4))
    service, response = (
        histogram(report, name, "measured") for name in ("service_time", "response_time")
    )
    assert service.count == response.count == arrivals(200.0, WARMUP_S, MEASURED_S)[1]
    assert failures(report, "measured") == {}
    assert response.mean_us() > service.mean_us()


def test_response_times_contain_the_wait_for_a_free_connection(
    generator: Generator, server: Counting
) -> None:
    """One connection, answers of 20 ms, forty arrivals a quarter of which it cannot hold: they
    queue, so that the response times grow far beyond the service times."""
    report = offer(generator, server, opened("/wait/20", 100.0, 1), measured_s=0.4)
    service, response = (
        histogram(report, name, "measured") for name in ("service_time", "response_time")
    )
    assert service.count == response.count == arrivals(100.0, WARMUP_S, 0.4)[1]
    # Thirty requests of 20 ms need 600 ms, and the last one was due within 600 ms of the first.
    assert max(response.buckets()) > 3 * 20_000
    assert response.mean_us() > service.mean_us()


def test_a_new_connection_for_every_request(generator: Generator, server: Counting) -> None:
    """As many connections as requests, but for the users' first ones, and nothing is lost."""
    load = Load("main", case("/now"), Closed(2, new_connections=True))
    report = offer(generator, server, load)
    counted = begun(report, "warmup") + begun(report, "measured")
    assert counted == server.total
    assert failures(report, "warmup") == failures(report, "measured") == {}
    # Each user's first connection, made before the start, was closed unused.
    assert server.connections == counted + 2
    service, response = (
        histogram(report, name, "measured") for name in ("service_time", "response_time")
    )
    assert service.count == response.count
    assert response.mean_us() >= service.mean_us()


def test_idle_connections_send_once_and_stay_open(generator: Generator, server: Counting) -> None:
    """One request each in the lead-in, none afterwards, and no figures in the window."""
    held: list[bool] = []

    def all_stand() -> None:
        """The server may get round to accepting a connection after it was opened."""
        held.append(eventually(lambda: server.open == 21))

    report = offer(
        generator,
        server,
        Load("main", case("/now/idle"), Idle(20)),
        closed("/now/busy", 1, name="busy"),
        at={WindowOpened: all_stand},
    )
    assert server.requests["/now/idle"] == 20
    assert begun(report, "measured") == 0
    assert held == [True]
    assert (
        begun(report, "warmup", "busy") + begun(report, "measured", "busy")
        == (server.requests["/now/busy"])
    )


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
    assert set(report.loads) == {"fast", "slow", "main"}
    for name, path in (("fast", "/now/fast"), ("slow", "/wait/20/slow"), ("main", "/now/main")):
        counted = begun(report, "warmup", name) + begun(report, "measured", name)
        assert counted == server.requests[path]
    assert begun(report, "measured") == arrivals(150.0, WARMUP_S, MEASURED_S)[1]
    assert min(histogram(report, "service_time", "measured", "slow").buckets()) >= 20_000
    assert server.connections == 3 + 2 + 8


def test_a_ramp_spreads_the_first_requests(generator: Generator, server: Counting) -> None:
    """User i of n begins i/n of the ramp after the start, not earlier, and all in the lead-in."""
    users, ramp_s, warmup_s = 8, 0.4, 1.2
    report = offer(generator, server, closed("/wait/5", users, ramp_s), warmup_s=warmup_s)
    start_ns = report.opened_realtime_ns - int(report.warmup_s * 1e9)
    assert len(server.first_ns) == users
    for index, first_ns in enumerate(sorted(server.first_ns)):
        # A little early is the difference between two clocks, read one after the other.
        assert first_ns >= start_ns + int(ramp_s / users * index * 1e9) - 100_000
    assert max(server.first_ns) < report.opened_realtime_ns


def test_without_a_ramp_all_begin_at_once(generator: Generator, server: Counting) -> None:
    """Every user has sent before the first answer, of a second, is in."""
    offer(generator, server, closed("/wait/1000", 8))
    assert max(server.first_ns) - min(server.first_ns) < 1_000_000_000


@pytest.mark.alone
def test_a_disturbed_generator_says_so(generator: Generator, server: Counting) -> None:
    """A greenlet that spins for 20 ms ten times a second raises the lag beyond its limit."""
    report = offer(generator, server, closed("/now", 1), measured_s=0.5, spin_ms=20.0)
    lag = from_pairs(report.generator_lag)
    assert lag.percentile_us(99.0) >= GENERATOR_LAG_LIMIT_MS * 1000
    # A tick every 10 ms, none skipped, however late. Where an edge of the window is late, ticks may
    # be due that are recorded after it: too many at the first, too few at the second.
    late_s = (report.warmup_s - WARMUP_S) + (report.measured_s - 0.5)
    assert lag.count == pytest.approx(report.measured_s * 100, abs=4 + abs(late_s) * 100)


def test_the_window_is_as_long_as_asked(generator: Generator, server: Counting) -> None:
    """Lead-in and window are not shorter than asked, and the clock did not step."""
    report = offer(generator, server, closed("/now", 1))
    assert report.warmup_s >= WARMUP_S
    assert report.measured_s >= MEASURED_S - 0.05
    assert report.clock == ("kernel" if sys.platform == "linux" else "user")
    assert report.clock_step_ms < 1.0
    assert 0 < report.cpu_s < 2 * report.measured_s
