"""Each Warning at its limit: raised just beyond it, and not before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from loopbench.loadtests.messages.reports import Growth
from loopbench.loadtests.rows.warning_checks import Evidence, doubts
from loopbench.results.schema import Code

CLOSED = Evidence(
    users=32,
    requests=20_000,
    failures=0,
    growth=None,
    littles_users=32.0,
    cycle_share=0.1,
    generator_cpu=0.5,
    generator_lag_p99_ms=0.5,
    send_lag_p99_ms=None,
    clock="kernel",
    clock_step_ms=0.01,
    others_cpu=0.02,
)
OPEN = replace(
    CLOSED,
    growth=Growth(10, 10, 10_000),
    littles_users=None,
    cycle_share=None,
    send_lag_p99_ms=0.5,
)


@dataclass(frozen=True)
class Limit:
    """A change of sound evidence that is still sound, and the next one that is not."""

    code: Code
    base: Evidence
    field: str
    sound: Any
    doubtful: Any


LIMITS = (
    Limit(Code.GENERATOR_CPU, CLOSED, "generator_cpu", 0.899, 0.90),
    Limit(Code.GENERATOR_CPU, OPEN, "generator_cpu", 0.899, 0.90),
    Limit(Code.GENERATOR_CPU, CLOSED, "cycle_share", 0.249, 0.25),
    Limit(Code.GENERATOR_LAG, CLOSED, "generator_lag_p99_ms", 4.99, 5.0),
    Limit(Code.GENERATOR_LAG, OPEN, "send_lag_p99_ms", 4.99, 5.0),
    Limit(Code.RATE_MISSED, OPEN, "growth", Growth(10, 510, 10_000), Growth(10, 511, 10_000)),
    Limit(Code.LITTLES_LAW, CLOSED, "littles_users", 32 * 1.099, 32 * 1.101),
    Limit(Code.LITTLES_LAW, CLOSED, "littles_users", 32 * 0.901, 32 * 0.899),
    Limit(Code.FAILURES, CLOSED, "failures", 0, 1),
    Limit(Code.CLOCK_USER, CLOSED, "clock", "kernel", "user"),
    Limit(Code.CLOCK_STEPPED, CLOSED, "clock_step_ms", 0.99, 1.0),
    Limit(Code.MACHINE_BUSY, CLOSED, "others_cpu", 0.099, 0.10),
    Limit(Code.FEW_REQUESTS, CLOSED, "requests", 100, 99),
    Limit(Code.ONE_THREAD, CLOSED, "one_thread_queue", 0.99, 1.0),
    Limit(Code.PROBE_SHARE, CLOSED, "watched_cpu", 0.26, 0.24),
)


@pytest.mark.parametrize("sound", [CLOSED, OPEN])
def test_sound_evidence_raises_nothing(sound: Evidence) -> None:
    """A Run without a flaw carries no Warning."""
    assert doubts(sound) == ()


@pytest.mark.parametrize("limit", LIMITS, ids=lambda one: f"{one.code}-{one.field}-{one.doubtful}")
def test_a_warning_begins_at_its_limit(limit: Limit) -> None:
    """The last sound value raises nothing, the first doubtful one that Warning and no other."""
    assert doubts(replace(limit.base, **{limit.field: limit.sound})) == ()
    assert doubts(replace(limit.base, **{limit.field: limit.doubtful})) == (limit.code,)


@pytest.mark.parametrize(
    "field",
    [
        "requests",
        "growth",
        "littles_users",
        "cycle_share",
        "generator_lag_p99_ms",
        "send_lag_p99_ms",
        "others_cpu",
        "one_thread_queue",
        "watched_cpu",
    ],
)
def test_what_was_not_measured_concludes_nothing(field: str) -> None:
    """A missing reading is neither good nor bad."""
    missing: dict[str, Any] = {field: None}
    assert doubts(replace(CLOSED, **missing)) == ()
    assert doubts(replace(OPEN, **missing)) == ()


def test_one_user_is_not_held_up_by_its_own_step() -> None:
    """With one user the generator's share of the cycle says nothing about its being the limit."""
    assert doubts(replace(CLOSED, users=1, littles_users=1.0, cycle_share=0.6)) == ()


def test_several_warnings_come_together() -> None:
    """One doubt does not hide another."""
    seen = replace(CLOSED, failures=3, requests=10, generator_cpu=1.0, clock_step_ms=50.0)
    assert set(doubts(seen)) == {
        Code.FAILURES,
        Code.FEW_REQUESTS,
        Code.GENERATOR_CPU,
        Code.CLOCK_STEPPED,
    }


def test_users_whose_requests_failed_are_in_no_answer() -> None:
    """Half of them pause after a failure, and the law holds of the others: it is no error of the
    suite."""
    assert doubts(replace(CLOSED, failures=500, littles_users=16.0)) == (Code.FAILURES,)


@pytest.mark.parametrize(("failures", "missed"), [(2, False), (3, True)])
def test_what_failed_did_not_hold_the_rate(failures: int, missed: bool) -> None:
    """Nothing waits at a server that refuses: it has missed the rate all the same, where it is more
    than 5 % and more than two requests."""
    refused = replace(OPEN, requests=20, failures=failures)
    assert (Code.RATE_MISSED in doubts(refused)) == missed


@pytest.mark.parametrize(("later", "missed"), [(13, False), (14, True)])
def test_what_chance_may_leave_is_no_missed_rate(later: int, missed: bool) -> None:
    """Of a hundred arrivals at a route of some time, eight more may just be under way."""
    slow = replace(OPEN, requests=200, growth=Growth(5, later, 100))
    assert (Code.RATE_MISSED in doubts(slow)) == missed


@pytest.mark.parametrize(("hung", "refused", "missed"), [(400, 0, False), (400, 200, True)])
def test_what_hangs_until_it_fails_is_missed_once(hung: int, refused: int, missed: bool) -> None:
    """Four in a hundred pile up, and are given up after the window: they are no eight."""
    growth = Growth(120, 320, 5000, hung)
    slow = replace(OPEN, requests=10_000, failures=hung + refused, growth=growth)
    assert (Code.RATE_MISSED in doubts(slow)) == missed


def test_few_that_hang_are_missed_though_chance_may_leave_as_many() -> None:
    """They have failed."""
    slow = replace(OPEN, requests=100, failures=6, growth=Growth(0, 3, 50, 6))
    assert Code.RATE_MISSED in doubts(slow)
