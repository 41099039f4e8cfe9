"""The questions about behaviour, asked of a side by its own harness.

A layer of its own: what cannot be asked of one version costs no other layer its result.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from loopbench.loadtests.behaviour.framework.question import CANNOT_TELL
from loopbench.loadtests.behaviour.framework.rows import NOT_ANSWERED
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.results.schema import BEHAVIOUR, Row, SchemaError, read_table

_BOUND_S = 1800.0


def measure(
    side: Side, stacks: Sequence[str], log: Path, questions: Sequence[str] = ()
) -> list[Row]:
    """A row a question, stack and setting. questions: only these; by default all.

    A question that could not be answered has that as its answer, and why as its evidence.
    Raises HarnessError where the side's tree asks no questions, or writes another table.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        chosen = [word for stack in stacks for word in ("--stack", stack)]
        python = str(side.python)
        command = [python, "-m", "loadtests", "behaviour", *questions, "--out", temporary, *chosen]
        with log.open("ab") as sink:
            try:
                done = subprocess.run(
                    command,
                    cwd=side.root,
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.PIPE,
                    timeout=_BOUND_S,
                    text=True,
                )
            except subprocess.TimeoutExpired:
                raise HarnessError(
                    f"{side.role}: the questions took longer than {_BOUND_S:g} s"
                ) from None
            sink.write(done.stderr.encode())
        if not (folder / BEHAVIOUR.filename).is_file():
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise HarnessError(f"{side.role}: the questions cannot be asked: {last}")
        return rows_of(side, folder)


def rows_of(side: Side, folder: Path) -> list[Row]:
    """The answers in a results folder. Raises HarnessError for another schema's."""
    try:
        answers = list(read_table(folder, BEHAVIOUR))
    except SchemaError as error:
        raise HarnessError(f"{side.role}: its answers cannot be read: {error}") from None
    return [
        {
            "side": str(side.role),
            "stack": row["stack"],
            "question": row["question"],
            "setting": row["setting"],
            "answer": row["answer"],
            "evidence": row["evidence"],
            "told": _told(row),
        }
        for row in answers
    ]


def _told(row: Row) -> bool:
    """Whether there is an answer, and one that would be given again."""
    answer = str(row["answer"])
    return not row["varies"] and answer != NOT_ANSWERED and not answer.startswith(CANNOT_TELL)


_Key = tuple[str, str, str]


def differing(base: Iterable[Row], candidate: Iterable[Row]) -> tuple[str, ...]:
    """The questions that both sides were asked, and never answered alike."""
    before, after = _answers(base), _answers(candidate)
    keys = [key for key in before if key in after and not before[key] & after[key]]
    return tuple(dict.fromkeys(question for question, _, _ in keys))


def _answers(rows: Iterable[Row]) -> Mapping[_Key, set[str]]:
    """Those that would be given again, where there are some; otherwise all."""
    found: defaultdict[_Key, list[Row]] = defaultdict(list)
    for row in rows:
        found[str(row["question"]), str(row["stack"]), str(row["setting"])].append(row)
    return {
        key: {str(row["answer"]) for row in each if row["told"]}
        or {str(row["answer"]) for row in each}
        for key, each in found.items()
    }
