"""Which rate to offer next: first to both sides of the limit, then closely around it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from loopbench.results.stats.rate_limit import Crossing, Trial, bracketed, crossing

STRIDE = 1.15
"""By how much the rate changes while all trials are on one side of the limit, and each time by the
square of the last change from the third on."""

LONGEST_STRIDE = 4.0
BEYOND = 1.05
"""How far beyond the highest rate that held, or below the lowest that did not, trials may go."""


PLACES = (-1.0, 0.0, 1.0, 2.0, 3.0)
"""Where trials are placed around the limit, in steps; more of them above it, where requests that
are slow are not rare."""

STEPS = ((45.0, 0.05), (120.0, 0.02), (math.inf, 0.008))
"""By the slope of the curve up to this: the step between rates. A cliff is looked at closely."""

PATIENCE = 3
LEAST_RPS = 1.0
MOST_RPS = 500_000.0


@dataclass(slots=True)
class Search:
    """The search for one server's limit. share: of the requests may be slow.

    first_rps: where it begins. limited: the lowest rate that the generator could not offer as it
    should; None: there was none.
    """

    share: float
    first_rps: float
    seed: str
    trials: list[Trial] = field(default_factory=list)
    limited_rps: float | None = None
    _places: list[float] = field(default_factory=list)
    _turn: int = 0
    _held_up: int = 0
    _known_of: int = 0
    _known: Crossing | None = None

    def next_rps(self) -> float | None:
        """The next rate to offer; None where there is nothing left to find out."""
        if not self.trials:
            return self._within(self.first_rps)
        if not bracketed(self.trials, self.share):
            return self._further()
        found = self.limit()
        if found is None:
            return self._further()
        step = next(step for most, step in STEPS if found.slope <= most)
        middle = self._believable(found.rate_rps)
        rates = (middle * math.exp(step * self._place()) for _ in PLACES)
        return next((rate for rate in rates if self._within(rate) is not None), None)

    def _believable(self, rate_rps: float) -> float:
        """An estimate from few trials may lie far beyond them; the next trials may not."""
        held = [one.rate_rps for one in self.trials if one.slow <= self.share * one.offered]
        missed = [one.rate_rps for one in self.trials if one.slow > self.share * one.offered]
        return min(max(rate_rps, min(missed) / BEYOND), max(held) * BEYOND)

    def _place(self) -> float:
        """Each place once, in an order drawn anew each time."""
        if not self._places:
            self._turn += 1
            self._places = list(PLACES)
            random.Random(f"{self.seed}/{self._turn}").shuffle(self._places)
        return self._places.pop()

    def limit(self) -> Crossing | None:
        """What is known of it so far."""
        if self._known_of < len(self.trials):
            self._known_of = len(self.trials)
            self._known = crossing(self.trials, self.share)
        return self._known

    def add(self, trial: Trial) -> None:
        """What came of a rate."""
        self._held_up = 0
        self.trials.append(trial)

    def not_offered(self, rate_rps: float) -> None:
        """The generator could not offer this rate: what came of it says nothing of the server.

        Once may be chance, other work on the machine; PATIENCE times in a row it is not.
        """
        self._held_up += 1
        if self._held_up >= PATIENCE:
            self.limited_rps = min(rate_rps, self.limited_rps or math.inf)

    def _further(self) -> float | None:
        rates = [trial.rate_rps for trial in self.trials]
        held = self.trials[-1].slow <= self.share * self.trials[-1].offered
        stride = min(LONGEST_STRIDE, STRIDE ** (2 ** max(0, len(rates) - 2)))
        wanted = max(rates) * stride if held else min(rates) / stride
        out_of_reach = not LEAST_RPS <= wanted <= MOST_RPS
        return None if out_of_reach else self._within(wanted)

    def _within(self, rate_rps: float) -> float | None:
        """The rate, or None where the generator could not offer it."""
        if self.limited_rps is not None and rate_rps >= self.limited_rps:
            return None
        return rate_rps
