"""Which rate to offer next: first to both sides of the limit, then closely around it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from loopbench.loadtests.capacity.trial import Tried
from loopbench.results.stats.queueing.rate_limit import (
    Crossing,
    Trial,
    bracketed,
    crossing,
    undisturbed,
)

STRIDE = 1.15
"""By how much the rate changes while all trials are on one side of the limit, and each time by the
square of the last change from the third on."""

LONGEST_STRIDE = 4.0
BEYOND = 1.05
"""How far beyond the highest rate that held, or below the lowest that did not, trials may go."""


PLACES = (-0.2, 0.0, 0.2, 0.5, 1.0)
"""Where trials are placed: from the limit, 0, to the rate that fills the server, 1. Where it is
full, each trial tells its service, and by how much that differs from trial to trial. How many are
late on the way there tells what kind of queue the server is."""

FULL = 1.03
"""So far above the rate that fills it a server is full in a trial whose service is shorter than
usual by one deviation."""

LEAST_STEP, MOST_STEP = 0.008, 0.7
"""Bounds of the way from the limit to the full server, in the rate's logarithm."""

LEAST_TRIALS = 20
"""Before a search may end for being exact enough: of few trials the deviation looks too small, by
luck, just where the interval looks narrow."""

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
        if not bracketed(self.usable, self.share):
            return self._further()
        limit = self.limit()
        if limit is None:
            return self._further()
        way = self._way(limit)
        middle = self._believable(limit.rate_rps)
        rates = (middle * math.exp(way * self._place()) for _ in PLACES)
        return next((rate for rate in rates if self._within(rate) is not None), None)

    def _way(self, limit: Crossing) -> float:
        """From the limit to the rate at which the server is full, in the rate's logarithm."""
        reading = limit.reading
        if reading is None:
            return LEAST_STEP
        full = math.log(FULL * reading.full_rps / limit.rate_rps) + reading.deviation
        return min(max(full, LEAST_STEP), MOST_STEP)

    def _believable(self, rate_rps: float) -> float:
        """An estimate from few trials may lie far beyond them; the next trials may not."""
        held = [trial.rate_rps for trial in self.usable if trial.slow <= self.share * trial.offered]
        missed = [
            trial.rate_rps for trial in self.usable if trial.slow > self.share * trial.offered
        ]
        return min(max(rate_rps, min(missed) / BEYOND), max(held) * BEYOND)

    def _place(self) -> float:
        """Each place once, in an order drawn anew each time."""
        if not self._places:
            self._turn += 1
            self._places = list(PLACES)
            random.Random(f"{self.seed}/{self._turn}").shuffle(self._places)
        return self._places.pop()

    @property
    def usable(self) -> list[Trial]:
        """The trials that hypervisor and other programs left alone, in their order."""
        return undisturbed(self.trials)

    def limit(self) -> Crossing | None:
        """What is known of it so far."""
        if self._known_of < len(self.trials):
            self._known_of = len(self.trials)
            self._known = crossing(self.usable, self.share)
        return self._known

    def known_to(self, precision: float) -> bool:
        """Whether half of the limit's interval is at most this share of it, by trials enough."""
        limit = self.limit()
        width = None if limit is None else limit.half_width
        return width is not None and width <= precision and len(self.usable) >= LEAST_TRIALS

    def learn(self, rate_rps: float, tried: Tried) -> None:
        """What came of a rate. A generator that was late with CPU left was held up by other work:
        that tells nothing, neither of the server nor of the rate."""
        if tried.full:
            self.not_offered(rate_rps)
        elif not tried.limited:
            self.add(tried.trial)

    def add(self, trial: Trial) -> None:
        """What came of a rate."""
        self._held_up = 0
        self.trials.append(trial)

    def not_offered(self, rate_rps: float) -> None:
        """The generator had no CPU left to offer this rate: what came of it tells nothing of the
        server.

        Once may be chance, other work on the machine; PATIENCE times in a row it is not.
        """
        self._held_up += 1
        if self._held_up >= PATIENCE:
            self.limited_rps = min(rate_rps, self.limited_rps or math.inf)

    def _further(self) -> float | None:
        usable = self.usable
        rates = [trial.rate_rps for trial in usable]
        held = usable[-1].slow <= self.share * usable[-1].offered
        stride = min(LONGEST_STRIDE, STRIDE ** (2 ** max(0, len(rates) - 2)))
        wanted = max(rates) * stride if held else min(rates) / stride
        out_of_reach = not LEAST_RPS <= wanted <= MOST_RPS
        return None if out_of_reach else self._within(wanted)

    def _within(self, rate_rps: float) -> float | None:
        """The rate, or None where the generator could not offer it."""
        if self.limited_rps is not None and rate_rps >= self.limited_rps:
            return None
        return rate_rps
