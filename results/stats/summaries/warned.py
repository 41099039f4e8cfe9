"""Warnings of a Cell, over its Rounds."""

from __future__ import annotations

from dataclasses import dataclass

from loopbench.results.schema.warnings import wording
from loopbench.results.schema.wording import Wording


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001  the project's noun
    """A code as it touches one Cell: in how many of its Rounds."""

    code: str
    rounds: int
    of: int

    @property
    def wording(self) -> Wording:
        """The code in words; an unknown code says that it is unknown."""
        return wording(self.code)
