"""Warnings of a Cell, over its Rounds."""

from __future__ import annotations

from dataclasses import dataclass

from loopbench.results.schema.reading_warnings import TRIM_FROM
from loopbench.results.schema.warnings import Code, wording
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

    def voids(self, of: int | None = None) -> bool:
        """Whether the Cell's figures are not to be compared, for it says that something else was
        measured, in more Rounds than are trimmed away.

        A rate is missed in more than half: what a stack holds in most Rounds it holds, and in the
        others the machine was in the way. of: the Rounds that have the figure in question, where
        that is not all of them.
        """
        rounds = self.of if of is None else of
        most = rounds // 2 if self.code == Code.RATE_MISSED else rounds // TRIM_FROM
        return self.wording.disqualifies and self.rounds > most
