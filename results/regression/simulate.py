"""Tables of a check on a machine whose noise is known, to see how often it is right.

The noise is simulated (`Noise`) or measured (`Twins`). A simulated Slice's reading is, in
logarithms: the drift of the machine at its place in time, the luck of its process, the noise of
the Slice, and now and then something beside it that makes the Slice 1.3 to 3 times slower. Measured
readings are those of equal servers, in Blocks drawn with replacement. Both sides have all of it;
the candidate has the given effect on top.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from loopbench.results.regression.finding import Settings
from loopbench.results.regression.layers.sign_flips import each_flipped
from loopbench.results.regression.layers.slices import SLOWER, by_cell, paired, slopes
from loopbench.results.regression.layers.trimmed_t import Array, trimmed
from loopbench.results.schema import ROOT, SLICES, SLOTS, Row, read_table
from loopbench.results.schema.regression import TIME_ROUNDS, TIME_TURNS
from loopbench.results.stats.intervals.slices import by_run

NOISE = ROOT / "results" / "noise"
"""What equal servers were measured to differ by."""

_TWIN = "twin"
"""What the name of the same stack ends in, the second time."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The table of a check: cells, gated metrics, Rounds, and Turns of each."""

    cells: int = 8
    metrics: int = 3
    rounds: int = TIME_ROUNDS
    turns: int = TIME_TURNS


@dataclass(frozen=True, slots=True)
class Noise:
    """sd: of the mean of a side's Slices in a Round, as a share. process: of what all Slices of a
    process have in common. drift: from the first Slice to the last, as a share. outliers: share of
    the Slices that something disturbs; worst, mildest: by which factor."""

    sd: float = 0.025
    process: float = 0.0
    drift: float = 0.05
    outliers: float = 0.05
    mildest: float = 1.3
    worst: float = 3.0

    def readings(self, rng: np.random.Generator, tables: int, shape: Shape) -> Array:
        """Logarithms of readings without any effect: tables, tests, Rounds, Turns, sides.

        What disturbs a Slice disturbs all its metrics; otherwise their noise is independent.
        """
        outer = (tables, shape.cells, 1, shape.rounds)
        slices = (*outer, shape.turns, 2)
        places = rng.permuted(np.broadcast_to(np.arange(2), slices), axis=-1)
        number, cell = np.arange(shape.rounds), np.arange(shape.cells)[:, None, None]
        turn = (number * shape.cells + cell)[..., None] * shape.turns + np.arange(shape.turns)
        of = shape.rounds * shape.cells * shape.turns * 2
        moved = self.drift * ((turn[..., None] * 2 + places) / of - 0.5)
        hit = rng.random(slices) < self.outliers
        disturbed = hit * np.log(rng.uniform(self.mildest, self.worst, slices))
        inner = (tables, shape.cells, shape.metrics, shape.rounds)
        own = rng.normal(0, self.sd * math.sqrt(shape.turns), (*inner, shape.turns, 2))
        lucky = rng.normal(0, self.process, (*inner, 1, 2))
        tests = shape.cells * shape.metrics
        sized = (tables, tests, shape.rounds, shape.turns, 2)
        return np.asarray((own + lucky + moved + disturbed).reshape(sized))


@dataclass(frozen=True, slots=True)
class Twins:
    """Measured Blocks of equal servers. pool: how much slower one was than the other in a Turn, a
    logarithm, by stack, Block, Turn and metric."""

    pool: Array

    def readings(self, rng: np.random.Generator, tables: int, shape: Shape) -> Array:
        """Blocks at random: tables, tests, Rounds, Turns, sides.

        A cell has one stack. Which of the twins is the candidate is drawn for each Block, so that
        there is no effect, whatever the pool's mean is.
        """
        outer = (tables, shape.cells)
        stack = rng.integers(0, len(self.pool), (*outer, 1))
        block = rng.integers(0, self.pool.shape[1], (*outer, shape.rounds))
        drawn = self.pool[stack, block]
        exchanged = rng.random((*outer, shape.rounds)) < 0.5
        drawn = np.where(exchanged[..., None, None], -drawn, drawn)
        sized = (tables, shape.cells * shape.metrics, shape.rounds, self.pool.shape[2])
        by_metric = np.moveaxis(drawn, -1, 2).reshape(sized)
        return np.stack([np.zeros_like(by_metric), by_metric], axis=-1)


def measured_twins() -> Twins:
    """Of results/noise/slices.csv: 100 Blocks of each core stack beside a hidden twin, on an AMD
    EPYC, without the short work. Of the eight Slices a side that a Block has there the first
    TIME_TURNS are taken."""
    runs = by_run(read_table(NOISE, SLICES))
    pool: defaultdict[str, list[Array]] = defaultdict(list)
    for run_id, rows in sorted(runs.items()):
        block, stack, scenario = run_id.split(".")
        twin = runs.get(f"{block}.{stack}{_TWIN}.{scenario}")
        if twin is not None:
            pool[stack].append(_slower(rows[:TIME_TURNS], twin[:TIME_TURNS]))
    return Twins(np.array(list(pool.values())))


def _slower(base: Sequence[Row], candidate: Sequence[Row]) -> Array:
    """By Turn and metric."""
    one, other = (
        np.array([[math.log(float(str(row[metric]))) for metric in SLOWER] for row in rows])
        for rows in (base, candidate)
    )
    return np.asarray(np.array(list(SLOWER.values())) * (other - one))


def measured_sides() -> Twins:
    """Of results/noise/slots.csv: equal sides of the check's own layer of times, on an Intel Xeon.
    Each cell of a Round is a Block of its stack."""
    rows = tuple(read_table(NOISE, SLOTS))
    base, candidate = (
        by_cell(row for row in rows if row["side"] == side) for side in ("base", "candidate")
    )
    pool = []
    for stack in sorted({stack for stack, _ in base}):
        cells = [(base[cell], candidate[cell]) for cell in base if cell[0] == stack]
        follows = slopes(cells)
        by_metric = [
            np.concatenate([paired(*sides, metric, follows[metric]).differences for sides in cells])
            for metric in SLOWER
        ]
        pool.append(np.stack(by_metric, axis=-1))
    return Twins(np.array(pool))


@dataclass(frozen=True, slots=True)
class Judged:
    """What the check said of simulated tables: one row a table, one column a test."""

    regressed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    ruled_out: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def judged(values: Array, settings: Settings, effect: float = 0.0) -> Judged:
    """Verdicts, by the code that the check itself uses. effect: slowdown of the first test of
    each table, as a share."""
    differences = values[..., 1] - values[..., 0]
    differences[:, 0] += math.log1p(effect)
    estimate = trimmed(differences)
    above = np.array([p_values.above for p_values in each_flipped(differences, settings.alpha)])
    regressed = (above <= settings.alpha) & (estimate.mean >= math.log1p(settings.floor))
    return Judged(regressed, estimate.upper(settings.alpha) < math.log1p(settings.ruled_out))


@dataclass(frozen=True, slots=True)
class Rates:
    """Counts over simulated tables. alarms: tables with a false alarm; caught: slowdowns that
    were called; missed: slowdowns that were ruled out; quiet: tables all ruled out, rightly."""

    tables: int
    alarms: int
    caught: int
    missed: int
    quiet: int


def rates(
    tables: int,
    shape: Shape,
    noise: Noise | Twins,
    effect: float = 0.05,
    settings: Settings | None = None,
    seed: int = 1,
    batch: int = 250,
) -> Rates:
    """Judge so many tables without an effect, and again with it in one test of each."""
    (under_effect,) = rates_under((effect,), tables, shape, noise, settings, seed, batch)
    return under_effect


def rates_under(
    effects: Sequence[float],
    tables: int,
    shape: Shape,
    noise: Noise | Twins,
    settings: Settings | None = None,
    seed: int = 1,
    batch: int = 250,
) -> tuple[Rates, ...]:
    """The same under each of several effects, of the same tables."""
    rng, totals = np.random.default_rng(seed), np.zeros((len(effects), 4), dtype=int)
    settings = settings or Settings()
    for begun in range(0, tables, batch):
        values = noise.readings(rng, min(batch, tables - begun), shape)
        equal = judged(values, settings)
        for counts, effect in zip(totals, effects, strict=True):
            slower = judged(values, settings, effect)
            counts += [
                equal.regressed.any(axis=-1).sum(),
                slower.regressed[:, 0].sum(),
                (slower.ruled_out & ~slower.regressed)[:, 0].sum(),
                equal.ruled_out.all(axis=-1).sum(),
            ]
    return tuple(Rates(tables, *map(int, counts)) for counts in totals)


NOISES: dict[str, Callable[[], Noise | Twins]] = {
    "as measured on an EPYC": measured_twins,
    "as measured on a Xeon": measured_sides,
    "1 %": lambda: Noise(0.01),
    "2 %": lambda: Noise(0.02),
    "3 %": lambda: Noise(0.03),
}
"""By what a person calls it: noise of a side's Slices of a Round, together."""

ROUNDS = (12, 16, 20, TIME_ROUNDS, 30)


def judged_at(
    tables: int, shape: Shape, noise: Noise | Twins, seed: int = 1
) -> tuple[int, int, int, int, int]:
    """The counts of a row of the table: false alarms, 3 % caught, 5 % caught, 5 % ruled out, and
    equal tables that were all ruled out."""
    smaller, larger = rates_under((0.03, 0.05), tables, shape, noise, seed=seed)
    return larger.alarms, smaller.caught, larger.caught, larger.missed, larger.quiet


def table(tables: int = 500) -> str:
    """How often the check is right, by noise and Rounds, in Markdown."""
    head = ("false alarm", "3 % caught", "5 % caught", "5 % ruled out", "all fine")
    lines = [f"| noise of a Round | Rounds | {' | '.join(head)} |", "|---|--:|--:|--:|--:|--:|--:|"]
    for name, make in NOISES.items():
        noise = make()
        for rounds in ROUNDS:
            counts = judged_at(tables, Shape(rounds=rounds), noise)
            cells = " | ".join(f"{count / tables:.2%}".replace("%", " %") for count in counts)
            lines.append(f"| {name} | {rounds} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
