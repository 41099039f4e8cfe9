"""What servers keep of requests that have ended, beside what the base keeps of them.

Each repeat is a fresh process, and tells how much was held more after N further requests. A growth
is called where every repeat of the candidate is above every repeat of the base, by at least the
threshold and by a fifth of what the base keeps itself. The thresholds come from equal pairs on a
busy machine (docs/regression.md): far above what these differed by, and under one object a request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from loopbench.results.regression.evidence import Evidence, by_subject, unmeasured
from loopbench.results.regression.finding import Finding, Verdict
from loopbench.results.schema import Row
from loopbench.results.schema.regression import Layer

THRESHOLDS: Mapping[str, float] = {"blocks": 0.6, "resident_bytes": 2048.0}
"""By metric: what a request has to leave behind more than the base's."""

OF_THE_BASE = 0.2
"""And more than this share of what the base's leaves behind."""

_WORDS = {
    "blocks": "keeps {:,.2f} blocks of memory more of every request than the base, about one an "
    "object",
    "resident_bytes": "keeps {:,.0f} bytes more of every request than the base",
}

_Seen = Mapping[tuple[str, str], Sequence[Row]]
"""The repeats, by stack and subject."""


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """One Finding a stack, subject and metric."""
    base, candidate = (by_subject(rows, "subject") for rows in evidence.rows(Layer.MEMORY))
    return tuple(_compare(base, candidate, evidence))


def _compare(base: _Seen, candidate: _Seen, evidence: Evidence) -> Iterator[Finding]:
    skipped, findings = unmeasured(evidence, Layer.MEMORY)
    yield from findings
    for key in dict.fromkeys((*base, *candidate)):
        if key[0] in skipped:
            continue
        for metric in THRESHOLDS:
            yield _finding(key, metric, base.get(key), candidate.get(key))


def _finding(
    key: tuple[str, str], metric: str, before: Sequence[Row] | None, after: Sequence[Row] | None
) -> Finding:
    if before is None or after is None:
        return Finding.one_sided(Layer.MEMORY, key, metric, before, after)
    one, other = _values(before, metric), _values(after, metric)
    shown = _shown(one), _shown(other)
    if len(one) < len(before) or len(other) < len(after):  # a repeat says nothing by itself
        reasons = dict.fromkeys(
            f"{row['side']}: {row['reason']}" for row in (*before, *after) if row["reason"]
        )
        meaning = "; ".join(reasons) or "not measured"
        return Finding(Layer.MEMORY, *key, metric, Verdict.CANNOT_TELL, meaning, *shown)
    verdict, meaning = _verdict(metric, one, other)
    return Finding(
        Layer.MEMORY,
        *key,
        metric,
        verdict,
        meaning,
        *shown,
        n=min(len(one), len(other)),
    )


def _verdict(metric: str, one: Sequence[float], other: Sequence[float]) -> tuple[Verdict, str]:
    more, less = min(other) - max(one), min(one) - max(other)
    if more >= max(THRESHOLDS[metric], OF_THE_BASE * max(one)):
        return Verdict.REGRESSED, _WORDS[metric].format(more)
    if less >= max(THRESHOLDS[metric], OF_THE_BASE * max(other)):
        return Verdict.IMPROVED, "keeps less of every request than the base"
    return Verdict.SAME, ""


def _values(rows: Sequence[Row], metric: str) -> list[float]:
    return [float(value) for row in rows if isinstance(value := row[metric], int | float)]


def _shown(values: Sequence[float]) -> str | None:
    """Least and most of the repeats; one where they are the same."""
    if not values:
        return None
    return " to ".join(dict.fromkeys(f"{value:,.2f}" for value in (min(values), max(values))))
