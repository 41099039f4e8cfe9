"""Command lines, each in a process of its own that is forked after the imports: they take longer
than what most command lines then do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.conftest import ROOT

_PROGRAM = """
import importlib, json, os, sys, tempfile

entry = importlib.import_module(sys.argv[1] + ".__main__")
for module in sys.argv[2:]:
    importlib.import_module(module)
for line in sys.stdin:
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    pid = os.fork()
    if pid == 0:
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in enumerate((nothing, out.fileno(), err.fileno())):
            os.dup2(descriptor, number)
        sys.argv = [entry.__file__, *json.loads(line)]
        entry.main()
        sys.exit()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    said = []
    for stream in (out, err):
        with stream:
            stream.seek(0)
            said.append(stream.read().decode())
    print(json.dumps([status, *said]), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command line went; status: below 0 for a signal, as `subprocess` has it."""

    status: int
    out: str
    err: str


class Program:
    """`python -m MODULE`, imported once. Use `program`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *words: str) -> Ended:
        """What the program does with these words, to its end; it has no standard input."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()
        said = self._process.stdout.readline()
        assert said, f"the program itself has ended, with status {self._process.wait()}"
        return Ended(*json.loads(said))


@contextmanager
def program(module: str, *imported: str) -> Iterator[Program]:
    """Have a program import itself, and these modules which it would import later."""
    command = [sys.executable, "-c", _PROGRAM, module, *imported]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Program(process)
        process.stdin.close()  # type: ignore[union-attr]
        assert process.wait() == 0
