"""The whole report as values, before any format."""

from __future__ import annotations

from dataclasses import dataclass, replace

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

    asked: what the questions are called: fifteen, or some of them, of a person's own application.
    stacks and scenarios: what a reader of the page may choose from.
    """

    title: str
    facts: tuple[str, ...]
    sections: tuple[Made, ...]
    questions: tuple[Answered, ...]
    missing: tuple[Words, ...]
    asked: str = "Fifteen questions"
    stacks: tuple[Key, ...] = ()
    scenarios: tuple[str, ...] = ()


def document(folder: Folder, summaries: Summaries) -> Document:
    """Make the report of a folder. Raises ResultsError where a table cannot be opened."""
    material = materials.gather(folder, summaries)
    made, missing = outline.make(material)
    title, *facts = heading(folder)
    asked = questions.answered(
        material, {section.anchor for section in made}, published.of(material)
    )
    whole = Document(
        title=title,
        facts=tuple(facts),
        sections=made,
        questions=asked,
        missing=missing,
        stacks=material.keys(material.stacks),
        scenarios=tuple(dict.fromkeys(scenario for scenario, _ in material.loads)),
    )
    return _of_own_application(whole) if "application" in folder.environment else whole


def _of_own_application(whole: Document) -> Document:
    """Without what only the suite's own servers can be asked: the questions that the rows do not
    answer, and the commands for sections that are not here."""
    answered = tuple(question for question in whole.questions if question.answered)
    return replace(whole, questions=answered, missing=(), asked="Questions that it answers")
