"""Rows of behaviour.csv: made from outcomes, and kept in one file with those of other Pythons."""

import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

from loopbench.loadtests.behaviour.framework.catalogue import TOPICS, Asked
from loopbench.loadtests.behaviour.framework.question import CANNOT_TELL, Key, Outcome
from loopbench.results.schema import BEHAVIOUR, Row, TableWriter, Value, read_table

NOT_ANSWERED = "not answered"
"""The answer of an Experiment that was cut or failed; its evidence says which."""

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "aiohttp": ("aiohttp", "aiojobs"),
    "quart-hypercorn": ("quart", "hypercorn"),
    "flask-dev": ("flask", "werkzeug"),
    "flask-gthread": ("flask", "gunicorn"),
    "flask-waitress": ("flask", "waitress"),
}
"""The distributions whose versions an answer may depend on, by an Experiment's stack."""

PYTHON = platform.python_version()


def row_of(asked: Asked, outcome: Outcome) -> Row:
    """One row. An Experiment without an answer has one all the same, which says so."""
    answer = outcome.answer
    return {
        "question": asked.name,
        "stack": asked.experiment.stack,
        "setting": asked.experiment.setting,
        "answer": answer.answer if answer else NOT_ANSWERED,
        "evidence": answer.evidence if answer else outcome.problem,
        **texts(asked, answer.answer if answer else None),
        "varies": answer.varies if answer else False,
        "took_s": outcome.took_s,
        "versions": ", ".join(
            f"{name} {metadata.version(name)}" for name in PACKAGES[asked.experiment.stack]
        ),
        "python": PYTHON,
    }


def texts(asked: Asked, answer: str | None) -> Row:
    """What the question has to say to an answer: topic, what is asked and commonly said, whether it
    is so, and what follows. Neither of the last two where it cannot be told. None: no answer."""
    question, experiment = asked.question, asked.experiment
    claim = question.claim_about(experiment.stack, experiment.setting)
    told = None if answer is None or answer.startswith(CANNOT_TELL) else answer
    verdict = claim.verdict(told) if claim and told is not None else None
    return {
        "topic": TOPICS[asked.topic],
        "asks": question.asks,
        "commonly_said": claim.statement if claim else None,
        "agrees": verdict.value if verdict else None,
        "follows": None if told is None else question.advice(told),
    }


def _key(row: Row) -> tuple[Value, ...]:
    return row["question"], row["stack"], row["setting"], row["python"]


def written(folder: Path) -> list[dict[str, Value]]:
    """The rows that the folder holds. Raises SchemaError where the file cannot be read."""
    if not (folder / BEHAVIOUR.filename).exists():
        return []
    return list(read_table(folder, BEHAVIOUR))


def write(folder: Path, rows: Iterable[Row], order: Iterable[Key]) -> None:
    """Put rows into the folder's behaviour.csv, in place of those they answer anew.

    order: keys of all Experiments, in which the rows of each Python are to stand. What is
    there of Experiments that are no more is dropped. Raises OSError; the file is then as before.
    """
    place = {key: number for number, key in enumerate(order)}
    kept = {_key(row): row for row in (*written(folder), *rows)}
    sortable = [row for key, row in kept.items() if key[:3] in place]
    sortable.sort(key=lambda row: (place[_key(row)[:3]], _version(str(row["python"]))))  # type: ignore[index]
    with TemporaryDirectory(prefix=".behaviour", dir=folder) as draft:
        with TableWriter(Path(draft), BEHAVIOUR) as writer:
            writer.append(sortable)
        (Path(draft) / BEHAVIOUR.filename).replace(folder / BEHAVIOUR.filename)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
