"""What the published runs answer, for the questions that another run did not measure.

The answers are made from the committed runs once (`results answers --write`) and read from one
small file, so that a report needs no more than its own folder and this package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from loopbench.results.folder.folder import load
from loopbench.results.folder.tables import Problem, optional_rows
from loopbench.results.grouping import grouped
from loopbench.results.report import data as materials
from loopbench.results.report.questions.questions import QUESTIONS, Published
from loopbench.results.report.questions.reply import Reply
from loopbench.results.schema import ANSWERS, Row, TableWriter
from loopbench.results.stats.summaries.summary import summarise

FOLDER = Path(__file__).parents[2] / "reference"
"""Where the committed runs are, and answers.csv, which is part of the package."""

RUNS = ("reference/bench", "reference", "reference/data", "reference/stacks")
"""The committed runs, below results: the first that has an answer gives it."""


def of(material: materials.Material) -> Mapping[str, Published]:
    """What may stand in for what a run did not measure; nothing in that of a person's own
    application, whose answers are not those of the suite's routes."""
    return {} if "application" in material.folder.environment else read()


def read() -> Mapping[str, Published]:
    """The published answers by question; none where there is no file."""
    problems: list[Problem] = []
    every = optional_rows(FOLDER, ANSWERS, problems)
    by_question = grouped((str(row["question"]), row) for row in every)
    return {
        question: Published(_reply([str(row["answer"]) for row in rows]), _source(rows[0]))
        for question, rows in by_question.items()
    }


def _reply(clauses: Sequence[str]) -> Reply:
    return Reply(clauses[0], tuple(clauses[1:]))


def _source(row: Row) -> str:
    python = f"Python {row['python']}" if row["python"] else None
    return ", ".join(str(part) for part in (row["measured_on"], row["machine"], python) if part)


def rows() -> Iterator[Row]:
    """The rows of answers.csv, from the committed runs. Raises ResultsError."""
    gathered = [(name, _material(name)) for name in RUNS]
    for question in QUESTIONS:
        for name, material in gathered:
            reply = question.answer(material)
            if reply is not None:
                yield from _rows(question.text, name, material, (reply.line, *reply.details))
                break


def _material(name: str) -> materials.Material:
    folder = load(FOLDER.parent / name)
    return materials.gather(folder, summarise(folder))


def _rows(
    question: str, run: str, material: materials.Material, clauses: Sequence[str]
) -> Iterator[Row]:
    environment = material.folder.environment
    machine, python = environment.get("machine"), environment.get("python")
    begun = min((str(row.values["started_at"]) for row in material.runs), default="")
    for number, clause in enumerate(clauses, start=1):
        yield {
            "question": question,
            "clause": number,
            "answer": clause,
            "run": run,
            "measured_on": begun[:10] or None,
            "machine": str(machine.get("cpu_model")) if isinstance(machine, dict) else None,
            "python": str(python.get("version")) if isinstance(python, dict) else None,
        }


def write() -> Path:
    """Write answers.csv anew; returns its path. Raises ResultsError, OSError."""
    made = list(rows())
    path = FOLDER / ANSWERS.filename
    path.unlink(missing_ok=True)
    with TableWriter(FOLDER, ANSWERS) as writer:
        writer.append(made)
    return path
