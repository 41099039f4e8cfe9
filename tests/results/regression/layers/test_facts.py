"""Layer 1: every difference is a finding, before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loopbench.loadtests.regression.layers import started
from loopbench.results.regression import evidence
from loopbench.results.regression.finding import Finding, Verdict, Weight
from loopbench.results.regression.layers import facts
from loopbench.results.schema import FACTS
from tests.results.examples.folders import put
from tests.results.regression.conftest import Judge
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
    assert len(judged) == 2 * 2 * 5
    assert {finding.verdict for finding in judged} == {Verdict.SAME}


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


def _asked(*pairs: tuple[str, str], fact: str = "thread") -> Callable[[Path], None]:
    """Write a fact of one route, as it was seen at each asking by base and candidate."""

    def write(path: Path) -> None:
        put(
            path,
            FACTS,
            (
                {"side": side, "stack": "aiohttp", "subject": "r", "fact": fact, "value": value}
                for pair in pairs
                for side, value in zip(("base", "candidate"), pair, strict=True)
            ),
        )

    return write


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        ([("worker", "main")] * 3, Verdict.CHANGED),
        ([("worker", "main"), ("worker", "worker")], Verdict.CANNOT_TELL),
        ([("worker", "main"), ("main", "worker")], Verdict.CANNOT_TELL),
        ([("worker", "main"), ("worker", "other")], Verdict.CHANGED),
    ],
)
def test_a_difference_that_does_not_repeat_decides_nothing(
    folder: Folder, asked: list[tuple[str, str]], verdict: Verdict
) -> None:
    """Both sides were asked again: what either of them also answered as the other is a doubt."""
    path = folder(Plan().without("instructions", "time"))
    _asked(*asked)(path)
    (found,) = facts.judge(evidence.read(path))
    assert found.verdict is verdict


@pytest.mark.parametrize(("asked", "verdict"), [(1, Verdict.CANNOT_TELL), (2, Verdict.CHANGED)])
def test_a_difference_that_was_seen_once_before_an_interrupt_decides_nothing(
    folder: Folder, asked: int, verdict: Verdict
) -> None:
    """It would have been asked for again."""
    plan = Plan().without("instructions", "time")
    plan.layers["facts"]["why_not"] = "broken off before it was done"
    path = folder(plan)
    _asked(*[("worker", "main")] * asked)(path)
    (found,) = facts.judge(evidence.read(path))
    assert found.verdict is verdict


@pytest.mark.parametrize(
    ("asked", "verdict", "weight"),
    [
        (("yes", "no"), Verdict.IMPROVED, Weight.FINE),
        (("no", "yes"), Verdict.CHANGED, Weight.REGRESSION),
        (("no", "unknown"), Verdict.CANNOT_TELL, Weight.DOUBT),
        (("unknown", "unknown"), Verdict.SAME, Weight.FINE),
    ],
)
def test_a_route_that_blocks_no_more_is_no_failure(
    folder: Folder, asked: tuple[str, str], verdict: Verdict, weight: Weight
) -> None:
    """One that begins to block is; a loop that cannot be read decides nothing."""
    path = folder(Plan().without("instructions", "time"))
    _asked(asked, asked, fact="blocked")(path)
    (found,) = facts.judge(evidence.read(path))
    assert (found.verdict, found.weight) == (verdict, weight)


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        (("delayed", "at once"), Verdict.IMPROVED),
        (("at once", "delayed"), Verdict.CHANGED),
        (("at once", "unknown"), Verdict.CANNOT_TELL),
    ],
)
def test_an_answer_that_is_delayed_no_more_is_no_failure(
    folder: Folder, asked: tuple[str, str], verdict: Verdict
) -> None:
    """Of every fact about delays that the measuring half has; one that begins is a failure."""
    assert {fact for path in started.ANSWERS for fact in started.facts_of(path)} == {*facts.DELAYS}
    for fact in facts.DELAYS:
        path = folder(Plan().without("instructions", "time"))
        _asked(asked, fact=fact)(path)
        (found,) = facts.judge(evidence.read(path))
        assert found.verdict is verdict


def test_an_asking_that_could_not_be_read_decides_nothing(folder: Folder) -> None:
    """Not beside others that could be: a busy machine is no doubt about equal code."""
    path = folder(Plan().without("instructions", "time"))
    for other, verdict in (("yes", Verdict.SAME), ("no", Verdict.IMPROVED)):
        _asked(("unknown", other), ("yes", other), fact="blocked")(path)
        (found,) = facts.judge(evidence.read(path))
        assert found.verdict is verdict


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        ([("unknown", "main"), ("main", "main")], Verdict.SAME),
        ([("unknown", "main"), ("worker", "main")], Verdict.CHANGED),
        ([("unknown", "main")] * 3, Verdict.CANNOT_TELL),
        ([("unknown", "unknown")], Verdict.CANNOT_TELL),
    ],
)
@pytest.mark.parametrize("fact", ["thread", "loop"])
def test_where_a_route_ran_is_a_doubt_while_the_probe_did_not_answer(
    folder: Folder, fact: str, asked: list[tuple[str, str]], verdict: Verdict
) -> None:
    """On one side, and on both; an asking that could be read decides."""
    path = folder(Plan().without("instructions", "time"))
    _asked(*asked, fact=fact)(path)
    (found,) = facts.judge(evidence.read(path))
    assert found.verdict is verdict


@pytest.mark.parametrize(
    ("fact", "again", "verdict"),
    [
        ("blocked", 2, Verdict.SAME),
        ("blocked", 1, Verdict.CANNOT_TELL),
        ("thread", 2, Verdict.CANNOT_TELL),
    ],
)
def test_a_reading_that_was_another_once_is_no_difference(
    folder: Folder, fact: str, again: int, verdict: Verdict
) -> None:
    """Where most askings agree on both sides; what hangs on no clock stays a doubt."""
    path = folder(Plan().without("instructions", "time"))
    _asked(("yes", "no"), *[("no", "no")] * again, fact=fact)(path)
    (found,) = facts.judge(evidence.read(path))
    assert found.verdict is verdict


def test_what_one_side_lacks_a_package_for_is_no_finding(folder: Folder, judge: Judge) -> None:
    """A baseline may have been measured where gunicorn was; the last lines say what was not."""
    subject = "started by gunicorn with workers"
    plan = Plan(fact=only(put_in(subject=subject), side="base", subject="sync"))
    plan.layers["facts"]["bound"] = {
        "lacking": [[stack, subject, "gunicorn"] for stack in plan.stacks]
    }
    path = folder(replace(plan, fact=both(only(drop, side="candidate", subject="sync"), plan.fact)))
    assert not _found(path)
    said = " ".join(judge(path).out.split())
    assert f"aiohttp {subject}: not both sides have gunicorn (make setup STACKS=all)" in said


def test_facts_that_an_older_baseline_lacks_are_new(folder: Folder, judge: Judge) -> None:
    """A fact, and a whole subject: shown, and no failure."""
    plan = Plan(fact=both(only(drop, side="base", fact="thread"), only(drop, subject="sync")))
    path = folder(plan.without("instructions", "time"))
    assert [finding.weight for finding in _found(path)] == [Weight.FINE] * 2
    assert judge(path).status == 0
