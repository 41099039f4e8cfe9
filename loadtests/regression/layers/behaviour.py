"""The questions about behaviour, asked of a side by its own harness, as facts."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.results.schema import BEHAVIOUR, Row, SchemaError, read_table

_BOUND_S = 1800.0


def measure(side: Side, stacks: Sequence[str], log: Path) -> list[Row]:
    """A row a question and setting whose answer does not vary by itself.

    A question that could not be answered has that as its answer, and its cause is in the log.
    Raises HarnessError where the side's tree asks no questions, or writes another table.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        chosen = [word for stack in stacks for word in ("--stack", stack)]
        command = [str(side.python), "-m", "loadtests", "behaviour", "--out", temporary, *chosen]
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
    """The answers in a results folder as facts. Raises HarnessError for another schema's."""
    try:
        answers = list(read_table(folder, BEHAVIOUR))
    except SchemaError as error:
        raise HarnessError(f"{side.role}: its answers cannot be read: {error}") from None
    return [
        {
            "side": str(side.role),
            "stack": row["stack"],
            "subject": f"{row['question']} {row['setting']}",
            "fact": "answer",
            "value": row["answer"],
        }
        for row in answers
        if not row["varies"]
    ]
