"""Axes: where a reading stands, and which round numbers stand beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from loopbench.results.stats.intervals.location import Interval

_NARROW = 0.75
"""Powers of ten: a shorter logarithmic axis has too few round numbers of one digit."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Logarithmic where the readings are all above zero and far apart, else linear from zero.

    low, high: the ends of the axis, as powers of ten where it is logarithmic.
    """

    low: float
    high: float
    logarithmic: bool

    @classmethod
    def over(cls, values: Iterable[float], *, logarithmic: bool | None = None) -> Scale:
        known = [value for value in values if math.isfinite(value)]
        above = [value for value in known if value > 0]
        if not above:
            return cls(
                1.08 * min(known, default=0.0), 0.0 if min(known, default=0.0) else 1.0, False
            )
        wide = len(above) == len(known) and max(above) > 5 * min(above)
        if wide if logarithmic is None else logarithmic:
            low, high = math.log10(min(above)), math.log10(max(above))
            margin = max(0.06, 0.05 * (high - low))
            return cls(low - margin, high + margin, True)
        return cls(min(0.0, *known) - 0.03 * max(above), 1.08 * max(above), False)

    def shows(self, value: float) -> bool:
        """Whether there is a place for it."""
        return math.isfinite(value) and (value > 0 or not self.logarithmic)

    def share(self, value: float) -> float:
        """Where on the axis it is: 0 at the low end, 1 at the high end."""
        at = math.log10(value) if self.logarithmic else value
        return (at - self.low) / (self.high - self.low)

    def ends(self, interval: Interval) -> tuple[float, float]:
        """The shares of an interval's ends, those outside the picture at its edge."""
        low, high = (
            self.share(end) if self.shows(end) else 0.0 for end in (interval.low, interval.high)
        )
        return min(1.0, max(0.0, low)), min(1.0, max(0.0, high))

    def beyond(self, interval: Interval) -> tuple[bool, bool]:
        """Whether the interval goes on below and above the picture."""
        low = self.share(interval.low) if self.shows(interval.low) else -1.0
        return low < 0.0, self.shows(interval.high) and self.share(interval.high) > 1.0

    def ticks(self) -> list[tuple[float, str]]:
        """Shares with their labels."""
        if not self.logarithmic:
            values = round_steps(self.low, self.high)
        else:
            values = [value for value in self._decades() if value > 0]
        return [(self.share(value), tick(value)) for value in values]

    def _decades(self) -> list[float]:
        span = self.high - self.low
        if span < _NARROW:
            return round_steps(10**self.low, 10**self.high)
        leading = (1, 2, 5) if span < 2.2 else (1, 3) if span < 3.2 else (1,)
        exponents = range(math.floor(self.low) - 1, math.ceil(self.high) + 1)
        step = max(1, math.ceil(span / 7))
        every = [
            digit * 10.0**power for power in exponents if power % step == 0 for digit in leading
        ]
        return [value for value in every if self.low <= math.log10(value) <= self.high]

    def for_script(self) -> str:
        """For the page's script, which reads values back from places."""
        return f"{'log' if self.logarithmic else 'lin'} {self.low:.6g} {self.high:.6g}"


def round_steps(low: float, high: float) -> list[float]:
    """About four round numbers between two ends."""
    if high <= low:
        return [low]
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough)
    first = math.ceil(low / step)
    return [step * number for number in range(first, math.floor(high / step) + 1)]


def tick(value: float) -> str:
    """A tick's label: short, no exponent."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:.4g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:.4g}k"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"
