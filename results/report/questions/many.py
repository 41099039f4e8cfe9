"""Answers about more stacks than a sentence can name: the ends of the range, and a small table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loopbench.results.folder.scenarios import Where
from loopbench.results.report.blocks import Table
from loopbench.results.report.data import Material
from loopbench.results.report.questions.reply import MOST_NAMED, Figure, Reply
from loopbench.results.report.sections.throughput import THROUGHPUT
from loopbench.results.report.series import findings
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats import formatting
from loopbench.results.stats.comparisons import framework_split_text
from loopbench.results.stats.comparisons.framework_split import Split
from loopbench.results.stats.summaries.ratios import Ratio


def faster(differences: Sequence[findings.Difference]) -> Reply:
    """Throughput of stacks beside the reference."""
    to, name = differences[0].ratio.to, differences[0].name
    rows = [
        (
            difference.stack,
            formatting.figure(THROUGHPUT, difference.contender.centre),
            _beside(difference),
        )
        for difference in differences
    ]
    of = f"times the throughput of {to} in {name}"
    return Reply(
        _range(
            [
                (difference.stack, difference.ratio)
                for difference in differences
                if not difference.doubts
            ],
            of,
        ),
        table=Table(
            f"Throughput in {name}", ("stack", "requests/s", f"ratio to {to} [95 %]"), (*rows,)
        ),
    )


def _beside(comparison: findings.Difference | Peers) -> str:
    if comparison.doubts:
        return f"not to be compared: {formatting.listed(map(formatting.plain, comparison.doubts))}"
    return formatting.ratio(comparison.ratio, interval=True)


def _range(ratios: Sequence[tuple[str, Ratio]], of: str) -> str:
    """From the least ratio to the largest, those that cannot be told from 1 among them."""
    if not ratios:
        return "Cannot tell: Warnings forbid comparing any of them"
    ordered = sorted(ratios, key=lambda pair: pair[1].centre)
    (least, low), (most, high) = ordered[0], ordered[-1]
    apart = sum(ratio.significant is True for _, ratio in ratios)
    known = sum(ratio.interval is not None for _, ratio in ratios)
    span = (
        f"{formatting.digits(low.centre)} ({least}) to {formatting.digits(high.centre)} ({most}) "
        f"{of}"
    )
    if not known:
        return f"{span}; too few Rounds for an interval, so that chance is not ruled out"
    few = f", and {len(ratios) - known} have too few Rounds for one" if known < len(ratios) else ""
    return f"{span}; {apart} of {known} differ by more than chance (95 % interval){few}"


@dataclass(frozen=True, slots=True)
class Peers:
    """Throughput of `other` over that of `one`, in a closed loop. doubts: codes of Warnings that
    forbid comparing them there."""

    one: str
    other: str
    where: Where
    ratio: Ratio
    doubts: tuple[str, ...]


def peers(material: Material, pairs: Sequence[Peers]) -> Reply:
    """Throughput of pairs that differ in one thing, each in the first closed loop of both."""
    rows = [(of.other, of.one, material.name(of.where), _beside(of)) for of in pairs]
    of = "times the throughput of the stack that it is compared with"
    return Reply(
        _range([(pair.other, pair.ratio) for pair in pairs if not pair.doubts], of),
        table=Table(
            "Throughput beside a peer", ("stack", "peer", "in", "ratio [95 %]"), (*rows,), 3
        ),
    )


def first_peers(material: Material, one: str, other: str) -> Peers | None:
    """Two stacks where the first closed loop has both; one without doubts goes before."""
    every = [
        Peers(one, other, where, ratio, _forbid(material, where, one, other))
        for where in material.models(LoadKind.CLOSED)
        if (ratio := material.against((other, *where), (one, *where), THROUGHPUT)) is not None
    ]
    return next((pair for pair in every if not pair.doubts), None) or next(iter(every), None)


def _forbid(material: Material, where: Where, *stacks: str) -> tuple[str, ...]:
    """Codes of Warnings that forbid comparing the throughput of these stacks there."""
    summaries = (material.get(stack, where, THROUGHPUT) for stack in stacks)
    codes = (code for summary in summaries if summary is not None for code in summary.disqualifying)
    return tuple(dict.fromkeys(codes))


def layers(splits: Sequence[Split]) -> Table | None:
    """The framework's part of a request's CPU time."""
    if len(splits) <= MOST_NAMED:
        return None
    rows = [
        (
            split.pair.other,
            formatting.digits(split.other),
            framework_split_text.difference(split),
            framework_split_text.share(split),
        )
        for split in splits
    ]
    return Table(
        f"The framework's part in {splits[0].scenario}",
        ("stack", "CPU a request, µs", "the framework's, µs", "of the whole [95 %]"),
        (*rows,),
    )


CORES_FOR_RPS = 10_000


def cores(figures: Sequence[Figure], rate: str) -> Table | None:
    """The cores that a rate fills, a row a stack."""
    if len(figures) <= MOST_NAMED:
        return None
    rows = tuple((figure.stack, formatting.digits(figure.value)) for figure in figures)
    return Table(f"Cores for {rate}", ("stack", "cores"), rows)
