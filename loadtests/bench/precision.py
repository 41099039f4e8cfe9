"""What to measure next, where a bench goes on until its ratios are tight or a time is over.

Blocks are given where the interval is widest against what is asked for, or where only a time is
given, to what gains most by them. Stopping at the width of an
interval makes it cover the truth less often; the reading half knows of it by plan.json, asks for
more Rounds before it gives an interval at all, and makes it wider
(`results.stats.intervals.slices`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopbench.results.stats.summaries.precision import Width

GOAL = 0.02
"""Where only a time is given: how tight a ratio is before others need the time more."""

OTHERS_SHARE = 1 / 4
"""Where only a time is given, how much the reach of a ratio counts that is not of a closed loop. At
a low rate CPU time a request also depends on how deeply the CPU sleeps between two of them: its
ratio varies three times as much, and would take nine times as many Rounds."""

_UNKNOWN = 10.0
"""What such a reach is before there is an interval: closed loops without one come first."""


@dataclass(slots=True)
class Allowance:
    """The time that a bench may take, and what its Blocks took so far. Times in seconds.

    budget_s: from now on; None: without end.
    """

    budget_s: float | None
    took_s: dict[str, list[float]] = field(default_factory=dict)
    began_s: float = field(default_factory=time.monotonic)

    def spent(self, scenario: str, seconds: float) -> None:
        """Note what a Block of a Scenario took."""
        self.took_s.setdefault(scenario, []).append(seconds)

    def left_s(self) -> float:
        """How much is left."""
        if self.budget_s is None:
            return math.inf
        return self.budget_s - (time.monotonic() - self.began_s)

    def fits(self, scenario: str) -> bool:
        """Whether one more Block of the Scenario ends in time, going by those before."""
        return self.left_s() >= self.expected_s(scenario)

    def expected_s(self, scenario: str) -> float:
        """What a Block of the Scenario takes; 0 where none was measured yet."""
        return max(self.took_s.get(scenario, [0.0]))


VAIN = 3
"""After so many Blocks in a row that added nothing to a ratio it is left as it is."""


@dataclass(slots=True)
class Vain:
    """Ratios that more Blocks add nothing to: a server of theirs dies, or fails, each time."""

    _seen: dict[tuple[str, str, str, str], tuple[int, int]] = field(default_factory=dict)

    def note(self, scenario: str, known: Iterable[Width]) -> None:
        """Take in what is known after one more Block of a Scenario."""
        for width in known:
            if width.scenario == scenario:
                n, times = self._seen.get(_key(width), (-1, 0))
                self._seen[_key(width)] = width.n, times + 1 if width.n == n else 0

    def without(self, known: Iterable[Width]) -> list[Width]:
        """Those that more Blocks may add to."""
        return [width for width in known if not self._given_up(width)]

    def lines(self, known: Iterable[Width]) -> list[str]:
        """A line for each ratio that was given up."""
        return [
            f"{_ratio(width)} got no figures in {VAIN} Rounds in a row: it has those of {width.n}"
            for width in known
            if self._given_up(width)
        ]

    def _given_up(self, width: Width) -> bool:
        return self._seen.get(_key(width), (0, 0))[1] >= VAIN


def _key(width: Width) -> tuple[str, str, str, str]:
    return width.scenario, width.stack, width.to, width.metric


def _ratio(width: Width) -> str:
    return f"{width.scenario}: {width.metric} of {width.stack} over {width.to}"


def known_widths(folder: Path) -> tuple[Width, ...]:
    """How tight the ratios are that were measured so far. Raises ResultsError."""
    # The statistics take a second to import, which nobody else's bench is to wait for.
    from loopbench.results.stats.summaries.precision import widths

    return widths(folder)


def worst(widths: Iterable[Width], others_share: float = 1.0) -> dict[str, float]:
    """By Scenario: the widest reach of its ratios; infinite where one has no interval yet.

    others_share: what a reach counts that is not of a closed loop.
    """
    widest: dict[str, float] = {}
    for width in widths:
        reach = math.inf if width.reach is None else width.reach
        if not width.closed and others_share < 1:
            reach = others_share * min(reach, _UNKNOWN)
        widest[width.scenario] = max(widest.get(width.scenario, 0.0), reach)
    return widest


def choose(
    widths: Sequence[Width], goal: float, allowance: Allowance, *, settle: bool
) -> str | None:
    """The Scenario to give the next Block to; None where there is none.

    goal: the reach that each ratio is to have. settle: whether to stop there, so that the widest
    comes first; else what is within it is measured on, while there is time, and what is no closed
    loop counts less. A Round then goes where it takes most off the sum of the squared reaches for
    its time, which is the square of a reach over the Rounds that it comes from and over what one
    of them takes (J. Neyman, "On the two
    different aspects of the representative method", Journal of the Royal Statistical Society 97
    (1934) 558-606): the widest alone would take all the time where it falls slowly. Of those that
    have no interval yet the one with the fewest Rounds comes first: the fourth Round makes an
    interval narrower by a third, the fifth by a fifth.
    """
    rounds = {width.scenario: width.n for width in widths}
    weighed = worst(widths, 1.0 if settle else OTHERS_SHARE)
    open_ = {name: reach for name, reach in weighed.items() if allowance.fits(name)}
    if settle:
        open_ = {name: reach for name, reach in open_.items() if reach > goal}
    else:
        spent = {name: rounds[name] * allowance.expected_s(name) for name in open_}
        by_time = all(spent.values())
        open_ = {
            name: reach / math.sqrt(spent[name] if by_time else rounds[name])
            for name, reach in open_.items()
        }
    return max(open_, key=lambda name: (open_[name], -rounds[name]), default=None)


def unsettled(
    widths: Iterable[Width], goal: float, took_s: Mapping[str, Sequence[float]]
) -> list[str]:
    """A line for each Scenario whose ratios are not as tight as asked for, with about how long it
    would take: the reach falls with the square root of the Rounds."""
    lines = []
    widest: dict[str, Width] = {}
    for width in widths:
        known = widest.get(width.scenario)
        if known is None or (width.reach or math.inf) > (known.reach or math.inf):
            widest[width.scenario] = width
    for scenario, width in widest.items():
        if width.reach is None:
            lines.append(f"{_ratio(width)} has no interval yet, after {width.n} Rounds")
        elif width.reach > goal:
            more = math.ceil(width.n * ((width.reach / goal) ** 2 - 1))
            each_s = max(took_s.get(scenario, [0.0]))
            needed = f", needs about {more * each_s:.0f} s more" if each_s else ""
            lines.append(f"{_ratio(width)} is known to ±{width.reach:.1%} only{needed}")
    return lines
