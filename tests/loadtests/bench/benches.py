"""A bench in a process of its own, as a person starts it, and what is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from loopbench.loadtests.bench.plan import plan_blocks
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.results.schema import RUNS, SchemaError, read_table
from tests.servers.processes import PROC, ROOT, descendants, eventually, with_variable

MARK = "LOOPBENCH_TEST"
SHORT = ("--warmup", "0.1", "--duration", "0.2", "--seed", "7")
ONE_CELL = ("--stack", "asyncio", "--scenario", "async-1")
BOUND_S = 240.0
"""How long a bench may take in all, on a machine that does much besides."""

_BENCH = (sys.executable, "-m", "loadtests", "bench")


def plan_runs(cells: Sequence[tuple[str, str]], rounds: int, seed: int) -> tuple[PlannedRun, ...]:
    """The Runs of `plan_blocks`, one after another."""
    return tuple(run for block in plan_blocks(cells, rounds, seed) for run in block.runs)


class Bench:
    """`python -m loadtests bench …` under way, in a session of its own as at a terminal.

    All that it starts inherits a variable of this bench, which is how it is found.
    words: where what it prints goes; beside its folder unless named. prefix: put in front of its
    command, which has to replace itself by it.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        variables: Mapping[str, str] | None = None,
        cpus: set[int] | None = None,
        words: Path | None = None,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._out = (words or folder.parent) / f"{self.mark}.out"
        self._err = (words or folder.parent) / f"{self.mark}.err"
        before = os.sched_getaffinity(0) if cpus else None
        with self._out.open("wb") as out, self._err.open("wb") as err:
            if cpus:
                os.sched_setaffinity(0, cpus)
            try:
                self.process = subprocess.Popen(
                    [*prefix, *_BENCH, "--out", str(folder), *arguments],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env={**os.environ, **(variables or {}), MARK: self.mark},
                    start_new_session=True,
                )
            finally:
                if before:
                    os.sched_setaffinity(0, before)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def errors(self) -> str:
        """What it has printed on standard error so far."""
        return self._err.read_text()

    @property
    def printed(self) -> str:
        """What it has printed on standard output so far."""
        return self._out.read_text()

    @property
    def log(self) -> str:
        """What its children have printed so far."""
        path = self.folder / "log.txt"
        return path.read_text() if path.exists() else ""

    def ended(self) -> int:
        """Wait for its end; returns the exit status."""
        return self.process.wait(BOUND_S)

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send a signal to its whole process group, as Ctrl-C does."""
        os.killpg(self.process.pid, number)

    def left(self) -> set[int]:
        """The pids of what is left of it and of what it started."""
        return with_variable(MARK, self.mark) if PROC.is_dir() else set()

    def pids(self, module: str) -> list[int]:
        """The pids of its children, while it runs itself, that run a module.

        Asked again and again until there is one: the kernel lists children at once, where each
        process of the machine would have to be asked for the variable.
        """
        wanted = module.encode()
        return [pid for pid in descendants(self.process.pid) if wanted in _command(pid)]

    def loading(self) -> bool:
        """Whether a load is under way: the generator has a connection to a server."""
        for pid in self.pids("loopbench.loadtests.generator.main"):
            try:
                connections = psutil.Process(pid).net_connections("tcp")
            except psutil.Error:
                continue
            if any(one.status == psutil.CONN_ESTABLISHED for one in connections):
                return True
        return False

    def rows(self) -> list[dict[str, Any]]:
        """The rows of runs.csv so far; none where there is no such file yet."""
        try:
            return list(read_table(self.folder, RUNS))
        except SchemaError:
            if (self.folder / RUNS.filename).exists():
                raise
            return []


def _command(pid: int) -> list[bytes]:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def reach(bench: Bench, moment: Any) -> None:
    """Wait until `moment(bench)` is true; fails with what the bench has said where it never is."""
    reached = eventually(
        lambda: bench.process.poll() is not None or bool(moment(bench)), bound_s=BOUND_S
    )
    assert reached, bench.errors
    assert bench.process.poll() is None, bench.errors


@dataclass(frozen=True)
class Ended:
    """A bench that has ended by itself."""

    status: int
    errors: str
    bench: Bench

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.bench.rows()

    @property
    def last_line(self) -> str:
        return self.errors.rstrip().rpartition("\n")[2]


def ended(bench: Bench) -> Ended:
    status = bench.ended()
    assert "Traceback" not in bench.errors
    assert bench.left() == set()
    return Ended(status, bench.errors, bench)


def one_error(said: str) -> str:
    """The one line about an error, which comes last."""
    (line,) = (line for line in said.splitlines() if line.startswith("error: "))
    assert said.endswith(f"{line}\n")
    return line


def codes(row: dict[str, Any]) -> set[str]:
    return set(filter(None, (row["warnings"] or "").split(";")))
