"""Whether requests are slow more often than the base's: a sign test of pairs of batches.

Both sides were asked in turn, in batches. A pair in which one side had more slow requests than the
other is a sign for that side; without a difference both signs are as likely, however often the
machine makes requests slow, and however these cluster. So the number of signs has a binomial
distribution with 1/2 (the sign test; J. V. Bradley, Distribution-free Statistical Tests, 1968). The
p-values are adjusted by Holm over the table.

`detectable` is the share of slow requests that would have been called with a probability of 95 %,
had they come at random, at the strictest of Holm's levels and beside the base's own slow ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, gammaln, xlogy

from loopbench.results.regression.evidence import Evidence, by_subject
from loopbench.results.regression.finding import Finding, Settings, Verdict, percent
from loopbench.results.regression.layers.slices import whole
from loopbench.results.regression.layers.timing import CAUGHT
from loopbench.results.regression.layers.trimmed_t import holm
from loopbench.results.schema import Row
from loopbench.results.schema.regression import Layer

METRIC = "slow requests"

SEEN = 0.02
"""A share of slow requests that has to be detectable for a verdict of no regression."""

_STEPS = 200
"""Of the shares that are tried: hundredths of a per cent up to two per cent."""

Batches = Mapping[int, Row]


@dataclass(frozen=True, slots=True)
class Trial:
    """A cell before the whole table is known. more, fewer: pairs of batches in which the
    candidate had more slow requests than the base, or fewer."""

    cell: tuple[str, str]
    base: Batches
    candidate: Batches
    more: int
    fewer: int

    @property
    def pairs(self) -> int:
        """The batches that both sides have."""
        return len(self.base.keys() & self.candidate.keys())


def judge(evidence: Evidence, settings: Settings) -> tuple[Finding, ...]:
    """One Finding a stack and case; wrong answers of the candidate only are a regression, too."""
    base, candidate = (_cells(rows) for rows in evidence.rows(Layer.TAILS))
    trials = [_trial(cell, base[cell], candidate[cell]) for cell in base if cell in candidate]
    above, below = (
        holm(np.array([_p(trial, worse) for trial in trials])) for worse in (True, False)
    )
    findings = [
        _finding(trial, float(p), float(q), len(trials), settings)
        for trial, p, q in zip(trials, above, below, strict=True)
    ]
    findings += [
        Finding.one_sided(Layer.TAILS, cell, METRIC, base.get(cell), candidate.get(cell))
        for cell in dict.fromkeys((*base, *candidate))
        if cell not in base or cell not in candidate
    ]
    return (*findings, *_absent(evidence, base.keys() | candidate.keys()))


def _absent(evidence: Evidence, measured: Set[tuple[str, str]]) -> Iterator[Finding]:
    """Cells that were planned, and that neither side was asked for. What was not reached before
    the layer was broken off is said elsewhere."""
    state = evidence.layers[Layer.TAILS]
    for stack, case in sorted(state.cells - measured):
        if case not in state.not_reached.get(stack, ()):
            meaning = "not asked: not both sides have it, with the same request"
            yield Finding(Layer.TAILS, stack, case, METRIC, Verdict.CANNOT_TELL, meaning)


def _cells(rows: Iterable[Row]) -> dict[tuple[str, str], Batches]:
    return {
        cell: {whole(row, "batch"): row for row in batches}
        for cell, batches in by_subject(rows, "case").items()
    }


def _trial(cell: tuple[str, str], base: Batches, candidate: Batches) -> Trial:
    pairs = [
        (whole(base[number], "slow"), whole(candidate[number], "slow"))
        for number in base.keys() & candidate.keys()
    ]
    more = sum(after > before for before, after in pairs)
    fewer = sum(after < before for before, after in pairs)
    return Trial(cell, base, candidate, more, fewer)


def _p(trial: Trial, worse: bool) -> float:
    """Of so many signs or more, had both sides the same share of slow requests."""
    signs = trial.more if worse else trial.fewer
    return _at_least(signs, trial.more + trial.fewer, 0.5)


def _at_least(count: int, trials: int, share: float) -> float:
    """The probability of so many successes or more, by the binomial distribution."""
    return float(bdtrc(count - 1, trials, share))


def _sum(batches: Batches, column: str) -> int:
    return sum(whole(row, column) for row in batches.values())


def _finding(trial: Trial, above: float, below: float, family: int, settings: Settings) -> Finding:
    failed = [_sum(side, "failures") for side in (trial.base, trial.candidate)]
    before, after = (
        f"{_sum(side, 'slow'):,} of {_sum(side, 'requests'):,}"
        for side in (trial.base, trial.candidate)
    )
    detectable_share = detectable(trial, family, settings)
    verdict, meaning = _verdict(trial, above, below, detectable_share, settings)
    if failed[0]:
        too = f", and {failed[1]:,} of the candidate" if failed[1] else ""
        verdict, meaning = Verdict.CANNOT_TELL, f"{failed[0]:,} wrong answers of the base{too}"
    elif failed[1]:
        verdict, meaning = Verdict.REGRESSED, f"{failed[1]:,} wrong answers, of the candidate only"
    return Finding(
        Layer.TAILS,
        *trial.cell,
        METRIC,
        verdict,
        meaning,
        before,
        after,
        n=trial.pairs,
        p=above,
        detectable=detectable_share,
    )


def _verdict(
    trial: Trial, above: float, below: float, detectable_share: float | None, settings: Settings
) -> tuple[Verdict, str]:
    row = next(iter(trial.candidate.values()))
    condition = f"slow: {row['slow_ms']:g} ms above the median, or more"
    if above <= settings.alpha:
        where = f"in {trial.more} of {trial.pairs} batches"
        return Verdict.REGRESSED, f"come more often, {where} ({condition})"
    if below <= settings.alpha:
        return Verdict.IMPROVED, f"come less often ({condition})"
    if detectable_share is None:
        return (
            Verdict.CANNOT_TELL,
            f"a share of {percent(SEEN)} could not have been seen ({condition})",
        )
    return Verdict.SAME, ""


def detectable(trial: Trial, family: int, settings: Settings) -> float | None:
    """The share of slow requests, beside the base's own, that would have been called with a
    probability of CAUGHT; None where that is more than SEEN."""
    batches = trial.pairs
    requests = _sum(trial.base, "requests") / max(len(trial.base), 1)
    own = _sum(trial.base, "slow") / max(len(trial.base), 1)
    level = settings.alpha / family
    for step in range(1, _STEPS + 1):
        share = step / 10_000
        if power(own, own + share * requests, batches, level) >= CAUGHT:
            return share
    return None


_MOST = 60
"""More slow requests in a batch than this are as good as never seen."""


def power(base: float, candidate: float, batches: int, level: float) -> float:
    """The probability that so many pairs of batches, with so many slow requests a batch on
    average, come at random, give a p-value of `level` or less."""
    joint = np.outer(_poisson(base), _poisson(candidate))
    more, fewer = float(np.triu(joint, 1).sum()), float(np.tril(joint, -1).sum())
    called = 0.0
    for signs in range(1, batches + 1):
        needed = _needed(signs, level)
        if needed is not None:
            different = more + fewer
            here = _at_least(signs, batches, different) - _at_least(signs + 1, batches, different)
            called += here * _at_least(needed, signs, more / different)
    return called


def _poisson(mean: float) -> NDArray[np.float64]:
    """The probability of 0, 1, … slow requests in a batch, where so many come on average."""
    counts = np.arange(_MOST)
    return np.asarray(np.exp(xlogy(counts, mean) - mean - gammaln(counts + 1)))


@cache
def _needed(signs: int, level: float) -> int | None:
    """How many of so many signs have to be against the candidate; None: not even all would do."""
    return next(
        (needed for needed in range(signs + 1) if _at_least(needed, signs, 0.5) <= level), None
    )
