"""Section: what server and framework cost apart, and what another loop or parser changes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from loopbench.results.folder.scenarios import first_loads
from loopbench.results.grouping import grouped
from loopbench.results.report.blocks import Key, Part, Plot, Table, paragraph, table
from loopbench.results.report.charts.bars import Group, Whole, stacked
from loopbench.results.report.data import Material
from loopbench.results.report.looks import PARTS, Look
from loopbench.results.report.series import readings
from loopbench.results.stats import formatting
from loopbench.results.stats.comparisons import framework_split_text
from loopbench.results.stats.comparisons.framework_split import (
    FRAMEWORK,
    Counted,
    Split,
    counted,
    splits,
)

NAMES = ("server: bare ASGI on it", "framework: what it adds")
_NAMES = 3
"""Columns of text."""


def parts(material: Material) -> Iterator[Part]:
    """Nothing where no two stacks differ in one trait alone."""
    timed = list(splits(material.facts, material.summaries, first_loads(material.loads)))
    counts = list(counted(material.facts, material.counts))
    if not timed and not counts:
        return
    for kind, wording in framework_split_text.PAIR_WORDS.items():
        of_kind = [split for split in timed if split.pair.kind == kind]
        if of_kind:
            of = _table(material, kind, of_kind)
            whole = [split for split in of_kind if split.base > 0 and split.difference > 0]
            yield _plot(whole, of) if kind == FRAMEWORK and whole else of
        cases = [case for case in counts if case.pair.kind == kind]
        if cases:
            yield _counted(f"{wording.title}: instructions a request", kind, cases)
    yield paragraph(framework_split_text.MEANING)


def frameworks(material: Material) -> list[Split]:
    """What frameworks add, in the first scenario that tells."""
    every = splits(material.facts, material.summaries, first_loads(material.loads))
    of_frameworks = [split for split in every if split.pair.kind == FRAMEWORK]
    return [split for split in of_frameworks if split.scenario == of_frameworks[0].scenario]


def _table(material: Material, kind: str, of_kind: Sequence[Split]) -> Table:
    return table(
        f"{framework_split_text.PAIR_WORDS[kind].title}: CPU time a request",
        (*framework_split_text.header(kind), "Warnings"),
        [(*framework_split_text.row(split), _marks(material, split)) for split in of_kind],
        names=_NAMES,
    )


def _marks(material: Material, split: Split) -> str:
    """Of either side."""
    marks = "".join(readings.noted(material, cell) for cell in split.cells)
    return "".join(dict.fromkeys(re.findall(r"\[\d+!?\]", marks)))


def _plot(drawable: Sequence[Split], of: Table) -> Plot:
    looks = (PARTS[0], PARTS[1])
    drawn = grouped((split.scenario, _whole(split, looks)) for split in drawable)
    groups = [Group(scenario, tuple(wholes), scenario) for scenario, wholes in drawn.items()]
    return Plot(
        "Server and framework",
        "Each bar is the server's CPU time for a request: first what a bare ASGI application "
        "costs on the same server and loop, then what the framework adds to that, by the ratio "
        "of the two; at its end stands the sum. Bars of one scenario have one scale. Sockets, "
        "HTTP parsing and the loop are the server's part. A framework whose part comes out at 0 "
        "or below has no bar.",
        (stacked("CPU time a request", groups),),
        tuple(Key(look, text) for look, text in zip(looks, NAMES, strict=True)),
        of,
        abreast=1,
    )


def _whole(split: Split, looks: Sequence[Look]) -> Whole:
    parts = (split.base, split.difference)
    named = [f"{formatting.digits(part)} {name}" for part, name in zip(parts, NAMES, strict=True)]
    return Whole(
        split.pair.other,
        f"{formatting.digits(sum(parts))} µs",
        tuple(zip(looks, parts, named, strict=True)),
    )


def _counted(title: str, kind: str, cases: Sequence[Counted]) -> Table:
    return table(
        title,
        framework_split_text.counted_header(kind),
        [framework_split_text.counted_row(case) for case in cases],
        names=_NAMES,
        folded=len(cases) > 20,
    )
