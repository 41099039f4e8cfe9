"""Section: response time by percentile, out to the maximum."""

from __future__ import annotations

from collections.abc import Iterator

from loopbench.results.report.blocks import Part, Table, paragraph, pictured, table
from loopbench.results.report.charts import lines
from loopbench.results.report.data import Curve, Material, median_curve
from loopbench.results.report.series import readings
from loopbench.results.stats import formatting

_SHOWN = (50.0, 90.0, 99.0, 99.9)


def parts(material: Material) -> Iterator[Part]:
    """A panel a scenario and load that has response times."""
    by_load = {
        where: {
            stack: material.curves[stack, *where]
            for stack in material.stacks
            if (stack, *where) in material.curves
        }
        for where in material.loads
    }
    by_load = {where: curves for where, curves in by_load.items() if curves}
    if not by_load:
        return
    if material.coarse:
        yield paragraph(
            f"Of {material.coarse} rows of `runs.csv` the histogram is missing; their lines "
            "go straight from one percentile of `runs.csv` to the next."
        )
    drawn = {
        where: by_load[where]
        for where in readings.contested(material, by_load)
        if material.fact(where).measured
    }
    scale = lines.common(
        curve for curves in drawn.values() for several in curves.values() for curve in several
    )
    yield from pictured(
        "From the median out to the slowest request",
        "To the right stand ever rarer requests, each step ten times as rare, and last the "
        "slowest of all. Both axes are logarithmic and the same in every panel; lower is better. A "
        "line is the median of the Rounds' percentiles, the band about it how far they reach. "
        "A line that leaps at the right has a slow tail, which a mean would hide. Only correct "
        "answers are in it; what was offered beside the load that a scenario asks about, and the "
        "cliffs, are in the table alone.",
        (
            lines.percentiles(
                f"{material.name(where)}, ms",
                where[0],
                curves,
                material.looks,
                scale,
                material.stacks,
            )
            for where, curves in drawn.items()
        ),
        material.keys({stack for curves in drawn.values() for stack in curves}),
        _table(material, by_load),
    )


def _table(
    material: Material, by_load: dict[tuple[str, str], dict[str, tuple[Curve, ...]]]
) -> Table:
    header = ["scenario", "stack", "Rounds", *(f"p{percent:g} ms" for percent in _SHOWN)]
    rows = []
    for where, curves in by_load.items():
        for stack in material.stacks:
            if stack not in curves:
                continue
            middle = median_curve(curves[stack])
            at = [middle.at(percent) for percent in _SHOWN]
            rows.append(
                (
                    material.name(where),
                    stack,
                    str(len(curves[stack])),
                    *("–" if value is None else formatting.digits(value) for value in at),
                    formatting.digits(middle.maximum),
                    formatting.digits(max(curve.maximum for curve in curves[stack])),
                )
            )
    return table(
        "Response times in ms: the median over the Rounds of each Round's percentile",
        [*header, "max ms", "worst Round's max ms"],
        rows,
        names=2,
    )
