"""The whole table, and what it comes to: one verdict, in words and as an exit status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loopbench.results.errors import ResultsError
from loopbench.results.regression.evidence import Evidence
from loopbench.results.regression.finding import (
    EVERY,
    Finding,
    Settings,
    Verdict,
    Weight,
    percent,
    signed,
)
from loopbench.results.regression.layers import facts, instructions, occasions, timing
from loopbench.results.regression.outputs.text_values import excerpts
from loopbench.results.schema.regression import Layer
from loopbench.results.stats import formatting

MOST = 3
"""So many findings stand in the headline; then only how many more there are."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured, by which settings it was judged, and every Finding."""

    evidence: Evidence
    settings: Settings
    findings: tuple[Finding, ...]

    def of(self, layer: Layer) -> tuple[Finding, ...]:
        """The Findings of one layer."""
        return tuple(finding for finding in self.findings if finding.layer is layer)

    def weighing(self, weight: Weight) -> tuple[Finding, ...]:
        """The regressions, or the doubts."""
        return tuple(finding for finding in self.findings if finding.weight is weight)

    @property
    def status(self) -> Weight:
        """One regression decides, then one doubt."""
        weights = {finding.weight for finding in self.findings}
        return next((w for w in (Weight.REGRESSION, Weight.DOUBT) if w in weights), Weight.FINE)


def judge(evidence: Evidence, settings: Settings) -> Report:
    """Judge every layer. Raises ResultsError where there is nothing to judge."""
    findings = tuple(finding for layer in Layer for finding in _layer(layer, evidence, settings))
    if not findings:
        raise ResultsError(f"{evidence.folder} has nothing to judge: no layer was measured")
    return Report(evidence, settings, findings)


def _layer(layer: Layer, evidence: Evidence, settings: Settings) -> Sequence[Finding]:
    state = evidence.layers[layer]
    if not state.run:
        return [_not_run(layer, state.why_not or "")] if state.asked else []
    if evidence.apart and not evidence.base.layers[layer].run:
        return [_not_run(layer, "the baseline has nothing of this layer")]
    match layer:
        case Layer.FACTS:
            return facts.judge(evidence)
        case Layer.INSTRUCTIONS:
            return instructions.judge(evidence, settings)
        case Layer.TIME:
            if evidence.apart:
                return occasions.judge(evidence, settings)
            return timing.judge(evidence, settings)


def _not_run(layer: Layer, why: str) -> Finding:
    return Finding(layer, EVERY, EVERY, EVERY, Verdict.NOT_RUN, why)


_BEGINNINGS = {
    Weight.FINE: "NO REGRESSION",
    Weight.REGRESSION: "REGRESSION",
    Weight.DOUBT: "CANNOT TELL",
}


def headline(report: Report) -> str:
    """The verdict, and what it rests on: the regressions, the doubts, or what is ruled out."""
    status = report.status
    if status is Weight.FINE:
        said = "; ".join(_ruled_out(report))
    else:
        found = report.weighing(status)
        said = "; ".join(map(brief, found[:MOST]))
        said += f"; and {len(found) - MOST} more" if len(found) > MOST else ""
    return formatting.plain(f"{_BEGINNINGS[status]}: {said}.")


def brief(finding: Finding) -> str:
    """Where, what and how much, in some words."""
    what = " ".join(filter(None, (finding.where, metric(finding)))) or str(finding.layer)
    match finding.verdict:
        case Verdict.CHANGED:
            before, after = excerpts(finding.base or "", finding.candidate or "")
            return f"{what} was {before} and is {after}"
        case Verdict.MISSING:
            return f"{what} is {'gone' if finding.candidate is None else 'new'}"
        case Verdict.REGRESSED:
            return f"{what} {finding.meaning}"
        case _:
            return f"{what} {finding.verdict}: {finding.meaning}"


def metric(finding: Finding) -> str:
    """The fact, or the short name of the quantity; blank where it is about all of them."""
    if finding.metric == EVERY:
        return ""
    return formatting.label(finding.metric)


def _ruled_out(report: Report) -> Iterator[str]:
    settings = report.settings
    for layer in Layer:
        found = report.of(layer)
        if not found:
            continue
        match layer:
            case Layer.FACTS:
                yield "no fact changed"
            case Layer.INSTRUCTIONS:
                size = max(
                    (finding.detectable for finding in found if finding.detectable is not None),
                    default=settings.instructions,
                )
                yield f"no route takes {percent(size)} more instructions"
            case Layer.TIME if report.evidence.apart:
                size = max((finding.detectable or 0 for finding in found), default=0)
                yield f"time: no gross change, which is {percent(size)} or more"
            case Layer.TIME:
                yield f"no cell is slower by {percent(settings.ruled_out)}"


def layer_lines(report: Report, layer: Layer) -> Iterator[str]:
    """What became of a layer, in a line or some: how much was compared, and with what result."""
    state, found = report.evidence.layers[layer], report.of(layer)
    if not state.run:
        yield f"not run: {state.why_not}" if state.asked else "not asked for"
        return
    for finding in found:
        if finding.stack == EVERY:
            yield f"{finding.verdict}: {finding.meaning}"
    each = [finding for finding in found if finding.stack != EVERY]
    if each:
        yield _counted(layer, each)
    if layer is Layer.FACTS and facts.note(report.evidence):
        yield facts.note(report.evidence)
    if layer is Layer.INSTRUCTIONS and each:
        yield from _widest(each)


_UNITS = {Layer.FACTS: "facts", Layer.INSTRUCTIONS: "routes", Layer.TIME: "figures"}


def _counted(layer: Layer, found: Sequence[Finding]) -> str:
    counts = Counter(_named(finding) for finding in found)
    said = ", ".join(f"{n} {name}" for name, n in counts.most_common())
    return f"{len(found)} {_UNITS[layer]}: {said}"


def _named(finding: Finding) -> str:
    if finding.verdict is Verdict.MISSING:
        return "gone" if finding.candidate is None else "new"
    return str(finding.verdict)


def _widest(found: Sequence[Finding]) -> Iterator[str]:
    same = [f for f in found if f.verdict is Verdict.SAME and f.ratio is not None]
    if same:
        widest = max(same, key=lambda finding: abs((finding.ratio or 1) - 1))
        change = signed((widest.ratio or 1) - 1)
        yield f"the largest change among those called same: {change} ({widest.where})"
