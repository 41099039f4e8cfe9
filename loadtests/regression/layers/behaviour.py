"""The questions about behaviour, asked of a side by its own harness.

A layer of its own: what cannot be asked of one version costs no other layer its result.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from loopbench.loadtests.behaviour.framework.question import CANNOT_TELL
from loopbench.loadtests.behaviour.framework.rows import NOT_ANSWERED
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.parts import Part
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.results.schema import BEHAVIOUR, Row, SchemaError, read_table
from loopbench.servers.supervision.child_process import interrupts_deferred

_BOUND_S = 1800.0

_STOP_S = 10.0
"""So long has a harness that is to stop, to end its servers and to write what was answered."""

_UNANSWERED = b" without an answer: "
"""What a harness says that has asked all, and ends with 1 since some had no answer. One that ends
with 1 and does not say so has met an error of its own."""


def ask(
    side: Side, stacks: Sequence[str], log: Path, folder: Path, questions: Sequence[str] = ()
) -> None:
    """Have the questions answered into `folder`. questions: only these; by default all.

    What was answered is there, too, where this is interrupted. Raises HarnessError where the
    side's tree asks no questions, or did not come to their end.
    """
    chosen = [word for stack in stacks for word in ("--stack", stack)]
    python, out = str(side.python), ("--out", str(folder))
    command = [python, "-m", "loadtests", "behaviour", *questions, *out, *chosen]
    with log.open("ab") as sink, tempfile.TemporaryFile() as complaints:
        try:
            status = _run(command, side.root, sink, complaints)
        finally:
            complaints.seek(0)
            output = complaints.read()
            sink.write(output)
    last = (output.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
    if not (folder / BEHAVIOUR.filename).is_file():
        why = last.partition(" (known: ")[0]  # all of them are no reason
        raise HarnessError(f"the questions cannot be asked: {why}")
    if status and _UNANSWERED not in output:
        raise HarnessError(f"the questions were broken off: {last}")


def _run(command: Sequence[str], root: Path, sink: BinaryIO, complaints: BinaryIO) -> int:
    """Its exit status. In a session of its own, so that at Ctrl-C it is told to stop once, and can
    write meanwhile. Raises HarnessError where it takes too long."""
    process: subprocess.Popen[bytes] | None = None
    try:
        with interrupts_deferred():
            process = subprocess.Popen(
                command,
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=complaints,
                start_new_session=True,
            )
        return process.wait(_BOUND_S)
    except subprocess.TimeoutExpired:
        raise HarnessError(f"the questions took longer than {_BOUND_S:g} s") from None
    finally:
        if process is not None and process.returncode is None:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
    finally:
        with interrupts_deferred():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answered(side: Side, folder: Path) -> Iterator[Part]:
    """A row a question, stack and setting that `folder` holds an answer to.

    A question that could not be answered has that as its answer, and why as its evidence.
    Raises HarnessError for another schema's.
    """
    if (folder / BEHAVIOUR.filename).is_file():
        for row in rows_of(side, folder):
            yield Part(str(row["stack"]), f"{row['question']} {row['setting']}", [row])


def rows_of(side: Side, folder: Path) -> list[Row]:
    """The answers in a results folder. Raises HarnessError for another schema's."""
    try:
        answers = list(read_table(folder, BEHAVIOUR))
    except SchemaError as error:
        raise HarnessError(f"its answers cannot be read: {error}") from None
    return [
        {
            "side": str(side.role),
            "stack": row["stack"],
            "question": row["question"],
            "setting": row["setting"],
            "answer": row["answer"],
            "evidence": row["evidence"],
            "told": _is_repeatable(row),
        }
        for row in answers
    ]


def _is_repeatable(row: Row) -> bool:
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
    by_key: defaultdict[_Key, list[Row]] = defaultdict(list)
    for row in rows:
        by_key[str(row["question"]), str(row["stack"]), str(row["setting"])].append(row)
    return {
        key: {str(row["answer"]) for row in each if row["told"]}
        or {str(row["answer"]) for row in each}
        for key, each in by_key.items()
    }
