"""Layer 1: what must not change at all. A difference is a finding; there are no statistics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from loopbench.results.regression.evidence import Evidence, unmeasured
from loopbench.results.regression.finding import EVERY, Finding, Verdict
from loopbench.results.schema import Row
from loopbench.results.schema.regression import Layer

ANSWER = "answer"
"""The fact that questions about behaviour have; they are asked only where a person wants it."""

_Seen = Mapping[tuple[str, str], Mapping[str, str]]
"""By stack and subject: facts, and their values."""


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Every fact that either side has, those of a subject together, in the base's order."""
    base, candidate = (_seen(rows) for rows in evidence.rows(Layer.FACTS))
    return tuple(_compare(base, candidate, evidence))


def _seen(rows: Iterable[Row]) -> _Seen:
    """A fact that stands there with several values is all of them together."""
    found: defaultdict[tuple[str, str], defaultdict[str, set[str]]] = defaultdict(
        lambda: defaultdict(set)
    )
    for row in rows:
        key = str(row["stack"]), str(row["subject"])
        found[key][str(row["fact"])].add(str(row["value"] or ""))
    return {
        key: {fact: " and ".join(sorted(values)) for fact, values in facts.items()}
        for key, facts in found.items()
    }


def _compare(base: _Seen, candidate: _Seen, evidence: Evidence) -> Iterator[Finding]:
    skipped, said = unmeasured(evidence, Layer.FACTS)
    yield from said
    answers = _has_answers(base) and _has_answers(candidate)
    for key in dict.fromkeys((*base, *candidate)):
        before, after = base.get(key), candidate.get(key)
        if key[0] in skipped or (not answers and _is_answer(before or after or {})):
            continue
        if before is None or after is None:
            yield _one_sided(key, before, after)
        else:
            yield from _facts(key, before, after)


def note(evidence: Evidence) -> str:
    """What of this layer was not compared, and is not asked for each time; blank: nothing."""
    having = [
        name
        for name, rows in zip(("base", "candidate"), evidence.rows(Layer.FACTS), strict=True)
        if _has_answers(_seen(rows))
    ]
    if len(having) != 1:
        return ""
    return f"answers about behaviour were not compared: only the {having[0]} has them"


def _is_answer(facts: Mapping[str, str]) -> bool:
    return ANSWER in facts


def _has_answers(seen: _Seen) -> bool:
    return any(map(_is_answer, seen.values()))


def _one_sided(
    key: tuple[str, str], before: Mapping[str, str] | None, after: Mapping[str, str] | None
) -> Finding:
    gone = after is None
    meaning = (
        "the base has it, and the candidate does not" if gone else "new: only the candidate has it"
    )
    shown = _count(before), _count(after)
    return Finding(Layer.FACTS, *key, EVERY, Verdict.MISSING, meaning, *shown)


def _count(facts: Mapping[str, str] | None) -> str | None:
    return None if facts is None else f"{len(facts)} fact{'s' if len(facts) != 1 else ''}"


def _facts(
    key: tuple[str, str], before: Mapping[str, str], after: Mapping[str, str]
) -> Iterator[Finding]:
    for fact in dict.fromkeys((*before, *after)):
        one, other = before.get(fact), after.get(fact)
        if one is None or other is None:
            meaning = "the base had it" if other is None else "new: only the candidate has it"
            yield Finding(Layer.FACTS, *key, fact, Verdict.MISSING, meaning, one, other)
        elif one == other:
            yield Finding(Layer.FACTS, *key, fact, Verdict.SAME, "", one, other)
        else:
            meaning = f"{fact} is not what it was"
            yield Finding(Layer.FACTS, *key, fact, Verdict.CHANGED, meaning, one, other)
