"""When a Run should not be believed: a check for each code.

Thresholds, wording, and what to do about each, are in `results.schema.warnings`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loopbench.loadtests.messages.reports import Growth
from loopbench.results.schema.warnings import (
    CLOCK_STEP_LIMIT_MS,
    FEW_REQUESTS,
    FEWEST_MISSED,
    GENERATOR_CPU_LIMIT,
    GENERATOR_LAG_LIMIT_MS,
    GENERATOR_SHARE_LIMIT,
    GROWTH_LIMIT_BYTES,
    GROWTH_LIMIT_WHOLE_BYTES,
    LITTLE_TOLERANCE,
    MACHINE_BUSY_LIMIT,
    ONE_THREAD_QUEUE,
    PROBE_CPU,
    PROBE_SHARE_LIMIT,
    RATE_TOLERANCE,
    Code,
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one load in one Run. None: not measured, so nothing is concluded.

    growth: of what waits or is under way in an open loop.
    cycle_share: the generator's share of a user's cycle from answer to answer
    (closed loop). littles_users: throughput x (mean response time + mean gap),
    which must equal the number of users. others_cpu: CPU time of everything
    but server, generator and harness, and time stolen by the hypervisor, as a
    share of one CPU. growth_bytes: of the server's memory, a request.
    one_thread_queue: calls that waited on average for the only thread of a pool. watched_cpu: CPU
    time over wall time of each server process, where it was read while the probe watched.
    """

    users: int
    requests: int | None
    failures: int
    growth: Growth | None
    littles_users: float | None
    cycle_share: float | None
    generator_cpu: float
    generator_lag_p99_ms: float | None
    send_lag_p99_ms: float | None
    clock: str
    clock_step_ms: float
    others_cpu: float | None
    growth_bytes: float | None = None
    one_thread_queue: float | None = None
    watched_cpu: float | None = None


def _generator_cpu(evidence: Evidence) -> bool:
    """Out of CPU; or, with several users, holding up the cycle itself.

    A single user's cycle always contains the generator's own step, which the
    service time leaves out.
    """
    slow = evidence.users > 1 and evidence.cycle_share is not None
    return evidence.generator_cpu >= GENERATOR_CPU_LIMIT or (
        slow and (evidence.cycle_share or 0.0) >= GENERATOR_SHARE_LIMIT
    )


def _generator_lag(evidence: Evidence) -> bool:
    lags = [
        lag for lag in (evidence.generator_lag_p99_ms, evidence.send_lag_p99_ms) if lag is not None
    ]
    return any(lag >= GENERATOR_LAG_LIMIT_MS for lag in lags)


def _rate_missed(evidence: Evidence) -> bool:
    """Each request counts once: one that hangs until it is given up has piled up, and failed."""
    if evidence.growth is None or not evidence.requests:
        return False
    left = 0.0 if evidence.growth.by_chance else evidence.growth.share or 0.0
    hung = evidence.growth.failed
    missed = max(left, hung / evidence.requests) + (evidence.failures - hung) / evidence.requests
    return missed > RATE_TOLERANCE and round(missed * evidence.requests) >= FEWEST_MISSED


def _littles_law(evidence: Evidence) -> bool:
    """Not where requests failed: a user who waits for a failure, and pauses after it, is in no
    answer, so that the law holds of the others alone."""
    if evidence.littles_users is None or evidence.failures:
        return False
    return abs(evidence.littles_users / evidence.users - 1) > LITTLE_TOLERANCE


def _probe_share(evidence: Evidence) -> bool:
    return evidence.watched_cpu is not None and evidence.watched_cpu * PROBE_SHARE_LIMIT < PROBE_CPU


def _memory_grows(evidence: Evidence) -> bool:
    if evidence.growth_bytes is None or evidence.requests is None:
        return False
    whole = evidence.growth_bytes * evidence.requests
    return evidence.growth_bytes > GROWTH_LIMIT_BYTES and whole > GROWTH_LIMIT_WHOLE_BYTES


_CHECKS: dict[Code, Callable[[Evidence], bool]] = {
    Code.GENERATOR_CPU: _generator_cpu,
    Code.GENERATOR_LAG: _generator_lag,
    Code.RATE_MISSED: _rate_missed,
    Code.LITTLES_LAW: _littles_law,
    Code.FAILURES: lambda evidence: evidence.failures > 0,
    Code.CLOCK_USER: lambda evidence: evidence.clock != "kernel",
    Code.CLOCK_STEPPED: lambda evidence: evidence.clock_step_ms >= CLOCK_STEP_LIMIT_MS,
    Code.MACHINE_BUSY: lambda evidence: (evidence.others_cpu or 0.0) >= MACHINE_BUSY_LIMIT,
    Code.PROBE_SHARE: _probe_share,
    Code.MEMORY_GROWS: _memory_grows,
    Code.ONE_THREAD: lambda evidence: (evidence.one_thread_queue or 0.0) >= ONE_THREAD_QUEUE,
    Code.FEW_REQUESTS: lambda evidence: (
        evidence.requests is not None and evidence.requests < FEW_REQUESTS
    ),
}


def doubts(evidence: Evidence) -> tuple[Code, ...]:
    """The Warnings that the evidence raises, in the table's order."""
    return tuple(code for code, check in _CHECKS.items() if check(evidence))
