"""How many requests a stack answers, and what those cost: from the rows of runs.csv."""

from __future__ import annotations

from loopbench.results.report.data import Material
from loopbench.results.report.questions import many
from loopbench.results.report.questions.reply import (
    MOST_NAMED,
    Figure,
    Reply,
    offered,
    over,
)
from loopbench.results.report.sections.throughput import CPU, THROUGHPUT
from loopbench.results.report.series import findings
from loopbench.results.schema import Family
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats import formatting


def faster(material: Material) -> Reply | None:
    """Throughput in the first closed loop that compares it; behind it the other loops."""
    closed = material.models(LoadKind.CLOSED)
    compared = findings.first(material, closed, THROUGHPUT)
    if compared is None:
        return None
    where, differences = compared
    if len(differences) > MOST_NAMED:
        return many.faster(differences)
    line = "; ".join(map(findings.answer, differences))
    others = findings.summed_up(material, [loop for loop in closed if loop != where], THROUGHPUT)
    details = (f"In the other closed loops, {clause}" for clause in others)
    return Reply(f"{line}, {offered(material, where)}", tuple(details))


def waiting(material: Material) -> Reply | None:
    """Against the first closed loop: whether the intervals of the two ratios have a part in
    common."""
    compared = findings.first(material, material.family(Family.WAITING), THROUGHPUT)
    usual = findings.first(material, material.models(LoadKind.CLOSED), THROUGHPUT)
    if compared is None:
        return None
    before = {} if usual is None else {difference.stack: difference for difference in usual[1]}
    long = material.fact(compared[0]).work_ms
    waits = f"where handlers wait{f' for {long:g} ms' if long else ''}"
    sentences = [
        findings.held(difference, before.get(difference.stack), waits) for difference in compared[1]
    ]
    if len(sentences) <= MOST_NAMED:
        return Reply("; ".join(sentences))
    ratios = [
        Figure(
            difference.stack,
            difference.ratio.centre,
            f"{formatting.digits(difference.ratio.centre)}x",
        )
        for difference in compared[1]
        if not difference.doubts
    ]
    to = f"as many requests as {compared[1][0].ratio.to} {waits}"
    return (
        Reply(f"{over(ratios)} {to}", tuple(sentences))
        if ratios
        else Reply(sentences[0], tuple(sentences))
    )


def cores(material: Material) -> Reply | None:
    """What a given rate takes, by CPU time a request."""
    for where in material.models(LoadKind.CLOSED, LoadKind.OPEN):
        figures = [
            Figure(stack, count, f"{formatting.digits(count)} cores")
            for stack in material.contenders()
            if (cost := material.get(stack, where, CPU)) is not None
            for count in [cost.centre * 1e-6 * many.CORES_FOR_RPS]
        ]
        if figures:
            rate = f"{many.CORES_FOR_RPS:,} requests/s of {material.name(where)}"
            line = f"{over(figures)}: so many are busy with {rate}, by CPU time a request"
            return Reply(
                line + findings.doubted(material, {where: (CPU,)}), table=many.cores(figures, rate)
            )
    return None
