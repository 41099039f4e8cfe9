"""Axes: where a reading stands, and which round numbers stand beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopbench.results.report.charts.style import INK
from loopbench.results.stats.location import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GRID: dict[str, Any] = {"color": INK, "alpha": 0.13, "lw": 0.6}
_NARROW = 0.75
"""Powers of ten: a shorter logarithmic axis has too few round numbers of one digit."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Logarithmic where the readings are all above zero and far apart, else linear from zero."""

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

    def at(self, value: float) -> float:
        """Its place on the axis."""
        return math.log10(value) if self.logarithmic else value

    def clipped(self, interval: Interval) -> tuple[float, float]:
        """The ends of an interval, those outside the picture at its edge."""
        low = self.at(interval.low) if self.shows(interval.low) else self.low
        high = self.at(interval.high) if self.shows(interval.high) else self.low
        return max(low, self.low), min(high, self.high)

    def ticks(self) -> list[tuple[float, str]]:
        """Places with their labels."""
        if not self.logarithmic:
            return [(value, tick(value)) for value in round_steps(self.low, self.high)]
        span = self.high - self.low
        if span < _NARROW:
            values = round_steps(10**self.low, 10**self.high)
            return [(math.log10(value), tick(value)) for value in values if value > 0]
        leading = (1, 2, 5) if span < 2.2 else (1, 3) if span < 3.2 else (1,)
        exponents = range(math.floor(self.low) - 1, math.ceil(self.high) + 1)
        step = max(1, math.ceil(span / 7))
        every = [
            digit * 10.0**power for power in exponents if power % step == 0 for digit in leading
        ]
        inside = [value for value in every if self.low <= math.log10(value) <= self.high]
        return [(math.log10(value), tick(value)) for value in inside]

    def along_x(self, axes: Axes) -> None:
        """Be the horizontal axis."""
        axes.set_xlim(self.low, self.high)
        ticks = self.ticks()
        axes.set_xticks([at for at, _ in ticks], [text for _, text in ticks])
        axes.grid(axis="x", **GRID)

    def along_y(self, axes: Axes) -> None:
        """Be the vertical axis."""
        axes.set_ylim(self.low, self.high)
        ticks = self.ticks()
        axes.set_yticks([at for at, _ in ticks], [text for _, text in ticks])
        axes.grid(axis="y", **GRID)


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
