"""Answers about behaviour: a change is a finding, and what is not known is a doubt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loopbench.results.regression import evidence
from loopbench.results.regression.finding import Verdict
from loopbench.results.regression.layers import answers
from loopbench.results.schema import SIDE_ANSWERS, Row
from loopbench.results.schema.regression import SIDES_FILE
from tests.results.examples.folders import put
from tests.results.regression.conftest import Judge
from tests.results.regression.tables import Plan

Folder = Callable[..., Path]
LOST = "not answered"


def _row(side: str, answer: str) -> Row:
    told = not answer.startswith((LOST, "cannot tell", "2 to "))
    return {
        "side": side,
        "stack": "aiohttp",
        "question": "order.hooks",
        "setting": "default",
        "answer": answer,
        "evidence": "it timed out" if answer == LOST else "seen",
        "told": told,
    }


def _path(folder: Folder, base: list[str], candidate: list[str], *questions: str) -> Path:
    plan = Plan().without("facts", "instructions", "time")
    bound = {"questions": list(questions)} if questions else {}
    plan.layers["behaviour"] = {"run": True, "why_not": None, "bound": bound}
    path = folder(plan)
    sides = ("base", base), ("candidate", candidate)
    put(path, SIDE_ANSWERS, [_row(side, answer) for side, said in sides for answer in said])
    return path


@pytest.mark.parametrize(
    ("base", "candidate", "verdict", "meaning"),
    [
        (["in, out"], ["in, out"], Verdict.SAME, ""),
        (["in"] * 4, ["out"] * 4, Verdict.CHANGED, "the answer is not what it was"),
        (["in", "in"], ["out", "in"], Verdict.CANNOT_TELL, "the difference did not repeat"),
        (["in"], [LOST], Verdict.CANNOT_TELL, "of the candidate: not answered: it timed out"),
        ([LOST], ["in"], Verdict.CANNOT_TELL, "of the base: not answered: it timed out"),
        ([LOST], [LOST], Verdict.SAME, "neither side has an answer that repeats"),
        (["in"], ["2 to 9"], Verdict.CANNOT_TELL, "of the candidate: 2 to 9: seen"),
        (["cannot tell: 9", "in"], ["in", "2 to 9", LOST], Verdict.SAME, ""),
        (["cannot tell: 9", "in"], ["out", "cannot tell: 8"], Verdict.CHANGED, "the answer is not"),
    ],
)
def test_what_is_made_of_two_answers(
    folder: Folder, base: list[str], candidate: list[str], verdict: Verdict, meaning: str
) -> None:
    """Only two answers that both repeat, and differ each time, are a regression."""
    (found,) = answers.judge(evidence.read(_path(folder, base, candidate)))
    assert found.verdict is verdict
    assert found.meaning.startswith(meaning)


def test_a_difference_that_was_seen_once_before_an_interrupt_decides_nothing(
    folder: Folder,
) -> None:
    """It would have been asked for again; one that was is a change."""
    for asked, verdict in ((1, Verdict.CANNOT_TELL), (2, Verdict.CHANGED)):
        path = _path(folder, ["in"] * asked, ["out"] * asked)
        sides = path / SIDES_FILE
        whole = '"behaviour": {"run": true, "why_not": null'
        assert whole in sides.read_text()
        broken = whole.replace("null", '"broken off before it was done"')
        sides.write_text(sides.read_text().replace(whole, broken))
        (found,) = answers.judge(evidence.read(path))
        assert found.verdict is verdict


def test_a_question_that_nobody_asked_is_no_loss(folder: Folder, judge: Judge) -> None:
    """Of a baseline that holds more, only what was asked now is compared; the rest is named as not
    judged. A question that was asked and is gone stays a regression."""
    path = _path(folder, ["in"], ["in"], "order.*")
    rows = [_row(side, "in") for side in ("base", "candidate")]
    put(path, SIDE_ANSWERS, [*rows, {**_row("base", "x"), "question": "state.g-lifetime"}])
    done = judge(path)
    assert done.status == 0
    beginning = "Not judged: behaviour: questions other than order.* "
    assert any(line.startswith(beginning) for line in done.out.splitlines())
    put(path, SIDE_ANSWERS, [*rows, {**_row("base", "x"), "question": "order.other"}])
    assert judge(path).status == 1


def test_a_question_that_is_new_and_one_that_is_gone(folder: Folder, judge: Judge) -> None:
    """What the candidate lacks is a regression; what is new is none."""
    path = _path(folder, ["in"], [])
    other = {**_row("candidate", "in"), "question": "order.other"}
    put(path, SIDE_ANSWERS, [_row("base", "in"), other])
    found = {one.subject: one for one in answers.judge(evidence.read(path))}
    assert found["order.hooks default"].candidate is None
    assert found["order.other default"].base is None
    assert judge(path).status == 1
    put(path, SIDE_ANSWERS, [*(_row(side, "in") for side in ("base", "candidate")), other])
    assert judge(path).status == 0
