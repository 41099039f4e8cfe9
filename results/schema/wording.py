"""What a Warning says, and which figures it puts in doubt."""

from __future__ import annotations

from dataclasses import dataclass

LOAD_TIMES = ("throughput", "service_time", "response_time")
"""Beginnings of the columns that the generator measures."""


@dataclass(frozen=True, slots=True)
class Wording:
    """One code in words.

    touches: beginnings of the columns whose figures are in doubt; empty: all.
    disqualifies: a Comparison of such figures would compare something else,
    so its verdict is "cannot tell". minor: it hardly changes a figure, so that no mark at the
    figure says it. short: what it means, where that is too long for a line of the short table.
    """

    happened: str
    means: str
    do: str
    touches: tuple[str, ...] = ()
    disqualifies: bool = False
    minor: bool = False
    short: str = ""

    @property
    def in_a_line(self) -> str:
        """What it means, in a line."""
        return self.short or self.means

    def concerns(self, metric: str) -> bool:
        """Whether a figure of that column is in doubt."""
        return not self.touches or metric.startswith(self.touches)
