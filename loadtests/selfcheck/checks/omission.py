"""Is a stall of the server charged to all the requests that it delayed?"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

from loopbench.loadtests.scenarios.arrivals import Arrivals
from loopbench.loadtests.scenarios.table import Load, Open
from loopbench.loadtests.selfcheck.loading import bed, offer
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.servers.contract.cases import CASES

RATE_RPS = 200.0
CONNECTIONS = 64
WARMUP_S = 1.0
MEASURED_S = 10.0
FREEZE_AFTER_S = 4.0
FREEZE_S = 1.0
LONG_MS = 500.0
LIMIT = 0.10
SEED = 7


def check(say: Callable[[str], None]) -> list[Verdict]:
    """Freeze the server for one second in an open loop; compare with arithmetic.

    Every arrival during the freeze should have waited until its end, so from
    the schedule (which the seed fixes), the generator's own beginning and the
    two instants follows each response time, but for the ordinary fraction of
    a millisecond.
    """
    load = Load("main", CASES["async"], Open(RATE_RPS, CONNECTIONS))
    frozen: list[int] = []

    with bed("aiohttp") as on:

        def freeze() -> None:
            time.sleep(FREEZE_AFTER_S)
            os.kill(on.server.pid, signal.SIGSTOP)
            frozen.append(time.time_ns())
            time.sleep(FREEZE_S)
            os.kill(on.server.pid, signal.SIGCONT)
            frozen.append(time.time_ns())

        thread = threading.Thread(target=freeze)
        loaded = offer(
            on, load, warmup_s=WARMUP_S, measured_s=MEASURED_S, seed=SEED, opened=thread.start
        )
        thread.join()
    stopped_ns, continued_ns = frozen
    expected = sorted(_expected_ms(loaded.report.start_realtime_ns, stopped_ns, continued_ns))
    response_times = loaded.histogram("response_time")
    long = sum(n for upper_us, n in response_times.buckets().items() if upper_us > LONG_MS * 1000)
    expected_long = sum(1 for ms in expected if ms > LONG_MS)
    p99_ms = response_times.percentile_us(99.0) / 1000
    expected_p99_ms = expected[int(0.99 * len(expected))]
    say(
        f"{response_times.count} requests, {len(expected)} in the schedule; frozen for "
        f"{(continued_ns - stopped_ns) / 1e6:.0f} ms; service-time p99 "
        f"{loaded.histogram('service_time').percentile_us(99.0) / 1000:.1f} ms"
    )
    return [
        Verdict(
            f"response-time p99 within {LIMIT:.0%} of arithmetic",
            f"{p99_ms:.1f} ms, arithmetic {expected_p99_ms:.1f} ms",
            near(p99_ms, expected_p99_ms),
        ),
        Verdict(
            f"count above {LONG_MS:g} ms within {LIMIT:.0%} of arithmetic",
            f"{long}, arithmetic {expected_long}",
            near(long, expected_long),
        ),
    ]


def near(measured: float, expected: float) -> bool:
    """Whether it is within LIMIT of what was expected."""
    return abs(measured - expected) <= LIMIT * expected


def _expected_ms(began_ns: int, stopped_ns: int, continued_ns: int) -> list[float]:
    """What each arrival of the window has to wait for the freeze alone, in ms, where the users
    began at `began_ns`; all three by the same clock."""
    open_ns, end_ns = int(WARMUP_S * 1e9), int((WARMUP_S + MEASURED_S) * 1e9)
    arrivals, waits = Arrivals(RATE_RPS, end_ns, f"{SEED}/main"), []
    while (due := arrivals.take()) is not None:
        if due >= open_ns:
            at = began_ns + due
            waits.append((continued_ns - at) / 1e6 if stopped_ns <= at < continued_ns else 0.0)
    return waits
