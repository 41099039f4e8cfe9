"""Answers about many stacks: one line with the ends of the range, and a small table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loopbench.results.folder.scenarios import Where
from loopbench.results.report.blocks import Table
from loopbench.results.report.data import Material
from loopbench.results.report.sections.throughput import CPU, THROUGHPUT
from loopbench.results.report.series import findings
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats import formatting, framework_split_text
from loopbench.results.stats.framework_split import Split
from loopbench.results.stats.summary import Ratio

MOST_LINES = 2
"""An answer of more clauses of one form is a table."""


@dataclass(frozen=True, slots=True)
class Many:
    """line: the answer in a clause. table: a row a stack."""

    line: str
    table: Table


Tabled = Callable[[Material], Many | None]
"""None: there are few stacks, whose clauses say it, or none."""


def none(_: Material) -> Many | None:
    """Of a question that is not about stacks side by side."""
    return None


def faster(material: Material) -> Many | None:
    """Throughput beside the reference, in the first closed loop that compares it."""
    found = findings.first(material, material.models(LoadKind.CLOSED), THROUGHPUT)
    if found is None or len(found[1]) <= MOST_LINES:
        return None
    to, name = found[1][0].ratio.to, found[1][0].name
    rows = [
        (one.stack, formatting.figure(THROUGHPUT, one.one.centre), _beside(one)) for one in found[1]
    ]
    of = f"times the throughput of {to} in {name}"
    return Many(
        _range([(one.stack, one.ratio) for one in found[1] if not one.doubts], of),
        Table(f"Throughput in {name}", ("stack", "requests/s", f"ratio to {to} [95 %]"), (*rows,)),
    )


def _beside(one: findings.Difference) -> str:
    if one.doubts:
        return f"not to be compared: {formatting.listed(map(formatting.plain, one.doubts))}"
    return formatting.ratio(one.ratio, interval=True)


def _range(ratios: Sequence[tuple[str, Ratio]], of: str) -> str:
    """From the least ratio to the largest, those that cannot be told from 1 among them."""
    if not ratios:
        return f"Cannot tell: Warnings forbid comparing each stack with its peer as {of}"
    ordered = sorted(ratios, key=lambda pair: pair[1].centre)
    (least, low), (most, high) = ordered[0], ordered[-1]
    apart = sum(ratio.significant is True for _, ratio in ratios)
    told = (
        f"{formatting.digits(low.centre)} ({least}) to {formatting.digits(high.centre)} ({most}) "
        f"{of}"
    )
    return f"{told}; the 95 % interval leaves out 1 for {apart} of {len(ratios)} stacks"


def peers(material: Material, pairs: Sequence[tuple[str, str]]) -> Many | None:
    """Throughput of pairs that differ in one thing, each in the first closed loop of both."""
    found = [
        (one, other, where, ratio)
        for one, other in pairs
        if (first := first_ratio(material, one, other)) is not None
        for where, ratio in [first]
    ]
    if len(found) <= MOST_LINES:
        return None
    rows = [
        (other, one, material.name(where), formatting.ratio(ratio, interval=True))
        for one, other, where, ratio in found
    ]
    of = "times the throughput of the stack that it is compared with"
    return Many(
        _range([(other, ratio) for _, other, _, ratio in found if not ratio.overloaded], of),
        Table("Throughput beside a peer", ("stack", "peer", "in", "ratio [95 %]"), (*rows,), 3),
    )


def first_ratio(material: Material, one: str, other: str) -> tuple[Where, Ratio] | None:
    """Throughput of `other` over that of `one`, where the first closed loop has both."""
    for where in material.models(LoadKind.CLOSED):
        ratio = material.against((other, *where), (one, *where), THROUGHPUT)
        if ratio is not None:
            return where, ratio
    return None


def layers(found: Sequence[Split]) -> Many | None:
    """The framework's part of a request's CPU time."""
    if len(found) <= MOST_LINES:
        return None
    rows = [
        (
            split.pair.other,
            formatting.digits(split.other),
            framework_split_text.difference(split),
            framework_split_text.share(split),
        )
        for split in found
    ]
    parts = sorted((split.difference / split.other, split) for split in found if split.other)
    (least, low), (most, high) = parts[0], parts[-1]
    return Many(
        f"{least:.0%} ({low.pair.other}) to {most:.0%} ({high.pair.other}) of a request's CPU "
        f"time in {found[0].scenario} are the framework's part",
        Table(
            f"The framework's part in {found[0].scenario}",
            ("stack", "CPU a request, µs", "the framework's, µs [95 %]", "of the whole"),
            (*rows,),
        ),
    )


CORES_FOR_RPS = 10_000


def cores(material: Material) -> Many | None:
    """What a given rate takes, by CPU time a request."""
    for where in material.models(LoadKind.CLOSED, LoadKind.OPEN):
        found = [
            (cost.centre * 1e-6 * CORES_FOR_RPS, stack)
            for stack in material.contenders()
            if (cost := material.get(stack, where, CPU)) is not None
        ]
        if found:
            break
    else:
        return None
    if len(found) <= MOST_LINES:
        return None
    (least, low), (most, high) = min(found), max(found)
    rate = f"{CORES_FOR_RPS:,} requests/s of {material.name(where)}"
    return Many(
        f"{formatting.digits(least)} ({low}) to {formatting.digits(most)} cores ({high}): for "
        f"{rate}, by CPU a request, with nothing to spare",
        Table(
            f"Cores for {rate}",
            ("stack", "cores"),
            tuple((stack, formatting.digits(count)) for count, stack in found),
        ),
    )
