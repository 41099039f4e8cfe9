"""Reply: the answer to a question in one sentence, and how stacks are named in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loopbench.results.folder.scenarios import Where
from loopbench.results.grouping import grouped
from loopbench.results.report.blocks import Table
from loopbench.results.report.data import Material
from loopbench.results.report.series.findings import listed
from loopbench.results.stats import formatting
from loopbench.results.stats.summaries.ratios import Ratio
from loopbench.results.stats.summaries.summary import Summary

MOST_NAMED = 3
"""A sentence gives the figures of so many stacks; of more, the least and the largest."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. line: yes, no or the number, then one sentence, without its full stop.

    details: what stands behind "more", a sentence each. table: the details as a table, a row a
    stack, in their place.
    """

    line: str
    details: tuple[str, ...] = ()
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A stack's figure in words. value: by which stacks are ordered."""

    stack: str
    value: float
    text: str


def over(figures: Sequence[Figure], preposition: str = "on") -> str:
    """`1.61x on aiohttp and 1.11x on quart-hypercorn`; of many the least and the largest."""
    if len(figures) > MOST_NAMED:
        least, *_, most = sorted(figures, key=lambda figure: figure.value)
        return f"{least.text} ({least.stack}) to {most.text} ({most.stack})"
    alike = grouped((figure.text, figure.stack) for figure in figures)
    return listed(f"{text} {preposition} {listed(stacks)}" for text, stacks in alike.items())


def figures_alone(figures: Sequence[Figure], named: Sequence[Figure]) -> str:
    """`93.7 ms and 93.8 ms`: the figures of stacks that are named already, in the order in which
    `over` has named them. With their names where it takes these to tell whose they are.

    named: the figures by which they were named.
    """
    texts = {figure.stack: figure.text for figure in figures}
    groups = grouped((figure.text, texts.get(figure.stack)) for figure in named).values()
    each = [text for of_group in groups for text in of_group]
    if len(named) > MOST_NAMED or None in each:
        return over(figures)
    if len(set(each)) in (1, len(each)):
        return listed(dict.fromkeys(filter(None, each)))
    if all(len(set(of_group)) == 1 for of_group in groups):
        return listed(str(of_group[0]) for of_group in groups)
    return over(figures)


def verdict(holds: Mapping[str, bool | None]) -> str:
    """Yes or no, by stack; where the stacks differ, on which. None: cannot tell."""
    words = {True: "Yes", False: "No", None: "Cannot tell"}
    by = grouped((words[answer], stack) for stack, answer in holds.items())
    if len(by) == 1:
        return next(iter(by))
    first, *others = (f"{word} on {listed(stacks)}" for word, stacks in by.items())
    return ", ".join((first, *(other[0].lower() + other[1:] for other in others)))


def offered(material: Material, where: Where) -> str:
    """What was offered, and the name of it."""
    name = material.name(where)
    for run in material.runs:
        if run.where == where:
            users, rate = run.number("users"), run.number("arrival_rate_rps")
            if rate is not None:
                return f"at {formatting.rate(rate)} requests/s ({name})"
            if users is not None:
                return f"with {formatting.counted(users, 'user')} at once ({name})"
    return f"in {name}"


def times(ratio: Ratio) -> str:
    """A ratio in a sentence, or what keeps it from being told."""
    if ratio.overloaded:
        return "cannot tell (overloaded)"
    if ratio.interval is None:
        return f"{formatting.digits(ratio.centre)}x (too few Rounds for an interval)"
    reach = f"[{formatting.between(ratio.interval)}]"
    if not ratio.significant:
        return f"no difference that can be told {reach}"
    return f"{formatting.digits(ratio.centre)}x {reach}"


def capital(text: str) -> str:
    """With a capital letter, as a sentence begins."""
    return text[:1].upper() + text[1:]


def milliseconds(summary: Summary) -> str:
    """A time in a sentence."""
    return f"{formatting.figure(summary.sample.metric, summary.centre)} ms"
