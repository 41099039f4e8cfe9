"""Does a disturbed generator spoil the figures, and does it say so?"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from loopbench.loadtests.rows.histogram import from_pairs
from loopbench.loadtests.scenarios.table import Closed, Load
from loopbench.loadtests.selfcheck.loading import Loaded, bed, offer
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.results.schema.warnings import GENERATOR_LAG_LIMIT_MS
from loopbench.servers.contract.cases import CASES

TURNS = 5
MEASURED_S = 3.0
SPIN_MS = 20.0
P99_LIMIT = 0.10


def check(say: Callable[[str], None]) -> list[Verdict]:
    """One user, calm and disturbed in turns: a greenlet spins 20 ms ten times a second."""
    load = Load("main", CASES["async"], Closed(1))
    ratios, lags, calm_lags = [], [], []
    with bed("aiohttp") as on:
        for turn in range(1, TURNS + 1):
            calm = offer(on, load, warmup_s=0.5, measured_s=MEASURED_S)
            disturbed = offer(on, load, warmup_s=0.5, measured_s=MEASURED_S, spin_ms=SPIN_MS)
            before, after = (
                loaded.histogram("service_time").percentile_us(99.0) for loaded in (calm, disturbed)
            )
            ratios.append(after / before)
            calm_lags.append(_lag_ms(calm))
            lags.append(_lag_ms(disturbed))
            say(
                f"turn {turn}: p99 {before} us calm, {after} us disturbed; generator lag p99 "
                f"{calm_lags[-1]:.2f} ms calm, {lags[-1]:.2f} ms disturbed"
            )
    return [
        Verdict(
            f"service-time p99 moves by at most {P99_LIMIT:.0%}",
            f"median ratio {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}",
            abs(statistics.median(ratios) - 1) <= P99_LIMIT,
        ),
        Verdict(
            "the disturbed run raises generator-lag, the calm one does not",
            f"lag p99 {min(lags):.1f} ms at least when disturbed, "
            f"median {statistics.median(calm_lags):.2f} ms when calm (at most "
            f"{max(calm_lags):.1f}); limit {GENERATOR_LAG_LIMIT_MS:g} ms",
            min(lags) >= GENERATOR_LAG_LIMIT_MS > statistics.median(calm_lags),
        ),
    ]


def _lag_ms(loaded: Loaded) -> float:
    lag = from_pairs(loaded.report.generator_lag)
    return lag.percentile_us(99.0) / 1000
