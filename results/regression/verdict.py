"""The whole table, and what it comes to: one verdict, in words and as an exit status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from loopbench.results.errors import ResultsError
from loopbench.results.grouping import grouped
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
from loopbench.results.regression.layers import (
    answers,
    facts,
    functions,
    instructions,
    memory,
    occasions,
    tails,
    timing,
)
from loopbench.results.regression.text_values import excerpts
from loopbench.results.schema.regression import BROKEN_OFF, Layer
from loopbench.results.stats import formatting

MOST = 3
"""So many changes stand in the headline; then only how many more findings there are."""


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

    def judged(self, layer: Layer) -> bool:
        """Whether anything of the layer was compared."""
        return any(
            finding.verdict not in (Verdict.NOT_RUN, Verdict.MISSING) and not finding.unread
            for finding in self.of(layer)
        )

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
    """The Findings of a layer. Of a stack of which something was not reached, what only a base of
    another occasion has may not have been asked yet."""
    left = evidence.layers[layer].not_reached
    findings = [
        finding
        for finding in _compared(layer, evidence, settings)
        if not (evidence.apart and finding.stack in left and finding.gone)
    ]
    if findings and all(finding.unread for finding in findings):
        findings.append(_not_run(layer, UNREAD))
    return findings + [
        Finding(layer, stack, EVERY, EVERY, Verdict.NOT_RUN, f"not reached: {_listed(parts)}")
        for stack, parts in left.items()
    ]


UNREAD = "nothing of it could be had of either side"


def _listed(names: Sequence[str]) -> str:
    """Some of them, and how many more there are."""
    rest = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {rest} more" if rest > 0 else "")


def _compared(layer: Layer, evidence: Evidence, settings: Settings) -> Sequence[Finding]:
    state = evidence.layers[layer]
    if not state.run:
        return [_not_run(layer, state.why_not or "")] if state.asked else []
    before = evidence.base.layers[layer]
    if evidence.apart and not before.known:
        meaning = "new: the baseline was measured before there was this layer"
        return [Finding(layer, EVERY, EVERY, EVERY, Verdict.MISSING, meaning, None, "measured")]
    if evidence.apart and not before.run:
        return [_not_run(layer, "the baseline has nothing of this layer")]
    match layer:
        case Layer.FACTS:
            return facts.judge(evidence)
        case Layer.BEHAVIOUR:
            return answers.judge(evidence)
        case Layer.INSTRUCTIONS:
            return instructions.judge(evidence, settings)
        case Layer.MEMORY:
            return memory.judge(evidence)
        case Layer.TAILS:
            return tails.judge(evidence, settings)
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
        grounds = "; ".join(_ruled_out(report))
    else:
        changes = _changes(report.weighing(status))
        grounds = "; ".join(_brief_of(alike) for alike in changes[:MOST])
        rest = sum(map(len, changes[MOST:]))
        grounds += f"; and {rest} more" if rest else ""
    return formatting.plain(f"{_BEGINNINGS[status]}: {grounds}.")


def _changes(findings: Iterable[Finding]) -> list[Sequence[Finding]]:
    """Findings by what changed into what: a header that is gone from all routes is one change, and
    must not hide the others."""
    change = attrgetter("layer", "stack", "metric", "verdict", "meaning", "base", "candidate")
    return list(grouped((change(finding), finding) for finding in findings).values())


def _brief_of(alike: Sequence[Finding]) -> str:
    others = len(alike) - 1
    return brief(alike[0]) + (f" (as in {others} more)" if others else "")


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
    for layer in Layer:
        if report.evidence.layers[layer].run and report.judged(layer):
            yield _RULED_OUT[layer](report)


def _counts(report: Report) -> str:
    size = _largest(report, Layer.INSTRUCTIONS) or report.settings.instructions
    return f"no route takes {percent(size)} more instructions"


def _memory(report: Report) -> str:
    blocks, resident = (memory.THRESHOLDS[name] for name in ("blocks", "resident_bytes"))
    return (
        f"no request leaves {blocks:g} objects or {resident / 1024:g} KiB behind more than before, "
        f"nor {percent(memory.OF_THE_BASE)} more where that is more"
    )


def _tails(report: Report) -> str:
    size = _largest(report, Layer.TAILS)
    return f"tails: no further {percent(size)} of requests became slow" if size else "tails: new"


def _time(report: Report) -> str:
    if report.evidence.apart:
        gross = percent(_largest(report, Layer.TIME) or 0)
        return f"time: no gross change, which is {gross} or more"
    size = percent(report.settings.ruled_out)
    return f"time: no cell is worse by {size} in CPU, throughput or median"


def _largest(report: Report, layer: Layer) -> float | None:
    """The smallest change that every part of the layer could have told."""
    sizes = [finding.detectable for finding in report.of(layer) if finding.detectable is not None]
    return max(sizes, default=None)


_RULED_OUT: Mapping[Layer, Callable[[Report], str]] = {
    Layer.FACTS: lambda report: "no fact changed",
    Layer.BEHAVIOUR: lambda report: "no answer about behaviour changed",
    Layer.INSTRUCTIONS: _counts,
    Layer.MEMORY: _memory,
    Layer.TAILS: _tails,
    Layer.TIME: _time,
}


def not_judged(report: Report) -> Iterator[str]:
    """What the verdict says nothing about, and how to have it judged, a line each."""
    unasked = []
    for layer in Layer:
        if report.judged(layer):
            yield from _left_out(report, layer)
            continue
        state = report.evidence.layers[layer]
        if layer is Layer.TAILS and report.evidence.apart:
            yield f"{layer}: they need a base that is measured now (BASE=…)"
        elif state.run:
            unread = any(finding.unread for finding in report.of(layer))
            yield f"{layer}: {UNREAD if unread else 'only one side has anything of it'}"
        elif state.asked:
            again = f" ({_again(layer)})" if state.why_not == BROKEN_OFF else ""
            yield f"{layer}: {state.why_not}{again}"
        else:
            unasked.append(layer)
    if unasked:
        names = " ".join(unasked)
        yield f"{', '.join(unasked)}: not asked for (LAYERS='{names}', or --layer with each)"
    lacking = report.evidence.layers[Layer.FACTS].lacking
    for (stack, subject), package in lacking.items():
        yield f"{stack} {subject}: not both sides have {package} (make setup STACKS=all)"
    python = report.evidence.candidate.side.python
    if python:
        yield f"Pythons other than {python}: the check judges the one that runs it (PYTHON=…)"


def _again(layer: Layer) -> str:
    return f"LAYERS={layer}, or --layer {layer}, measures it again"


def _left_out(report: Report, layer: Layer) -> Iterator[str]:
    """What was not asked or measured of a layer that was judged."""
    state = report.evidence.layers[layer]
    if state.why_not is not None:
        yield f"{layer}: the rest of it: {state.why_not} ({_again(layer)})"
    for stack, parts in state.not_reached.items():
        yield f"{layer}: {stack}, not reached: {_listed(parts)}"
    if state.other_requests:
        names = _listed(state.other_requests)
        yield f"{layer}: cases that the sides do not ask alike, by their contracts: {names}"
    unread = grouped(((f.stack, f.metric), f.subject) for f in report.of(layer) if f.unread)
    for (stack, metric_), subjects in unread.items():
        yield f"{layer}: {stack}, {metric_} of {_listed(subjects)}: not to be had of either side"
    questions = state.questions
    if questions:
        others = f"other than {', '.join(questions)}"
        yield f"{layer}: questions {others} (without QUESTIONS all are asked)"


def asked(report: Report, layer: Layer) -> bool:
    """Whether there is anything to say of a layer: it was asked for, or measured nevertheless."""
    state = report.evidence.layers[layer]
    return state.run or state.asked


def layer_lines(report: Report, layer: Layer) -> Iterator[str]:
    """What became of a layer, in a line or some: how much was compared, and with what result.
    Nothing of one that was not asked for."""
    state, findings = report.evidence.layers[layer], report.of(layer)
    if not state.run:
        if state.asked:
            yield f"not run: {state.why_not}"
        return
    for finding in findings:
        if finding.stack == EVERY:
            yield f"{finding.verdict}: {finding.meaning}"
    each = [f for f in findings if f.stack != EVERY and f.verdict is not Verdict.NOT_RUN]
    if each:
        yield _counted(layer, each)
    if layer is Layer.INSTRUCTIONS and each:
        yield from _widest(each)
        yield from functions.lines(report.evidence)


_UNITS = {
    Layer.FACTS: "facts",
    Layer.BEHAVIOUR: "answers",
    Layer.INSTRUCTIONS: "routes",
    Layer.MEMORY: "figures",
    Layer.TAILS: "cells",
    Layer.TIME: "figures",
}


def _counted(layer: Layer, findings: Sequence[Finding]) -> str:
    counts = Counter(_named(finding) for finding in findings)
    tally = ", ".join(f"{n} {name}" for name, n in counts.most_common())
    return f"{len(findings)} {_UNITS[layer]}: {tally}"


def _named(finding: Finding) -> str:
    if finding.verdict is Verdict.MISSING:
        return "gone" if finding.candidate is None else "new"
    return "not to be had of either side" if finding.unread else str(finding.verdict)


def _widest(findings: Sequence[Finding]) -> Iterator[str]:
    same = [f for f in findings if f.verdict is Verdict.SAME and f.ratio is not None]
    if same:
        widest = max(same, key=lambda finding: abs((finding.ratio or 1) - 1))
        change = signed((widest.ratio or 1) - 1)
        yield f"the largest change among those called same: {change} ({widest.where})"
