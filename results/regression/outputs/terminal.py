"""What a person sees of a check: the sides, what each layer found, and the verdict at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby

from rich.console import Console
from rich.text import Text

from loopbench.results.regression.finding import EVERY, Finding, Verdict, Weight, percent
from loopbench.results.regression.text_values import visible
from loopbench.results.regression.verdict import Report, asked, headline, layer_lines, not_judged
from loopbench.results.schema.regression import Layer, other_versions, version_words
from loopbench.results.stats import formatting
from loopbench.results.terminal.table import hanging, shown_path

_NOTHING = "–"
_STYLES = {Weight.REGRESSION: "red", Weight.DOUBT: "yellow"}
_END = {Weight.FINE: "bold green", Weight.REGRESSION: "bold red", Weight.DOUBT: "bold yellow"}
_QUIET = (Verdict.SAME,)
"""Not shown one by one, unless all are."""


def render(report: Report, console: Console, *, every: bool = False) -> None:
    """Print a Report. every: what stayed the same, too."""
    for line in heading(report):
        console.print(Text(line, style="bold"))
    for layer in filter(partial(asked, report), Layer):
        console.print()
        console.print(Text(layer.capitalize(), style="bold"))
        for line in layer_lines(report, layer):
            console.print(hanging("  ", formatting.plain(line)))
        findings = [
            finding
            for finding in report.of(layer)
            if finding.stack != EVERY and (every or finding.verdict not in _QUIET)
        ]
        _BODIES[layer](findings, console)
    console.print()
    if legend := _legend(report):
        console.print(Text(legend, style="dim"))
        console.print()
    console.print(Text(headline(report), style=_END[report.status]))
    for line in not_judged(report):
        console.print(hanging("Not judged: ", formatting.plain(line)))


def heading(report: Report) -> Iterator[str]:
    """Which two sides these are, and by which packages they differ."""
    for name, measured in (
        ("base", report.evidence.base),
        ("candidate", report.evidence.candidate),
    ):
        side = measured.side
        python = f", Python {side.python}" if side.python else ""
        known = report.evidence.apart and side.measured_at
        when = f", measured {side.measured_at}" if known else ""
        yield formatting.plain(f"{name + ':':<10} {side.title}{python}{when}")
    if report.evidence.apart:
        yield f"The base is from another occasion: {shown_path(report.evidence.base.folder)}"
    base, candidate = (
        of_side.side.packages for of_side in (report.evidence.base, report.evidence.candidate)
    )
    differ = other_versions(base, candidate)
    if base and differ:
        yield formatting.plain(f"Packages that differ: {version_words(differ)}")


def _facts(findings: Sequence[Finding], console: Console) -> None:
    for finding in findings:
        style = _STYLES.get(finding.weight, "")
        title = f"  {finding.where}, {finding.metric}: {finding.verdict}"
        console.print(Text(formatting.plain(title.replace(f", {EVERY}:", ":")), style=style))
        if finding.verdict is Verdict.SAME:
            console.print(hanging("    ", visible(finding.base or "")))
        elif finding.base is None or finding.candidate is None or finding.base == finding.candidate:
            value = finding.base if finding.candidate is None else finding.candidate
            suffix = f": {visible(value)}" if value is not None and finding.metric != EVERY else ""
            console.print(hanging("    ", formatting.plain(f"{finding.meaning}{suffix}")))
        else:
            console.print(hanging("    before: ", visible(finding.base)))
            console.print(hanging("    after:  ", visible(finding.candidate)))
            if finding.verdict is Verdict.CANNOT_TELL:
                console.print(hanging("    ", formatting.plain(finding.meaning)))


def _instructions(findings: Sequence[Finding], console: Console) -> None:
    rows = [
        (f"  {finding.subject}", *_sides(finding), _ratio(finding.ratio, 4), _sees(finding))
        for finding in findings
    ]
    head = ("", "base", "candidate", "ratio", "sees")
    _columns(head, rows, findings, [finding.stack for finding in findings], console)


def _memory(findings: Sequence[Finding], console: Console) -> None:
    rows = [
        (f"  {finding.subject}", formatting.label(finding.metric), *_sides(finding))
        for finding in findings
    ]
    head = ("", "kept of a request", "base", "candidate")
    _columns(head, rows, findings, [finding.stack for finding in findings], console)


def _tails(findings: Sequence[Finding], console: Console) -> None:
    rows = [(f"  {finding.subject}", *_sides(finding), _sees(finding)) for finding in findings]
    head = ("", "slow of the base", "of the candidate", "sees")
    _columns(head, rows, findings, [finding.stack for finding in findings], console)


def _time(findings: Sequence[Finding], console: Console) -> None:
    rows = [
        (
            f"  {formatting.label(finding.metric)}",
            *_sides(finding),
            _ratio(finding.ratio, 3),
            _interval(finding),
            _sees(finding),
        )
        for finding in findings
    ]
    head = ("", "base", "candidate", "ratio", "interval", "sees")
    _columns(head, rows, findings, [finding.where for finding in findings], console)


def _sides(finding: Finding) -> tuple[str, str]:
    return finding.base or _NOTHING, finding.candidate or _NOTHING


def _ratio(value: float | None, places: int) -> str:
    return _NOTHING if value is None else f"{value:.{places}f}"


def _interval(finding: Finding) -> str:
    if finding.ratio_low is None or finding.ratio_high is None:
        return _NOTHING
    return f"{finding.ratio_low:.3f}–{finding.ratio_high:.3f}"


def _sees(finding: Finding) -> str:
    return _NOTHING if finding.detectable is None else percent(finding.detectable)


def _columns(
    head: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    findings: Sequence[Finding],
    titles: Sequence[str],
    console: Console,
) -> None:
    """Lines in columns of equal width, the verdict last, each group under its title, and what
    the columns do not say as numbered notes under the table."""
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    notes = list(dict.fromkeys(filter(None, map(_note, findings))))
    console.print(Text(_line(head, widths) + "  verdict", style="bold"))
    lines = zip(titles, findings, rows, strict=True)
    for title, group in groupby(lines, key=lambda line: line[0]):
        console.print(Text(formatting.plain(title), style="bold"))
        for _, finding, row in group:
            note = _note(finding)
            verdict = f"  {finding.verdict}{f' [{notes.index(note) + 1}]' if note else ''}"
            text = Text(formatting.plain(_line(row, widths)))
            console.print(text.append(verdict, _STYLES.get(finding.weight, "")))
    for number, note in enumerate(notes, start=1):
        console.print(hanging(f"[{number}] ", formatting.plain(note)))


def _note(finding: Finding) -> str:
    """What its columns do not say: all of the meaning without a ratio, else what comes after the
    change and its bounds."""
    if finding.ratio is None:
        return finding.meaning
    return finding.meaning.partition("; ")[2]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        f"{cell:<{width}}" if place == 0 else f"{cell:>{width}}"
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others])


def _legend(report: Report) -> str:
    settings = report.settings
    sentences = []
    if any(report.of(layer) for layer in Layer if _BODIES[layer] is not _facts):
        sentences.append("Ratio: candidate over base.")
    if report.of(Layer.INSTRUCTIONS) or report.of(Layer.TIME):
        sentences.append("sees: the smallest growth that could have been told.")
    if report.of(Layer.TIME) and report.evidence.apart:
        sentences.append("Of times: each over the yardstick of its occasion.")
    elif report.of(Layer.TIME):
        sentences.append(
            f"Interval: {percent(1 - 2 * settings.alpha)}. regressed: slower by "
            f"{percent(settings.floor)} or more, with a false alarm in {percent(settings.alpha)} "
            f"of such tables, nominally. ruled-out: not slower by {percent(settings.ruled_out)}."
        )
    return " ".join(sentences)


_BODIES: dict[Layer, Callable[[Sequence[Finding], Console], None]] = {
    Layer.FACTS: _facts,
    Layer.BEHAVIOUR: _facts,
    Layer.INSTRUCTIONS: _instructions,
    Layer.MEMORY: _memory,
    Layer.TAILS: _tails,
    Layer.TIME: _time,
}
