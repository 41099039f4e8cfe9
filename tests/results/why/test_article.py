"""docs/why.md says what the committed rows say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import pytest

from loopbench.results.schema import ROOT
from loopbench.results.schema.tables.costs import CostKind
from loopbench.results.why import terminal
from loopbench.results.why.costs import Costs, read
from loopbench.results.why.groups import differences
from loopbench.results.why.phases import CONTEXT, LOOP, READING, ROUTING, THREADS, WRITING
from loopbench.results.why.sentences import of_equality
from tests.documents import between, fenced

ARTICLE = ROOT / "docs" / "why.md"
ROWS = ROOT / "results" / "costs"
CASE = "async"
SLOW, FAST = "quart-hypercorn", "aiohttp"


@pytest.fixture(scope="module")
def costs() -> Costs:
    return read(ROWS)


@pytest.mark.generated
def test_the_article_is_made_from_the_rows(
    costs: Costs, generated: Callable[[Path, str], None]
) -> None:
    """Each part between marks is what the command prints of results/costs."""
    text = ARTICLE.read_text(encoding="utf-8")
    text = between(text, "equality", [f"- {line}" for line in of_equality(costs)])
    for by in ("phase", "package"):
        assert sum(d.more for d in differences(costs, *_both(), by)) == pytest.approx(
            costs.totals[SLOW, CASE].instructions - costs.totals[FAST, CASE].instructions, rel=1e-6
        )
    tables = [
        line
        for by in ("phase", "package")
        for line in [*takewhile(bool, terminal.between(costs, SLOW, FAST, by)), ""]
    ]
    text = between(text, "between", fenced(tables[:-1]))
    core = _only(costs, (SLOW, FAST))
    for phase in (LOOP, WRITING, CONTEXT, READING, ROUTING):
        text = between(text, phase, fenced(terminal.of_phase(core, phase, CASE)))
    text = between(text, THREADS, fenced(terminal.of_phase(core, THREADS, "sync")))
    generated(ARTICLE, text)


def test_the_five_are_the_largest(costs: Costs) -> None:
    """In the order in which the article tells of them."""
    found = [one.name for one in differences(costs, *_both(), "phase")]
    assert found[:5] == [LOOP, WRITING, CONTEXT, READING, ROUTING]


NUMBERS = ("no", "one", "two", "three", "four")
FUNCTIONS = {
    FAST: (
        ("asyncio.base_events", "BaseEventLoop._run_once", "A request is {} turns of the loop"),
        ("_asyncio", "_asyncio_Task___init__", "aiohttp starts {} task a request"),
    ),
    SLOW: (
        ("_asyncio", "_asyncio_Task___init__", "Quart on Hypercorn starts {}."),
        (
            "quart.wrappers.base",
            "BaseRequestWebsocket.blueprints",
            "Of which blueprints a request belongs to Quart asks {} times",
        ),
        ("h11._connection", "Connection.next_event", "Hypercorn asks it for {} events a request"),
    ),
}
"""Module and name, by stack, and what the article says of how often it is called."""


def test_the_article_counts_calls_as_the_rows_do(costs: Costs) -> None:
    """Of the functions that its sentences are about."""
    text = _article()
    for stack, functions in FUNCTIONS.items():
        calls = {
            (one.function.module, one.function.name): one.calls
            for one in costs.functions[stack, CASE]
        }
        for module, name, sentence in functions:
            assert sentence.format(NUMBERS[round(calls[module, name])]) in text


def test_the_article_says_what_has_no_owner_and_what_trampolines_cost(costs: Costs) -> None:
    """From the least to the most of all requests that were counted."""
    shares = [
        one.own / costs.totals[where].instructions * 100
        for where, functions in costs.functions.items()
        for one in functions
        if one.function.kind == CostKind.NOBODY
    ]
    assert len(shares) == len(costs.totals)
    said = f"These are {min(shares):.1f} to {max(shares):.1f} % of the requests in `results/costs`"
    assert said in _article()
    plain = [(total.instructions, total.plain) for total in costs.totals.values()]
    more = [(named / bare - 1) * 100 for named, bare in plain if bare is not None]
    assert len(more) == len(plain)
    said = f"Trampolines themselves cost instructions: {min(more):.0f} to {max(more):.0f} % more"
    assert said in _article()


def _article() -> str:
    return " ".join(ARTICLE.read_text(encoding="utf-8").split())


def _only(costs: Costs, stacks: tuple[str, ...]) -> Costs:
    totals = {where: total for where, total in costs.totals.items() if where[0] in stacks}
    return replace(costs, totals=totals)


def _both() -> tuple[tuple[str, str], tuple[str, str]]:
    return (SLOW, CASE), (FAST, CASE)
