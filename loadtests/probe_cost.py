"""What the probe costs, in instructions, with it on and off."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from loadtests.instructions import FEW, MANY, Counted, count, per_request
from loadtests.selfcheck.verdict import Verdict
from servers.contract import CASES
from servers.settings import Settings

LIMITS = {"aiohttp": 0.02, "quart-hypercorn": 0.005}
"""The most that the probe may add to a request on `/async`, as a share."""

NO_BEAT_MS = 3_600_000.0
"""The timer's instructions go with time, which runs some fifty times slower under
callgrind: they are left out of the requests' cost and counted on their own."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Instructions of one request on `/async` without and with the probe, and of one beat."""

    stack: str
    off: float
    on: float
    beat: float

    @property
    def share(self) -> float:
        """What the probe adds to a request, as a share of the request without it."""
        return self.on / self.off - 1


def measure(stack: str, settings: Settings) -> Cost:
    """Count five processes, two at a time: counts do not depend on the machine's load."""
    off, on = replace(settings, probe=False), replace(settings, probe=True)
    silent = replace(on, probe_beat_ms=NO_BEAT_MS)
    jobs = [(off, FEW), (off, MANY), (silent, FEW), (silent, MANY), (on, MANY)]
    case = CASES["async"]
    with ThreadPoolExecutor(2) as pool:
        counted = list(pool.map(lambda job: count(stack, case, job[1], job[0]), jobs))
    off_few, off_many, on_few, on_many, beating = counted
    return Cost(
        stack=stack,
        off=per_request(off_few, off_many),
        on=per_request(on_few, on_many),
        beat=_beat(on_many, beating),
    )


def _beat(silent: Counted, beating: Counted) -> float:
    beats = (beating.beats or 0) - (silent.beats or 0)
    return (beating.instructions - silent.instructions) / beats


def check(say: Callable[[str], None]) -> list[Verdict]:
    """Print each stack's cost and hold it to its limit."""
    verdicts = []
    for stack, limit in LIMITS.items():
        cost = measure(stack, Settings())
        say(
            f"{stack}: {cost.off:,.0f} instructions a request without the probe, "
            f"{cost.on:,.0f} with it; {cost.beat:,.0f} a beat, "
            f"so 100 beats a second cost as much as {100 * cost.beat / cost.off:.1f} requests"
        )
        verdicts.append(
            Verdict(
                f"{stack}: the probe adds at most {limit:.1%} to a request on /async",
                f"{cost.share:.2%}",
                cost.share <= limit,
            )
        )
    return verdicts
