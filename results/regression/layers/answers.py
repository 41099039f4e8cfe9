"""The questions about behaviour: what each side was seen to do, by its own harness.

An answer that cannot be had, or does not repeat, decides nothing: on one side only it is a doubt,
with its reason; on both sides it is none of the comparison.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from loopbench.results.grouping import grouped
from loopbench.results.regression.evidence import SEEN_ONCE, Evidence, unmeasured
from loopbench.results.regression.finding import Finding, Verdict
from loopbench.results.schema import Row
from loopbench.results.schema.regression import Layer

METRIC = "answer"

_Answers = Mapping[tuple[str, str], Sequence[Row]]
"""By stack, and question with its setting."""


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Every question that either side was asked, in the base's order."""
    base, candidate = (_by_question(rows) for rows in evidence.rows(Layer.BEHAVIOUR))
    return tuple(_compare(base, candidate, evidence))


def _by_question(rows: Iterable[Row]) -> _Answers:
    return grouped(
        ((str(row["stack"]), f"{row['question']} {row['setting']}"), row) for row in rows
    )


def _compare(base: _Answers, candidate: _Answers, evidence: Evidence) -> Iterator[Finding]:
    skipped, findings = unmeasured(evidence, Layer.BEHAVIOUR)
    yield from findings
    state = evidence.layers[Layer.BEHAVIOUR]
    asked, whole = state.questions or ("*",), state.whole
    for key in dict.fromkeys((*base, *candidate)):
        question = key[1].partition(" ")[0]
        if key[0] in skipped or not any(fnmatchcase(question, pattern) for pattern in asked):
            continue
        before, after = base.get(key, ()), candidate.get(key, ())
        shown = _words(before), _words(after)
        if before and after:
            verdict, meaning = _verdict(before, after)
            if verdict is Verdict.CHANGED and len(after) == 1 and not whole:
                verdict, meaning = Verdict.CANNOT_TELL, SEEN_ONCE
            unread = all(map(_untold, (before, after)))
            yield Finding(Layer.BEHAVIOUR, *key, METRIC, verdict, meaning, *shown, unread=unread)
        else:
            yield Finding.one_sided(Layer.BEHAVIOUR, key, METRIC, *shown)


def _words(rows: Sequence[Row]) -> str | None:
    """All that was answered; None where it was not asked."""
    return " and ".join(sorted({str(row["answer"]) for row in rows})) or None


def _verdict(before: Sequence[Row], after: Sequence[Row]) -> tuple[Verdict, str]:
    doubts = [_untold(side) for side in (before, after)]
    if all(doubts):
        return Verdict.SAME, "neither side has an answer that repeats"
    for name, doubt in zip(("base", "candidate"), doubts, strict=True):
        if doubt:
            return Verdict.CANNOT_TELL, f"of the {name}: {doubt}"
    # What could not be told at one asking says nothing beside what could.
    one, other = ({row["answer"] for row in side if row["told"]} for side in (before, after))
    if one == other and len(one) == 1:
        return Verdict.SAME, ""
    if one & other:
        return Verdict.CANNOT_TELL, "the difference did not repeat when both were asked again"
    return Verdict.CHANGED, "the answer is not what it was"


def _untold(rows: Sequence[Row]) -> str:
    """Why there is no answer to rely on: each time it was asked; blank where there is one."""
    if any(row["told"] for row in rows):
        return ""
    last = rows[-1]
    return f"{last['answer']}: {last['evidence']}"
