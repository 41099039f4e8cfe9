"""Are the service times true? Against a packet capture of the same requests."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from loopbench.loadtests.rows.histogram import Histogram
from loopbench.loadtests.scenarios.table import Closed, Load
from loopbench.loadtests.selfcheck.loading import bed, offer
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.loadtests.selfcheck.witnesses.capture import capturing, segments, service_times_ns
from loopbench.servers.contract.cases import CASES

TURNS = 3
MEASURED_S = 4.0
P50_LIMIT_US = 10.0
P99_LIMIT = 0.10


def check(say: Callable[[str], None]) -> list[Verdict]:
    """One user against aiohttp while tcpdump watches; the very same requests in both."""
    load = Load("main", CASES["async"], Closed(1))
    differences, ratios, shares = [], [], []
    with bed("aiohttp") as on, tempfile.TemporaryDirectory() as folder:
        for turn in range(1, TURNS + 1):
            file = Path(folder) / f"{turn}.pcap"
            with capturing(on.server.port, file):
                loaded = offer(on, load, warmup_s=1.0, measured_s=MEASURED_S)
            ours = loaded.histogram("service_time")
            theirs = _captured(file, on.server.port, loaded.report.opened_realtime_ns, ours.count)
            p50, p99 = (ours.percentile_us(p) for p in (50.0, 99.0))
            true50, true99 = (theirs.percentile_us(p) for p in (50.0, 99.0))
            shares.append(theirs.count / ours.count)
            differences.append(p50 - true50)
            ratios.append(p99 / true99)
            say(
                f"turn {turn}: {ours.count} requests, {theirs.count} captured; "
                f"p50 {p50} us (capture {true50}), p99 {p99} us (capture {true99}), "
                f"p99.9 {ours.percentile_us(99.9)} us (capture {theirs.percentile_us(99.9)})"
            )
    worst = max(differences, key=abs)
    worst_ratio = max(ratios, key=lambda ratio: abs(ratio - 1))
    return [
        Verdict(
            "the same requests in both, 99.9% at least",
            f"{min(shares):.2%} at least",
            min(shares) >= 0.999,
        ),
        Verdict(
            f"service-time p50 within {P50_LIMIT_US:g} us of the capture",
            f"largest difference {worst:+d} us",
            abs(worst) <= P50_LIMIT_US,
        ),
        Verdict(
            f"service-time p99 within {P99_LIMIT:.0%} of the capture",
            f"largest ratio {worst_ratio:.3f}",
            abs(worst_ratio - 1) <= P99_LIMIT,
        ),
    ]


def _captured(file: Path, port: int, opened_ns: int, count: int) -> Histogram:
    """The times of the requests that began in the window, as many as there were.

    The server's own readiness probe uses other connections; the load's is the busiest.
    """
    exchanges = service_times_ns(segments(file, port))
    busiest = max(exchanges.values(), key=len)
    inside = [took for asked, took in busiest if asked >= opened_ns][:count]
    histogram = Histogram()
    histogram.record((took + 500) // 1000 for took in inside)
    return histogram
