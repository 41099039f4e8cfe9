"""Section: Warnings in words, failed requests, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from loopbench.results.report.blocks import (
    Bullets,
    Code,
    Heading,
    Link,
    Part,
    Text,
    Words,
    paragraph,
    table,
    words,
)
from loopbench.results.report.data import Material
from loopbench.results.report.sections import environment
from loopbench.results.schema.warnings import wording
from loopbench.results.stats import formatting
from loopbench.results.terminal.notes import Note

MOST_FAILURES = 40


def parts(material: Material) -> Iterator[Part]:
    """Never empty: that there is no Warning is told too."""
    if material.notes:
        yield Bullets(tuple(_item(note) for note in material.notes), numbered=True)
    else:
        yield paragraph("No Run carries a Warning.")
    yield from _parity(material)
    failures = list(_failures(material))
    if failures:
        yield Heading("Failed requests")
        yield table(
            "Why requests failed, the most frequent reason first",
            ("stack", "scenario", "load", "reason", "an example", "Round", "requests"),
            failures[:MOST_FAILURES],
            names=5,
        )
        if len(failures) > MOST_FAILURES:
            more = len(failures) - MOST_FAILURES
            yield paragraph(f"{more} more rows stand in `failures.csv`.")
    if material.problems:
        yield Heading("What is missing, or could not be read")
        yield Bullets(tuple((str(problem),) for problem in material.problems))


def _parity(material: Material) -> Iterator[Part]:
    """Whether the stacks were measured on equal terms; nothing where nobody looked."""
    parity = material.folder.environment.get("parity")
    if not isinstance(parity, Mapping):
        return
    differences = list(environment.differences(parity))
    open_ = [difference for difference in differences if difference.get("why") is None]
    settings = [f"{difference.get('setting')} of {difference.get('stack')}" for difference in open_]
    reasons = (
        f"{len(open_)} of them without a reason: "
        f"{formatting.listed(map(formatting.plain, settings))}."
        if open_
        else "each with its reason."
    )
    if differences:
        reference = formatting.plain(parity.get("reference"))
        sentence = f"Parity: {_settings(len(differences))} from those of {reference}, {reasons}"
        yield Text((f"{sentence} The table stands under ", Link("Environment", "environment"), "."))
    else:
        yield paragraph("Parity: no setting in force differed between the stacks.")


def _settings(count: int) -> str:
    return "1 setting in force differs" if count == 1 else f"{count} settings in force differ"


def _item(note: Note) -> Words:
    explanation = wording(note.code)
    return (
        Code(note.code),
        f": {explanation.happened}. ",
        *words(f"It means: {explanation.means}. What to do: {explanation.do}. "),
        f"Where: {note.where()}.",
    )


def _failures(material: Material) -> Iterator[tuple[str, ...]]:
    runs = {(run.run_id, run.load): run for run in material.runs}
    counted = [
        (count, row, run)
        for row in material.folder.failures
        if isinstance(count := row["count"], int)
        and (run := runs.get((str(row["run_id"]), str(row["load"])))) is not None
    ]
    counted.sort(key=lambda failure: (-failure[0], failure[2].run_id, str(failure[1]["reason"])))
    for count, row, run in counted:
        yield (
            run.stack,
            run.scenario,
            run.load,
            formatting.plain(row["reason"]),
            formatting.plain(row["example"] or ""),
            str(run.round),
            f"{count:,}",
        )
