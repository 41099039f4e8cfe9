"""Layer 3: time, statistically. Base and candidate were measured in turn, in the same Rounds.

A cell and metric has a difference of logarithms a Turn (`results.regression.layers.slices`).
Whether the candidate is slower is tested over the whole table at once, all cells and gated metrics,
by flipping the signs of Rounds (`results.regression.layers.sign_flips`). By how much it is slower
is the 20 %-trimmed mean with its interval (`results.regression.layers.trimmed_t`).

Regressed: the adjusted p is at most alpha, and the slowdown at least the floor. Ruled out: the
upper end of the interval is under the size that is asked about, all planned Rounds are there and
no Warning disqualifies the figures. Everything else cannot be told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np

from loopbench.results.regression.evidence import Evidence
from loopbench.results.regression.finding import Finding, Settings, Verdict, factor, percent
from loopbench.results.regression.layers import slices
from loopbench.results.regression.layers.sign_flips import Flipped, by_slowdown, flipped
from loopbench.results.regression.layers.slices import SHOWN, SLOWER, Cell, Paired, Rounds
from loopbench.results.regression.layers.trimmed_t import Array, Trimmed, trimmed
from loopbench.results.schema.reading_warnings import GENERATOR_LIMIT, MIN_ROUNDS, TRIM_FROM
from loopbench.results.schema.regression import Layer
from loopbench.results.schema.wording import LOAD_TIMES
from loopbench.results.stats import formatting
from loopbench.results.stats.intervals.covariates import Slopes

CAUGHT = 0.95
"""`detectable` is the slowdown that is called with this probability."""

_DRAWN = 500
_SEED = 1
_BEYOND = math.log(10)
_STEP = 0.0005
"""Samples of Rounds, from a seed of their own, and slowdowns as logarithms: how large a one is
tried, and how closely it is told."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One gated metric of one cell, before the whole table is known. doubts: why a verdict other
    than `regressed` cannot be given; void: not even that one."""

    cell: Cell
    metric: str
    base: Rounds
    candidate: Rounds
    pairs: Paired
    estimate: Trimmed | None
    doubts: tuple[str, ...]
    void: bool


def judge(evidence: Evidence, settings: Settings) -> tuple[Finding, ...]:
    """Of every cell: its failures where there are some, the gated metrics, and the p99."""
    base, candidate = (slices.by_cell(rows) for rows in evidence.rows(Layer.TIME))
    yardstick = slices.by_cell(evidence.candidate.yardstick)
    both = [cell for cell in base if cell in candidate]
    planned = evidence.layers[Layer.TIME].rounds or max(
        (len(base[cell].keys() | candidate[cell].keys()) for cell in both), default=0
    )
    slopes = {
        stack: slices.slopes((base[cell], candidate[cell]) for cell in both if cell[0] == stack)
        for stack in {cell[0] for cell in both}
    }
    trials = [
        _trial(cell, metric, base[cell], candidate[cell], planned, _limit(cell, yardstick), follows)
        for cell in both
        for metric, follows in slopes[cell[0]].items()
        if metric in SLOWER
    ]
    absent = absentees(evidence, base.keys() | candidate.keys(), yardstick.keys())
    judged = iter(_table(trials, settings))
    return tuple(
        [finding for cell in both for finding in _cell(cell, base, candidate, judged)]
        + [
            Finding.one_sided(Layer.TIME, cell, "slots", base.get(cell), candidate.get(cell))
            for cell in dict.fromkeys((*base, *candidate))
            if cell not in both
        ]
        + absent
    )


def _cell(
    cell: Cell, base: dict[Cell, Rounds], candidate: dict[Cell, Rounds], judged: Iterator[Finding]
) -> Iterator[Finding]:
    yield from failures(cell, base[cell], candidate[cell])
    for _ in SLOWER:
        yield next(judged)
    yield from _shown(cell, base[cell], candidate[cell])


def _trial(
    cell: Cell,
    metric: str,
    base: Rounds,
    candidate: Rounds,
    planned: int,
    limit: float | None,
    follows: Slopes,
) -> Trial:
    pairs = slices.paired(base, candidate, metric, follows)
    doubts, void = [], False
    for code, rounds in slices.doubted(base, candidate, metric).items():
        if rounds > len(pairs.rounds) // TRIM_FROM:
            doubts.append(f"{code} in {rounds} Rounds")
            void = True
    fastest = [slices.typical(side, "throughput_rps") or 0 for side in (base, candidate)]
    if limit is not None and max(fastest) >= GENERATOR_LIMIT * limit and _of_load(metric):
        doubts.append("generator-limit: as fast as the trivial responder")
        void = True
    if len(pairs.rounds) < planned:
        doubts.append(f"{len(pairs.rounds)} of {planned} Rounds")
    estimate = trimmed(pairs.differences) if len(pairs.rounds) >= MIN_ROUNDS else None
    return Trial(cell, metric, base, candidate, pairs, estimate, tuple(doubts), void)


def _of_load(metric: str) -> bool:
    return metric.startswith(LOAD_TIMES)


def _limit(cell: Cell, yardstick: dict[Cell, Rounds]) -> float | None:
    """What the generator reached against the trivial responder with the same load."""
    rounds = next((of_cell for known, of_cell in yardstick.items() if known[1] == cell[1]), None)
    return None if rounds is None else slices.typical(rounds, "throughput_rps")


def _table(trials: Sequence[Trial], settings: Settings) -> list[Finding]:
    """Verdicts of the whole table."""
    p_values = flipped(by_round([trial.pairs for trial in trials]), settings.alpha)
    return [_finding(trial, p_values, place, settings) for place, trial in enumerate(trials)]


def by_round(pairs: Sequence[Paired]) -> Array:
    """The differences of each figure by Round and Turn; NaN in a Round without any."""
    rounds = sorted({number for pair in pairs for number in pair.rounds})
    places = {number: place for place, number in enumerate(rounds)}
    turns = max((pair.differences.shape[-1] for pair in pairs), default=0)
    table = np.full((len(pairs), len(rounds), turns), np.nan)
    for figure, pair in zip(table, pairs, strict=True):
        figure[[places[number] for number in pair.rounds]] = pair.differences
    return table


def _finding(trial: Trial, p_values: Flipped, place: int, settings: Settings) -> Finding:
    shown = shown_value(trial.base, trial.metric), shown_value(trial.candidate, trial.metric)
    estimate, n = trial.estimate, len(trial.pairs.rounds)
    if estimate is None:
        why = "; ".join((f"{n} Rounds are too few", *trial.doubts))
        cannot = Verdict.CANNOT_TELL
        return Finding(Layer.TIME, *trial.cell, trial.metric, cannot, why, *shown, n=n, p=1.0)
    above, below = float(p_values.above[place]), float(p_values.below[place])
    low, high = float(estimate.lower(settings.alpha)), float(estimate.upper(settings.alpha))
    mean = float(estimate.mean)
    detectable = smallest(trial.pairs.differences, p_values.level, settings)
    verdict = _verdict(trial, mean, high, above, below, settings)
    ends = sorted(factor(SLOWER[trial.metric] * end) for end in (low, high))
    return Finding(
        Layer.TIME,
        *trial.cell,
        trial.metric,
        verdict,
        _meaning(trial, verdict, mean, low, high, detectable),
        *shown,
        ratio=factor(SLOWER[trial.metric] * mean),
        ratio_low=ends[0],
        ratio_high=ends[1],
        n=n,
        p=above,
        detectable=detectable,
    )


def _verdict(
    trial: Trial, mean: float, high: float, above: float, below: float, settings: Settings
) -> Verdict:
    floor = math.log1p(settings.floor)
    if trial.void:
        return Verdict.CANNOT_TELL
    if above <= settings.alpha and mean >= floor:
        return Verdict.REGRESSED
    if trial.doubts or high >= math.log1p(settings.ruled_out):
        return Verdict.CANNOT_TELL
    if below <= settings.alpha and mean <= -floor:
        return Verdict.IMPROVED
    return Verdict.RULED_OUT


def smallest(differences: Array, level: float, settings: Settings) -> float:
    """The slowdown, as a share, that would be called with a probability of CAUGHT where the Rounds
    differ as these do: `level` is reached, and the floor. Infinite where none would be.

    Of Rounds that are drawn from these with replacement (B. Efron, Annals of Statistics 7 (1979)
    1-26), each with either sign, since how slow the candidate is here must not matter.
    """
    n = len(differences)
    rng = np.random.default_rng(_SEED)
    apart = differences - np.median(differences)
    drawn = apart[rng.integers(0, n, (_DRAWN, n))] * rng.choice((-1.0, 1.0), (_DRAWN, n, 1))

    statistic, mean = by_slowdown(drawn), trimmed(drawn).mean

    def caught(log: float) -> bool:
        called = (statistic(log) >= level) & (mean + log >= math.log1p(settings.floor))
        return float(called.mean()) >= CAUGHT

    if not math.isfinite(level) or not caught(_BEYOND):
        return math.inf
    low, high = 0.0, _BEYOND
    while high - low > _STEP:
        middle = (low + high) / 2
        low, high = (low, middle) if caught(middle) else (middle, high)
    return factor(high) - 1


def _meaning(
    trial: Trial, verdict: Verdict, mean: float, low: float, high: float, detectable: float
) -> str:
    worst, best = factor(high) - 1, factor(low) - 1
    doubts = "; ".join(trial.doubts)
    match verdict:
        case Verdict.REGRESSED:
            change = f"slower by {percent(factor(mean) - 1)}, {percent(best)} at least"
        case Verdict.IMPROVED:
            change = f"faster by {percent(factor(-mean) - 1)}"
        case Verdict.RULED_OUT:
            change = "not slower" if worst <= 0 else f"slower by {percent(worst)} at most"
        case _:
            room = "not slower" if worst <= 0 else f"up to {percent(worst)} slower is possible"
            caught = percent(detectable) if math.isfinite(detectable) else "nothing"
            change = f"{room}, {caught} could have been caught"
    notes = _notes(trial)
    return "; ".join(part for part in (change, doubts, notes) if part)


def _notes(trial: Trial) -> str:
    """Warnings of either side's slots, disqualifying or not."""
    notes = []
    for side, rounds in (("base", trial.base), ("candidate", trial.candidate)):
        counts = slices.warned(rounds)
        every = sum(map(len, rounds.values()))
        notes += [f"{code} in {n} of {every} slots of the {side}" for code, n in counts.items()]
    return ", ".join(notes)


def shown_value(rounds: Rounds, metric: str) -> str | None:
    centre = slices.typical(rounds, metric)
    return None if centre is None else formatting.figure(metric, centre)


def _shown(cell: Cell, base: Rounds, candidate: Rounds) -> Iterator[Finding]:
    pairs = slices.paired(base, candidate, SHOWN)
    if len(pairs.rounds) < MIN_ROUNDS:
        return
    yield Finding(
        Layer.TIME,
        *cell,
        SHOWN,
        Verdict.SHOWN,
        "shown, not gated",
        shown_value(base, SHOWN),
        shown_value(candidate, SHOWN),
        ratio=factor(float(trimmed(pairs.differences).mean)),
        n=len(pairs.rounds),
    )


FAILURES = "failures"


def failures(cell: Cell, base: Rounds, candidate: Rounds) -> Iterator[Finding]:
    """Nothing where no request failed. Times count correct answers only, so a side that fails is
    not compared by them alone."""
    (before, of_base), (after, of_candidate) = slices.failed(base), slices.failed(candidate)
    if not before and not after:
        return
    if not before:
        verdict, who = Verdict.REGRESSED, "of the candidate only"
    elif not after:
        verdict, who = Verdict.IMPROVED, "of the base only"
    else:
        verdict, who = Verdict.CANNOT_TELL, "on both sides"
    meaning = (
        f"requests failed {who}: {before:,} of {of_base:,}, then {after:,} of {of_candidate:,}"
    )
    yield Finding(Layer.TIME, *cell, FAILURES, verdict, meaning, f"{before:,}", f"{after:,}")


def absentees(evidence: Evidence, measured: Set[Cell], yardstick: Set[Cell]) -> list[Finding]:
    """Cells that were planned and of which there is not one slot; yardstick: those of no side."""
    known = {(stack, case.rpartition("-")[0]) for stack, case in (*measured, *yardstick)}
    return [
        Finding(
            Layer.TIME, stack, case, "slots", Verdict.CANNOT_TELL, "planned, and not one slot of it"
        )
        for stack, case in sorted(evidence.layers[Layer.TIME].cells - known)
    ]
