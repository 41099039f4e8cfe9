"""Layer 2: instructions a request, nearly exact.

A route's ratio is that of the medians over the repeats. The spread is how far a side's repeats lie
apart (`results.schema.regression.spread`), the wider one of both sides: what the same code differs
by. A change is called at the setting (1 %), and never on less than ten times the spread; a growth,
only where the counts of the sides do not overlap. Where that decides, the measuring half has
counted the stack again, up to six times in all.

Instructions are without those that CPython spent on searching classes, which follow from where
names lie in memory. They are held to the same rules by themselves, as a share of the request: a
finding of its own is made where they have grown by 3 %, twice what chance was seen to do.

Against a baseline from another occasion instructions say something only where interpreter, C
library, CPU features and packages are the same; otherwise nothing is compared, and that is said.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from loopbench.results.regression.evidence import Evidence, by_subject, unmeasured
from loopbench.results.regression.finding import EVERY, Finding, Settings, Verdict, percent, signed
from loopbench.results.schema import Row
from loopbench.results.schema.regression import (
    SEARCHING_GROWTH,
    SPREADS,
    Layer,
    by_searching,
    overlapping,
    settled,
    spread,
    undecided,
    unlike,
)

METRIC = "instructions"
SEARCHING = "searching"
MIN_REPEATS = 2
"""A single count has no spread to hold a change against, and decides only where the sides are far
from a growth (`results.schema.regression.settled`)."""

_Rows = dict[tuple[str, str], list[Row]]


def judge(evidence: Evidence, settings: Settings) -> tuple[Finding, ...]:
    """One Finding a stack and route; one in all where the sides cannot be compared."""
    if evidence.apart:
        base, candidate = evidence.base.side, evidence.candidate.side
        differ = unlike(base.fingerprint, candidate.fingerprint, base.packages, candidate.packages)
        if differ:
            meaning = f"not compared: the baseline {differ.why}; {differ.remedy}"
            return (Finding(Layer.INSTRUCTIONS, EVERY, EVERY, METRIC, Verdict.NOT_RUN, meaning),)
    before, after = (by_subject(rows, "route") for rows in evidence.rows(Layer.INSTRUCTIONS))
    return tuple(_compare(before, after, evidence, settings))


def _counts(rows: Iterable[Row] | None) -> list[float]:
    return _numbers(rows or (), METRIC)


def _numbers(rows: Iterable[Row], column: str) -> list[float]:
    return [float(n) for row in rows if isinstance(n := row[column], int | float)]


def _compare(
    base: _Rows, candidate: _Rows, evidence: Evidence, settings: Settings
) -> Iterator[Finding]:
    skipped, findings = unmeasured(evidence, Layer.INSTRUCTIONS)
    yield from findings
    lacking = _uncounted(evidence)
    for key in dict.fromkeys((*base, *candidate, *lacking)):
        if key[0] in skipped:
            continue
        before, after = base.get(key), candidate.get(key)
        if key in lacking:
            shown = _median(_counts(before)), _median(_counts(after))
            why = Verdict.CANNOT_TELL, lacking[key]
            yield Finding(Layer.INSTRUCTIONS, *key, METRIC, *why, *shown)
        elif before is not None and after is not None:
            yield from _both(key, before, after, settings)
        else:
            shown = _median(_counts(before)), _median(_counts(after))
            yield Finding.one_sided(Layer.INSTRUCTIONS, key, METRIC, *shown)


def _both(
    key: tuple[str, str], base: Sequence[Row], candidate: Sequence[Row], settings: Settings
) -> Iterator[Finding]:
    """That of instructions; and that of searching where it grew, or may have."""
    finding = _route(key, METRIC, _counts(base), _counts(candidate), settings)
    if len({row[SEARCHING] is None for row in (*base, *candidate)}) > 1:
        meaning = "searches of classes are told apart in some counts and not in others"
        yield Finding(
            *(Layer.INSTRUCTIONS, *key, METRIC, Verdict.CANNOT_TELL, meaning),
            *(finding.base, finding.candidate),
            n=finding.n,
        )
        return
    yield finding
    searching = by_searching(base, candidate)
    if searching is None:
        return
    alone = _route(key, SEARCHING, *searching, replace(settings, instructions=SEARCHING_GROWTH))
    if alone.verdict in (Verdict.REGRESSED, Verdict.CANNOT_TELL):
        meaning = f"{alone.meaning}; by searches of classes alone, as a share of the request"
        before, after = (_median(_numbers(rows, SEARCHING)) for rows in (base, candidate))
        yield replace(alone, meaning=meaning, base=before, candidate=after)


def _uncounted(evidence: Evidence) -> dict[tuple[str, str], str]:
    """Why a route could not be counted, on which side, by stack and route."""
    by_route: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for measured in (evidence.base, evidence.candidate):
        for row in measured.uncounted:
            by_route[str(row["stack"]), str(row["route"])].append(f"{row['side']}: {row['reason']}")
    return {key: "; ".join(dict.fromkeys(reasons)) for key, reasons in by_route.items()}


def _route(
    key: tuple[str, str],
    metric: str,
    before: list[float],
    after: list[float],
    settings: Settings,
) -> Finding:
    shown = _median(before), _median(after)
    median_before, median_after = statistics.median(before), statistics.median(after)
    n = min(len(before), len(after))
    if (
        median_before <= 0
        or median_after <= 0
        or (n < MIN_REPEATS and not settled(before, after, settings.instructions))
    ):
        meaning = "a count of zero" if n >= MIN_REPEATS else "counted once: no spread is known"
        return Finding(Layer.INSTRUCTIONS, *key, metric, Verdict.CANNOT_TELL, meaning, *shown, n=n)
    wider = max(spread(before), spread(after))
    ratio = median_after / median_before
    if n < MIN_REPEATS:
        verdict, meaning = Verdict.SAME, f"{signed(ratio - 1)}, counted once"
    else:
        verdict, meaning = _verdict(ratio - 1, wider, settings.instructions)
    if verdict is Verdict.REGRESSED and overlapping(before, after):
        verdict, meaning = Verdict.CANNOT_TELL, f"{meaning}; counts of both sides overlap"
    return Finding(
        Layer.INSTRUCTIONS,
        *key,
        metric,
        verdict,
        meaning,
        *shown,
        ratio=ratio,
        ratio_low=min(after) / max(before),
        ratio_high=max(after) / min(before) if min(before) > 0 else None,
        n=n,
        detectable=max(settings.instructions, SPREADS * wider if n >= MIN_REPEATS else 0.0),
    )


def _median(counts: Sequence[float]) -> str | None:
    return None if not counts else f"{statistics.median(counts):,.0f}"


def _verdict(change: float, wider: float, threshold: float) -> tuple[Verdict, str]:
    size = max(threshold, SPREADS * wider)
    meaning = f"{signed(change)}, where equal code differs by {percent(wider)}"
    if change >= size:
        return Verdict.REGRESSED, meaning
    if change <= -size:
        return Verdict.IMPROVED, meaning
    if undecided(change, wider, threshold):
        return Verdict.CANNOT_TELL, f"{meaning}: only {percent(size)} or more could be told"
    return Verdict.SAME, meaning
