"""What is to be kept, as a person writes it: p99<20ms."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)\s*<=?\s*(\d+(?:\.\d+)?)\s*(us|ms|s)")
_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
LONGEST_MS = 10_000.0
LEAST_MS = 0.05


@dataclass(frozen=True, slots=True)
class Objective:
    """At most `share` of the requests may take longer than limit_ms, from their intended start."""

    percent: float
    limit_ms: float

    @property
    def share(self) -> float:
        """What may be slow: 0.01 for p99."""
        return 1 - self.percent / 100

    def __str__(self) -> str:
        return f"p{self.percent:g} < {self.limit_ms:g} ms"


def parse(text: str) -> Objective:
    """The Objective that a text names. Raises ValueError with what is wrong."""
    form = _FORM.fullmatch(text.strip().lower())
    if form is None:
        raise ValueError(f"{text!r} is no objective such as 'p99<20ms' or 'p95<1s'.")
    objective = Objective(float(form[1]), float(form[2]) * _MS[form[3]])
    if not objective.percent >= 50 or not LEAST_MS <= objective.limit_ms <= LONGEST_MS:
        longest = f"{LONGEST_MS / 1e3:g} s"
        raise ValueError(f"{text!r}: from p50 to p99.999, and from {LEAST_MS:g} ms to {longest}.")
    return objective
