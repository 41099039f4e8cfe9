"""Time against a baseline from another occasion: an alarm for gross changes, and no more.

Two occasions have no Round in common. So each side's figure is divided by that of the yardstick,
the responder without a framework, which was measured in the same Rounds as the side. What
occasions differ by is still more than what Rounds do. It is taken from occasions.csv beside the
baseline, one figure a metric:

    threshold = exp(t * sqrt(2) * s) - 1

with s the standard deviation of the logarithms within a cell, pooled over the cells; sqrt(2),
since two occasions are compared; and t of Student at alpha over the number of tests (Bonferroni),
with one degree of freedom less than there were occasions, since the cells of an occasion share
its state of the machine.

The median service time is shown and not judged. That of the yardstick is the generator's own, which
is three times as long on one occasion as on another (0.03 and 0.08 ms), so that a stack's over it
says little. In a closed loop throughput says the same of the server.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from loopbench.results import schema
from loopbench.results.errors import ResultsError
from loopbench.results.regression import evidence as evidences
from loopbench.results.regression import sides
from loopbench.results.regression.evidence import Evidence, unmeasured
from loopbench.results.regression.finding import (
    EVERY,
    Finding,
    Settings,
    Verdict,
    factor,
    percent,
    signed,
)
from loopbench.results.regression.layers import slices
from loopbench.results.regression.layers.slices import SLOWER, Cell, Rounds
from loopbench.results.regression.layers.timing import absentees, failures, shown_value
from loopbench.results.regression.layers.trimmed_t import student
from loopbench.results.schema import Column, Kind, Row, SchemaError, Table
from loopbench.results.schema.regression import Layer
from loopbench.results.stats.intervals.location import locate

MIN_OCCASIONS = 3

JUDGED = ("cpu_us_per_request", "throughput_rps")
"""Metrics of which the yardstick says how fast the machine is."""

TABLE = Table(
    "occasions",
    "The same code on several occasions: a row an occasion, stack, case and metric.",
    (
        Column("occasion", Kind.TEXT, "", "which one: its time in UTC", True),
        Column("stack", Kind.TEXT, "", "what was measured", True),
        Column("case", Kind.TEXT, "", "the contract's case, and the users", True),
        Column("metric", Kind.TEXT, "", "a gated metric of slots.csv", True),
        Column("over_yardstick", Kind.NUMBER, "1", "the stack's over the yardstick's", True, 0),
    ),
)


def judge(evidence: Evidence, settings: Settings) -> tuple[Finding, ...]:
    """Each cell and metric over the yardstick, against the same of the baseline."""
    return tuple(_judge(evidence, settings))


def _judge(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    skipped, findings = unmeasured(evidence, Layer.TIME)
    yield from findings
    base, candidate = (slices.by_cell(rows) for rows in evidence.rows(Layer.TIME))
    beside = [slices.by_cell(side.yardstick) for side in (evidence.base, evidence.candidate)]
    both = [cell for cell in base if cell in candidate]
    known, why = thresholds(evidence.base.folder, len(both) * len(JUDGED), settings)
    if why:
        yield _no_alarm(why)
    for side, yardstick in zip((evidence.base, evidence.candidate), beside, strict=True):
        if not yardstick:
            yield _no_alarm(f"the yardstick was not measured with {side.side.title}")
    for cell in both:
        yield from failures(cell, base[cell], candidate[cell])
        for metric in SLOWER:
            pair = base[cell], candidate[cell]
            yield _finding(cell, metric, pair, beside, known.get(metric))
    for cell in dict.fromkeys((*base, *candidate)):
        if cell not in both and cell[0] not in skipped:
            only = base.get(cell), candidate.get(cell)
            yield Finding.one_sided(Layer.TIME, cell, "slots", *only)
    yield from absentees(
        evidence, base.keys() | candidate.keys(), {cell for side in beside for cell in side}
    )


def _no_alarm(why: str) -> Finding:
    return Finding(
        Layer.TIME, EVERY, EVERY, EVERY, Verdict.CANNOT_TELL, f"there is no alarm: {why}"
    )


def _finding(
    cell: Cell,
    metric: str,
    pair: tuple[Rounds, Rounds],
    beside: list[dict[Cell, Rounds]],
    threshold: float | None,
) -> Finding:
    before, after = (
        over_yardstick(rounds, yardstick, cell[1], metric)
        for rounds, yardstick in zip(pair, beside, strict=True)
    )
    shown = shown_value(pair[0], metric), shown_value(pair[1], metric)
    if before is None or after is None:
        meaning = "no Round has both this figure and the yardstick's"
        return Finding(Layer.TIME, *cell, metric, Verdict.CANNOT_TELL, meaning, *shown)
    slower = factor(SLOWER[metric] * (after - before)) - 1
    explanation = f"slowdown {signed(slower)} over the yardstick, between two occasions"
    verdict = Verdict.SHOWN
    if threshold is not None:
        explanation += f", an alarm from {percent(threshold)} on"
        verdict = Verdict.REGRESSED if slower >= threshold else Verdict.SHOWN
    return Finding(
        Layer.TIME,
        *cell,
        metric,
        verdict,
        explanation,
        *shown,
        ratio=factor(after - before),
        n=min(map(len, pair)),
        detectable=threshold,
    )


def over_yardstick(
    rounds: Rounds, yardstick: Mapping[Cell, Rounds], subject: str, metric: str
) -> float | None:
    """Logarithm of a side's figure over the yardstick's in the same Rounds: of the same case
    where that has it, otherwise of all the cases that it has."""
    same = [side for cell, side in yardstick.items() if cell[1] == subject]
    chosen = same or list(yardstick.values())
    differences = []
    for number, own in rounds.items():
        logs = [slices.level(side.get(number, ()), metric) for side in chosen]
        mine, theirs = slices.level(own, metric), [log for log in logs if log is not None]
        if mine is not None and theirs and len(theirs) == len(chosen):
            differences.append(mine - statistics.fmean(theirs))
    return locate(differences).mean if differences else None


def thresholds(folder: Path, tests: int, settings: Settings) -> tuple[dict[str, float], str]:
    """The alarm's threshold by metric, as a share; or why there is none. Raises ResultsError."""
    path = folder / TABLE.filename
    if not path.exists():
        return {}, f"{TABLE.filename} is not there to say what occasions differ by"
    try:
        rows = tuple(schema.read_table(folder, TABLE))
    except SchemaError as error:
        raise ResultsError(str(error)) from error
    except (OSError, ValueError) as error:
        raise ResultsError(f"cannot read {path}: {error}") from error
    if any(not row["over_yardstick"] for row in rows):
        raise ResultsError(f"{path}: a ratio of zero")
    occasions = len({row["occasion"] for row in rows})
    if occasions < MIN_OCCASIONS:
        return {}, f"{path.name} has {occasions} occasions, and {MIN_OCCASIONS} are the least"
    t = student(settings.alpha / max(tests, 1), occasions - 1)
    return {
        metric: max(factor(t * math.sqrt(2) * spread) - 1, settings.floor)
        for metric, spread in between(rows).items()
        if metric in JUDGED
    }, ""


def between(rows: Iterable[Row]) -> dict[str, float]:
    """By metric: the standard deviation of a cell's logarithm between occasions, pooled."""
    cells: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    for row in rows:
        value = row["over_yardstick"]
        assert isinstance(value, int | float)  # required, so parsed
        cells[str(row["metric"]), str(row["stack"]), str(row["case"])].append(math.log(value))
    squares: defaultdict[str, float] = defaultdict(float)
    freedom: defaultdict[str, int] = defaultdict(int)
    for (metric, *_), logs in cells.items():
        squares[metric] += statistics.pvariance(logs) * len(logs)
        freedom[metric] += len(logs) - 1
    return {metric: math.sqrt(squares[metric] / n) for metric, n in freedom.items() if n}


def rows_of(folders: Iterable[Path]) -> Iterator[Row]:
    """The rows of occasions.csv for folders of the check, each from an occasion of its own. Of a
    folder with two sides the base. Raises ResultsError."""
    for folder in folders:
        by_side = evidences.sides_of(folder)
        measured = by_side.get(sides.BASE) or by_side[sides.CANDIDATE]
        yardstick = slices.by_cell(measured.yardstick)
        if not measured.rows[Layer.TIME] or not yardstick:
            raise ResultsError(f"{folder} has no slots of a side and of the yardstick")
        for cell, rounds in slices.by_cell(measured.rows[Layer.TIME]).items():
            for metric in SLOWER:
                log = over_yardstick(rounds, yardstick, cell[1], metric)
                if log is not None:
                    yield {
                        "occasion": measured.side.measured_at or folder.name,
                        "stack": cell[0],
                        "case": cell[1],
                        "metric": metric,
                        "over_yardstick": math.exp(log),
                    }
