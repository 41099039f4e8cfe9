"""The whole report as values, before any format."""

from __future__ import annotations

from dataclasses import dataclass

from loopbench.results.folder.folder import Folder
from loopbench.results.report import data as materials
from loopbench.results.report import outline
from loopbench.results.report.blocks import Made, Words
from loopbench.results.report.charts.style import PARTS, Look
from loopbench.results.report.questions import questions
from loopbench.results.report.questions.questions import Answered
from loopbench.results.stats.summary import Summaries
from loopbench.results.terminal.table import heading


@dataclass(frozen=True, slots=True)
class Document:
    """title and facts: which run this is. missing: what sections that are not here need."""

    title: str
    facts: tuple[str, ...]
    sections: tuple[Made, ...]
    questions: tuple[Answered, ...]
    missing: tuple[Words, ...]
    looks: tuple[Look, ...]


def document(folder: Folder, summaries: Summaries) -> Document:
    """Make the report of a folder. Raises ResultsError where a table cannot be opened."""
    material = materials.gather(folder, summaries)
    made, missing = outline.make(material)
    title, *facts = heading(folder)
    return Document(
        title,
        tuple(facts),
        made,
        questions.answered(material, {section.anchor for section in made}),
        missing,
        (*material.looks.values(), *PARTS),
    )
