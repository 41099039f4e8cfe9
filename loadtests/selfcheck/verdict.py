"""What a check of the instrument found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """One demand on the instrument: what was demanded, what was seen, whether it was met."""

    demand: str
    outcome: str
    met: bool

    def line(self) -> str:
        """For the terminal."""
        return f"{'met    ' if self.met else 'NOT MET'}  {self.demand}: {self.outcome}"
