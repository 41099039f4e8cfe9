"""regression.md: the verdict and what it rests on, short enough for the summary of a CI step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from loopbench.results.regression.finding import EVERY, Finding, Weight
from loopbench.results.regression.outputs.terminal import heading
from loopbench.results.regression.text_values import excerpts
from loopbench.results.regression.verdict import (
    Report,
    asked,
    headline,
    layer_lines,
    metric,
    not_judged,
)
from loopbench.results.report.markdown import literal
from loopbench.results.schema.regression import Layer
from loopbench.results.stats import formatting

MOST_ROWS = 40
"""So many rows of a table; a summary that nobody can read through says less."""

_LONGEST = 200


def render(report: Report) -> str:
    """The whole text. What comes from rows stays text: no markup, no line of its own."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield "## Regression check"
    yield ""
    yield f"**{literal(headline(report))}**"
    yield ""
    yield from (f"- {_text(' '.join(line.split()))}" for line in heading(report))
    for layer in filter(partial(asked, report), Layer):
        summary = "; ".join(layer_lines(report, layer))
        yield f"- {layer}: {literal(formatting.plain(summary))}"
    yield from (f"- Not judged: {_text(line)}" for line in not_judged(report))
    for title, weight in (("Regressions", Weight.REGRESSION), ("Doubts", Weight.DOUBT)):
        findings = report.weighing(weight)
        if findings:
            yield ""
            yield f"### {title}"
            yield ""
            yield "| layer | where | what | base | candidate | verdict | in words |"
            yield "|---|---|---|---|---|---|---|"
            yield from map(_row, findings[:MOST_ROWS])
            if len(findings) > MOST_ROWS:
                yield ""
                yield f"{len(findings) - MOST_ROWS} more are in regression.csv."


def _row(finding: Finding) -> str:
    before, after = excerpts(finding.base or "", finding.candidate or "")
    cells = (
        finding.layer,
        finding.where or EVERY,
        metric(finding) or EVERY,
        "" if finding.base is None else before,
        "" if finding.candidate is None else after,
        finding.verdict,
        finding.meaning,
    )
    return f"| {' | '.join(map(_text, cells))} |"


def _text(text: str) -> str:
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return literal(formatting.plain(short))
