"""Findings: what the check says of one fact or quantity, and what that weighs."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from loopbench.results import schema
from loopbench.results.schema import Row
from loopbench.results.schema.regression import Layer

EVERY = "*"
"""In a Finding about a whole layer: every stack, subject or metric."""


class Verdict(enum.StrEnum):
    """What a Finding says."""

    SAME = "same"
    CHANGED = "changed"
    REGRESSED = "regressed"
    IMPROVED = "improved"
    RULED_OUT = "ruled-out"
    CANNOT_TELL = "cannot-tell"
    MISSING = "missing"
    NOT_RUN = "not-run"
    SHOWN = "shown"


class Weight(enum.IntEnum):
    """What a Finding means for the whole table: one regression decides, then one doubt.

    The values are the exit statuses of the command, which has 3 for what cannot be judged at all.
    """

    FINE = 0
    REGRESSION = 1
    DOUBT = 2


_WEIGHTS = {
    Verdict.CHANGED: Weight.REGRESSION,
    Verdict.REGRESSED: Weight.REGRESSION,
    Verdict.CANNOT_TELL: Weight.DOUBT,
    Verdict.NOT_RUN: Weight.DOUBT,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What counts as a regression; every value is a share (0.01: one per cent).

    instructions: a growth from which on a route has regressed. floor: smaller slowdowns are none,
    however sure they are. ruled_out: what the interval has to stay under to say that there is no
    slowdown. alpha: the false alarms of layer 3, over its whole table.
    """

    instructions: float = 0.01
    floor: float = 0.02
    ruled_out: float = 0.05
    alpha: float = 0.005


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of regression.csv; the columns' meanings stand in `schema.FINDINGS`.

    base, candidate: None where that side does not have it. detectable: a share. unread: it is the
    same of both sides, since neither could be read.
    """

    layer: Layer
    stack: str
    subject: str
    metric: str
    verdict: Verdict
    meaning: str = ""
    base: str | None = None
    candidate: str | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    n: int | None = None
    p: float | None = None
    detectable: float | None = None
    unread: bool = False

    @classmethod
    def one_sided(
        cls, layer: Layer, key: tuple[str, str], metric: str, base: object, candidate: object
    ) -> Finding:
        """What only one side has: the other one is None. A value that is no text is not shown."""
        meaning = "only the base has it" if candidate is None else "new: only the candidate has it"
        before, after = (
            value if value is None or isinstance(value, str) else "measured"
            for value in (base, candidate)
        )
        return cls(layer, *key, metric, Verdict.MISSING, meaning, before, after)

    @property
    def gone(self) -> bool:
        """Whether only the base has it."""
        return self.verdict is Verdict.MISSING and self.candidate is None

    @property
    def weight(self) -> Weight:
        """What went away is a regression; what is new is none."""
        if self.verdict is Verdict.MISSING:
            return Weight.REGRESSION if self.gone else Weight.FINE
        return _WEIGHTS.get(self.verdict, Weight.FINE)

    @property
    def where(self) -> str:
        """Stack and subject, for a person."""
        return " ".join(part for part in (self.stack, self.subject) if part != EVERY)

    @property
    def row(self) -> Row:
        """As a row of `schema.FINDINGS`."""
        return {name: _cell(getattr(self, name)) for name in schema.FINDINGS.names}


def _cell(value: str | float | None) -> str | float | None:
    if isinstance(value, enum.Enum):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def percent(share: float) -> str:
    """A share for a person, in per cent: as many digits as it takes to tell it from nothing."""
    size = abs(share) * 100
    places = 1 if size >= 0.995 else 2 if size >= 0.0995 else 3
    text = f"{share * 100:.{places}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %".replace("-0 %", "0 %")


def signed(share: float) -> str:
    """The same with its sign."""
    text = percent(share)
    return text if share < 0 or text == "0 %" else f"+{text}"


def factor(log_ratio: float) -> float:
    """A logarithm as a ratio; infinite where that is beyond all numbers."""
    try:
        return math.exp(log_ratio)
    except OverflowError:
        return math.inf
