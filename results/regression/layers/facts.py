"""Layer 1: what must not change at all. A difference is a finding; there are no statistics.

Where the sides differ, the measuring half has asked both again. A difference that was not there
every time decides nothing; of a fact that is read from a clock, it is none where both sides have
the same value most times. A route that blocks no more is no failure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from loopbench.results.regression.evidence import SEEN_ONCE, Evidence, unmeasured
from loopbench.results.regression.finding import EVERY, Finding, Verdict
from loopbench.results.schema import Row
from loopbench.results.schema.regression import UNKNOWN, Layer, most_often

BLOCKED = "blocked"
"""The fact whether a route keeps the loop away from others."""

DELAYS = tuple(
    f"an answer in {pieces}, request {number}"
    for pieces in ("one piece", "pieces")
    for number in (1, 20)
)
"""The facts whether the kernel holds answers of a server back that was started by its command."""

_BETTER: Mapping[str, tuple[str, str, str]] = {
    BLOCKED: ("yes", "no", "the route blocks the loop no more"),
    "starts": ("no", "yes", "the server starts"),
    **dict.fromkeys(DELAYS, ("delayed", "at once", "the answer is delayed no more")),
}
"""By fact: the change from which value to which is no failure, and what it says."""

_READINGS = frozenset({*_BETTER, "backlog"})
"""Facts that may be UNKNOWN, and of which one asking in several may be wrong."""

_PLACES = frozenset({"thread", "loop"})
"""Facts that are UNKNOWN where the probe did not answer in time; what is read of them is right."""

_Values = Sequence[str]
_Facts = Mapping[tuple[str, str], Mapping[str, _Values]]
"""By stack and subject: facts, and the value of each at every asking."""


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Every fact that either side has, those of a subject together, in the base's order."""
    base, candidate = (_by_subject(rows) for rows in evidence.rows(Layer.FACTS))
    return tuple(_compare(base, candidate, evidence))


def _by_subject(rows: Iterable[Row]) -> _Facts:
    """A fact that stands there several times was asked for again."""
    by_subject: defaultdict[tuple[str, str], defaultdict[str, list[str]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        key = str(row["stack"]), str(row["subject"])
        by_subject[key][str(row["fact"])].append(str(row["value"] or ""))
    return by_subject


def _compare(base: _Facts, candidate: _Facts, evidence: Evidence) -> Iterator[Finding]:
    skipped, findings = unmeasured(evidence, Layer.FACTS)
    yield from findings
    state = evidence.layers[Layer.FACTS]
    for key in dict.fromkeys((*base, *candidate)):
        before, after = base.get(key), candidate.get(key)
        if key[0] in skipped or key in state.lacking or key[1] in state.other_requests:
            continue
        if before is None or after is None:
            yield Finding.one_sided(Layer.FACTS, key, EVERY, _count(before), _count(after))
        else:
            yield from _facts(key, before, after, state.whole)


def _count(facts: Mapping[str, _Values] | None) -> str | None:
    return None if facts is None else f"{len(facts)} fact{'s' if len(facts) != 1 else ''}"


def _facts(
    key: tuple[str, str],
    before: Mapping[str, _Values],
    after: Mapping[str, _Values],
    whole: bool,
) -> Iterator[Finding]:
    for fact in dict.fromkeys((*before, *after)):
        one, other = before.get(fact), after.get(fact)
        shown = _words(one), _words(other)
        if one is None or other is None:
            yield Finding.one_sided(Layer.FACTS, key, fact, *shown)
        else:
            verdict, meaning = _verdict(fact, one, other)
            if verdict is Verdict.CHANGED and len(other) == 1 and not whole:
                verdict, meaning = Verdict.CANNOT_TELL, SEEN_ONCE
            unread = {*one, *other} == {UNKNOWN} and verdict is Verdict.SAME
            yield Finding(Layer.FACTS, *key, fact, verdict, meaning, *shown, unread=unread)


def _words(values: _Values | None) -> str | None:
    return None if values is None else " and ".join(sorted(set(values)))


def _verdict(fact: str, before: _Values, after: _Values) -> tuple[Verdict, str]:
    one, other = set(before), set(after)
    may_be_unknown = fact in _READINGS | _PLACES
    if may_be_unknown:  # what could not be read at one asking says nothing beside what could
        one, other = (values - {UNKNOWN} or values for values in (one, other))
    if fact in _PLACES and one == other == {UNKNOWN}:
        return Verdict.CANNOT_TELL, "it cannot be read on either side"
    if one == other and len(one) == 1:
        return Verdict.SAME, ""
    if may_be_unknown and UNKNOWN in one ^ other:
        return Verdict.CANNOT_TELL, "it cannot be read on one side"
    if one & other:
        usual = most_often(before)
        if fact in _READINGS and usual is not None and usual == most_often(after):
            return Verdict.SAME, "it was another once, and not when it was asked for again"
        return Verdict.CANNOT_TELL, "the difference did not repeat when it was asked for again"
    worse, better, meaning = _BETTER.get(fact, ("", "", ""))
    if meaning and one == {worse} and other == {better}:
        return Verdict.IMPROVED, meaning
    return Verdict.CHANGED, f"{fact} is not what it was"
