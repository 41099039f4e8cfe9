"""Layer 2: instructions a request, nearly exact.

A route's ratio is that of the medians over the repeats. The spread is how far a side's repeats lie
apart (`results.schema.regression.spread`), the wider one of both sides: what the same code differs
by. A change is called at the setting (1 %), and never on less than ten times the spread; a growth,
only where the counts of the sides do not overlap. Where that decides, the measuring half has
counted the stack again, up to six times in all.

Against a baseline from another occasion instructions say something only where interpreter, C
library, CPU features and packages are the same; otherwise nothing is compared, and that is said.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator

from loopbench.results.regression.evidence import Evidence, by_subject, unmeasured
from loopbench.results.regression.finding import EVERY, Finding, Settings, Verdict, percent, signed
from loopbench.results.schema import Row
from loopbench.results.schema.regression import (
    SPREADS,
    Layer,
    overlapping,
    settled,
    spread,
    undecided,
    unlike,
)

METRIC = "instructions"
MIN_REPEATS = 2
"""A single count has no spread to hold a change against, and decides only where the sides are far
from a growth (`results.schema.regression.settled`)."""

_Counts = dict[tuple[str, str], list[float]]


def judge(evidence: Evidence, settings: Settings) -> tuple[Finding, ...]:
    """One Finding a stack and route; one in all where the sides cannot be compared."""
    if evidence.apart:
        base, candidate = evidence.base.side, evidence.candidate.side
        differ = unlike(base.fingerprint, candidate.fingerprint, base.packages, candidate.packages)
        if differ:
            meaning = f"not compared: the baseline {differ.why}; {differ.remedy}"
            return (Finding(Layer.INSTRUCTIONS, EVERY, EVERY, METRIC, Verdict.NOT_RUN, meaning),)
    before, after = (_counts(rows) for rows in evidence.rows(Layer.INSTRUCTIONS))
    return tuple(_compare(before, after, evidence, settings))


def _counts(rows: Iterable[Row]) -> _Counts:
    return {
        key: [float(n) for row in each if isinstance(n := row[METRIC], int | float)]
        for key, each in by_subject(rows, "route").items()
    }


def _compare(
    base: _Counts, candidate: _Counts, evidence: Evidence, settings: Settings
) -> Iterator[Finding]:
    skipped, said = unmeasured(evidence, Layer.INSTRUCTIONS)
    yield from said
    lacking = _uncounted(evidence)
    for key in dict.fromkeys((*base, *candidate, *lacking)):
        if key[0] in skipped:
            continue
        if key in lacking:
            shown = _median(base.get(key)), _median(candidate.get(key))
            why = Verdict.CANNOT_TELL, lacking[key]
            yield Finding(Layer.INSTRUCTIONS, *key, METRIC, *why, *shown)
        else:
            yield _route(key, base.get(key), candidate.get(key), settings)


def _uncounted(evidence: Evidence) -> dict[tuple[str, str], str]:
    """Why a route could not be counted, on which side, by stack and route."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for measured in (evidence.base, evidence.candidate):
        for row in measured.uncounted:
            found[str(row["stack"]), str(row["route"])].append(f"{row['side']}: {row['reason']}")
    return {key: "; ".join(dict.fromkeys(reasons)) for key, reasons in found.items()}


def _route(
    key: tuple[str, str],
    before: list[float] | None,
    after: list[float] | None,
    settings: Settings,
) -> Finding:
    shown = _median(before), _median(after)
    if before is None or after is None:
        return Finding.one_sided(Layer.INSTRUCTIONS, key, METRIC, *shown)
    one, other = statistics.median(before), statistics.median(after)
    n = min(len(before), len(after))
    if (
        one <= 0
        or other <= 0
        or (n < MIN_REPEATS and not settled(before, after, settings.instructions))
    ):
        meaning = "a count of zero" if n >= MIN_REPEATS else "counted once: no spread is known"
        return Finding(Layer.INSTRUCTIONS, *key, METRIC, Verdict.CANNOT_TELL, meaning, *shown, n=n)
    wider = max(spread(before), spread(after))
    ratio = other / one
    if n < MIN_REPEATS:
        verdict, meaning = Verdict.SAME, f"{signed(ratio - 1)}, counted once"
    else:
        verdict, meaning = _verdict(ratio - 1, wider, settings.instructions)
    if verdict is Verdict.REGRESSED and overlapping(before, after):
        verdict, meaning = Verdict.CANNOT_TELL, f"{meaning}: counts of both sides overlap"
    return Finding(
        Layer.INSTRUCTIONS,
        *key,
        METRIC,
        verdict,
        meaning,
        *shown,
        ratio=ratio,
        ratio_low=min(after) / max(before),
        ratio_high=max(after) / min(before) if min(before) > 0 else None,
        n=n,
        detectable=max(settings.instructions, SPREADS * wider if n >= MIN_REPEATS else 0.0),
    )


def _median(counts: list[float] | None) -> str | None:
    return None if counts is None else f"{statistics.median(counts):,.0f}"


def _verdict(change: float, wider: float, threshold: float) -> tuple[Verdict, str]:
    size = max(threshold, SPREADS * wider)
    said = f"{signed(change)}, where equal code differs by {percent(wider)}"
    if change >= size:
        return Verdict.REGRESSED, said
    if change <= -size:
        return Verdict.IMPROVED, said
    if undecided(change, wider, threshold):
        return Verdict.CANNOT_TELL, f"{said}: only {percent(size)} or more could be told"
    return Verdict.SAME, said
