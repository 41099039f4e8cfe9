"""The whole report as values, before any format."""

from __future__ import annotations

from dataclasses import dataclass

from loopbench.results.folder.folder import Folder
from loopbench.results.report import data as materials
from loopbench.results.report import outline
from loopbench.results.report.blocks import Key, Made, Words
from loopbench.results.report.questions import published, questions
from loopbench.results.report.questions.questions import Answered
from loopbench.results.stats.summaries.summary import Summaries
from loopbench.results.terminal.table import heading


@dataclass(frozen=True, slots=True)
class Document:
    """title and facts: which run this is. missing: what sections that are not here need.

    stacks and scenarios: what a reader of the page may choose from.
    """

    title: str
    facts: tuple[str, ...]
    sections: tuple[Made, ...]
    questions: tuple[Answered, ...]
    missing: tuple[Words, ...]
    stacks: tuple[Key, ...] = ()
    scenarios: tuple[str, ...] = ()


def document(folder: Folder, summaries: Summaries) -> Document:
    """Make the report of a folder. Raises ResultsError where a table cannot be opened."""
    material = materials.gather(folder, summaries)
    made, missing = outline.make(material)
    title, *facts = heading(folder)
    return Document(
        title,
        tuple(facts),
        made,
        questions.answered(material, {section.anchor for section in made}, published.of(material)),
        missing,
        material.keys(material.stacks),
        tuple(dict.fromkeys(scenario for scenario, _ in material.loads)),
    )
