"""Layer 1: every difference is a finding, before and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loopbench.results.regression import evidence
from loopbench.results.regression.finding import Finding, Verdict, Weight
from loopbench.results.regression.layers import facts
from tests.results.regression.tables import Plan, both, drop, only, put_in

Folder = Callable[..., Path]


def _found(folder: Path) -> list[Finding]:
    """What is not the same."""
    judged = facts.judge(evidence.read(folder))
    assert judged
    return [finding for finding in judged if finding.verdict is not Verdict.SAME]


def test_equal_facts_are_the_same(folder: Folder) -> None:
    """Each fact of each subject is compared, and none is a finding."""
    path = folder(Plan().without("instructions", "time"))
    judged = facts.judge(evidence.read(path))
    assert len(judged) == 2 * (2 * 5 + 1)
    assert {finding.verdict for finding in judged} == {Verdict.SAME}
    assert facts.note(evidence.read(path)) == ""


def test_a_fact_that_changed_is_shown_before_and_after(folder: Folder) -> None:
    """A sync route that moved onto the loop."""
    moved = only(
        put_in(value="main thread, loop thread"), side="candidate", stack="aiohttp", subject="sync"
    )
    found = _found(folder(Plan(fact=only(moved, fact="thread"))))
    assert [(f.stack, f.subject, f.metric, f.verdict) for f in found] == [
        ("aiohttp", "sync", "thread", Verdict.CHANGED)
    ]
    assert (found[0].base, found[0].candidate) == ("worker thread", "main thread, loop thread")
    assert found[0].weight is Weight.REGRESSION


def test_a_blank_is_not_the_same_as_a_line_end(folder: Folder) -> None:
    """Bodies are compared to the byte, also where a terminal would show the same."""
    found = _found(
        folder(
            Plan(
                fact=only(put_in(value='{"loop":"L","thread":"T"} '), side="candidate", fact="body")
            )
        )
    )
    assert len(found) == 4
    assert {finding.verdict for finding in found} == {Verdict.CHANGED}


def test_what_went_away_is_a_finding_and_what_is_new_is_none(folder: Folder) -> None:
    """Whole subjects, and single facts of a subject that both have."""
    found = _found(
        folder(
            Plan(
                fact=both(
                    only(drop, side="candidate", stack="aiohttp", subject="sync"),
                    only(drop, side="base", stack="quart-hypercorn", subject="sync"),
                    only(drop, side="candidate", subject="async", fact="blocked"),
                )
            )
        )
    )
    assert [(f.stack, f.subject, f.metric, f.weight) for f in found] == [
        ("aiohttp", "async", "blocked", Weight.REGRESSION),
        ("aiohttp", "sync", "*", Weight.REGRESSION),
        ("quart-hypercorn", "async", "blocked", Weight.REGRESSION),
        ("quart-hypercorn", "sync", "*", Weight.FINE),
    ]
    assert {finding.verdict for finding in found} == {Verdict.MISSING}


def test_a_fact_with_two_values_is_both_of_them(folder: Folder) -> None:
    """A route that was seen on two kinds of thread changed if one of them went away."""
    plan = Plan(fact=only(put_in(fact="thread", value="main thread"), side="base", fact="blocked"))
    found = _found(folder(plan))
    threads = [finding for finding in found if finding.metric == "thread"]
    assert len(threads) == 4
    assert threads[0].base == "main thread and worker thread"
    assert threads[0].candidate == "worker thread"


def test_answers_that_one_side_was_not_asked_for_are_no_finding(folder: Folder) -> None:
    """Behaviour is measured only where a person wants it; that is said."""
    path = folder(Plan(fact=only(drop, side="candidate", fact="answer")))
    assert _found(path) == []
    said = facts.note(evidence.read(path))
    assert said == "answers about behaviour were not compared: only the base has them"


def test_one_answer_that_went_away_is_a_finding(folder: Folder) -> None:
    """Where both sides were asked, a question without its answer is missing."""
    plan = Plan(fact=only(drop, side="candidate", stack="aiohttp", fact="answer"))
    (found,) = _found(folder(plan))
    assert (found.subject, found.weight) == ("order.hooks default", Weight.REGRESSION)
