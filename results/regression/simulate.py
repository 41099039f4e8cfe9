"""Tables of a check on a machine whose noise is known, to see how often it is right.

A slot's reading is, in logarithms: the drift of the machine at its place in time, the luck of its
process, the noise of the slot, and now and then something beside it that makes the slot 1.3 to 3
times slower. Both sides have all of it; the candidate has the given effect on top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from loopbench.results.regression.finding import Settings
from loopbench.results.regression.layers.slices import steady
from loopbench.results.regression.layers.trimmed_t import Array, holm, trimmed


@dataclass(frozen=True, slots=True)
class Noise:
    """sd: of a slot, as a share. process: of what all slots of a process have in common. drift:
    from the first slot to the last, as a share. outliers: share of the slots that something
    disturbs; worst, mildest: by which factor."""

    sd: float = 0.025
    process: float = 0.0
    drift: float = 0.05
    outliers: float = 0.05
    mildest: float = 1.3
    worst: float = 3.0


@dataclass(frozen=True, slots=True)
class Shape:
    """The table of a check: cells, gated metrics, Rounds, and slots a side and Round."""

    cells: int = 12
    metrics: int = 3
    rounds: int = 30
    slots: int = 2


def readings(rng: np.random.Generator, tables: int, shape: Shape, noise: Noise) -> Array:
    """Logarithms of readings without any effect: tables, tests, Rounds, sides, slots.

    What disturbs a slot disturbs all its metrics; otherwise their noise is independent.
    """
    slots = 2 * shape.slots
    outer = (tables, shape.cells, 1, shape.rounds)
    places = rng.permuted(np.broadcast_to(np.arange(slots), (*outer, slots)), axis=-1)
    number, cell = np.arange(shape.rounds), np.arange(shape.cells)[:, None, None]
    begun = ((number * shape.cells + cell) * slots)[..., None]
    moved = noise.drift * ((begun + places) / (shape.rounds * shape.cells * slots) - 0.5)
    hit = rng.random((*outer, slots)) < noise.outliers
    disturbed = hit * np.log(rng.uniform(noise.mildest, noise.worst, (*outer, slots)))
    inner = (tables, shape.cells, shape.metrics, shape.rounds)
    own = rng.normal(0, noise.sd, (*inner, slots)) if noise.sd else np.zeros((*inner, slots))
    split = (own + moved + disturbed).reshape(*inner, 2, shape.slots)
    split += rng.normal(0, 1, (*inner, 2, 1)) * noise.process
    tests = shape.cells * shape.metrics
    return np.asarray(split.reshape(tables, tests, shape.rounds, 2, shape.slots))


@dataclass(frozen=True, slots=True)
class Judged:
    """What the check said of simulated tables: one row a table, one column a test."""

    regressed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    ruled_out: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def judged(values: Array, settings: Settings, effect: float = 0.0) -> Judged:
    """Verdicts, by the code that the check itself uses. effect: slowdown of the first test of
    each table, as a share."""
    means = values.mean(axis=-1)
    differences = means[..., 1] - means[..., 0]
    differences[:, 0] += math.log1p(effect)
    discord = np.ptp(values, axis=-1).max(axis=-1)
    estimate = trimmed(steady(differences, discord))
    adjusted = holm(estimate.p_above())
    regressed = (adjusted <= settings.alpha) & (estimate.mean >= math.log1p(settings.floor))
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
    noise: Noise,
    effect: float = 0.05,
    settings: Settings | None = None,
    seed: int = 1,
    batch: int = 250,
) -> Rates:
    """Judge so many tables without an effect, and again with it in one test of each."""
    rng, found = np.random.default_rng(seed), np.zeros(4, dtype=int)
    settings = settings or Settings()
    for begun in range(0, tables, batch):
        values = readings(rng, min(batch, tables - begun), shape, noise)
        equal, slower = judged(values, settings), judged(values, settings, effect)
        found += [
            equal.regressed.any(axis=-1).sum(),
            slower.regressed[:, 0].sum(),
            (slower.ruled_out & ~slower.regressed)[:, 0].sum(),
            equal.ruled_out.all(axis=-1).sum(),
        ]
    return Rates(tables, *map(int, found))


NOISES: dict[str, Noise] = {
    "1.1 %": Noise(0.011),
    "2.5 %": Noise(0.025),
    "2.5 %, and 1 % a process": Noise(0.025, process=0.01),
    "3 %": Noise(0.03),
}
"""By what a person calls it: noise of a slot."""

ROUNDS = (15, 20, 25, 30)


def table(tables: int = 4000) -> str:
    """How often the check is right, by noise and Rounds, in Markdown."""
    head = ("noise of a slot", "Rounds", "false alarm", "5 % caught", "5 % ruled out", "all fine")
    lines = [f"| {' | '.join(head)} |", "|---|--:|--:|--:|--:|--:|"]
    for name, noise in NOISES.items():
        for rounds in ROUNDS:
            found = rates(tables, Shape(rounds=rounds), noise)
            counts = (found.alarms, found.caught, found.missed, found.quiet)
            cells = " | ".join(f"{count / tables:.2%}".replace("%", " %") for count in counts)
            lines.append(f"| {name} | {rounds} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
