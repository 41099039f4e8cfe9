"""The faults, each as what is done to a bench under way, and what has to come of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.loadtests.benches import Bench, one_error, reach
from tests.servers.processes import eventually

CELLS = ("--stack", "asyncio", "--scenario", "async-1", "--rounds", "3")
TIMES = ("--warmup", "0.1", "--duration", "0.5", "--seed", "7")
SERVER = "loopbench.servers.lifecycle.child_main"
GENERATOR = "loopbench.loadtests.generator.main"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to hurt a bench.

    hurt: does it, to a bench whose first row is written. status: the exit status that is due.
    says: a part of its last line. resumes: whether --resume has to complete the folder.
    options: of the bench, beside CELLS and TIMES.
    """

    name: str
    hurt: Callable[[Bench], None]
    status: int
    says: str
    resumes: bool = True
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a fault. lost: rows that were written before it, and are not there after it;
    left: processes; wrong: what was not as it had to be, blank for nothing."""

    fault: str
    lost: int
    left: int
    message: str
    wrong: str


def send(number: signal.Signals) -> Callable[[Bench], None]:
    """A signal to the whole process group, as a terminal does."""
    return lambda bench: bench.interrupt(number)


def kill_harness(bench: Bench) -> None:
    """SIGKILL to the bench itself, which cannot clean up."""
    bench.process.kill()


def kill(module: str) -> Callable[[Bench], None]:
    """SIGKILL to the children that run a module, in the middle of a load."""

    def hurt(bench: Bench) -> None:
        reach(bench, Bench.loading)
        for pid in bench.pids(module):
            os.kill(pid, signal.SIGKILL)

    return hurt


def stand_still(bench: Bench) -> None:
    """SIGSTOP to the server in the middle of a load, and SIGCONT after a while."""
    reach(bench, Bench.loading)
    pids = bench.pids(SERVER)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    eventually(lambda: not bench.loading() or bench.process.poll() is not None)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            continue


def six_interrupts(bench: Bench) -> None:
    """Ctrl-C from an impatient person."""
    for _ in range(6):
        bench.interrupt()


def second_bench(bench: Bench) -> None:
    """Another bench into the same folder; it has to be refused, and the first to go on."""
    with Bench(bench.folder, *CELLS, *TIMES, *LONG, "--resume", words=bench.folder.parent) as other:
        assert other.ended() == 1, other.errors
        assert f"process {bench.process.pid} is writing into" in one_error(other.errors)


FIRST_ROW_S = 100.0
LONG = ("--duration", "4")
STOPS = "go on with: "
FAULTS = (
    Fault("Ctrl-C", send(signal.SIGINT), 130, STOPS),
    Fault("SIGTERM", send(signal.SIGTERM), 130, STOPS),
    Fault("SIGHUP: the terminal is closed", send(signal.SIGHUP), 130, STOPS),
    Fault("six times Ctrl-C", six_interrupts, 130, ""),
    Fault("SIGKILL to the harness", kill_harness, -9, ""),
    Fault("SIGKILL to the server under load", kill(SERVER), 1, "died under load", options=LONG),
    Fault("SIGKILL to the generator", kill(GENERATOR), 1, "lost its load generator", options=LONG),
    Fault("SIGSTOP, SIGCONT to the server", stand_still, 0, "", options=("--duration", "1")),
    Fault("a second bench in the folder", second_bench, 0, "", options=LONG),
)


def _await_first_row(bench: Bench) -> None:
    deadline = time.monotonic() + FIRST_ROW_S
    while "[1/3]" not in bench.errors:
        assert time.monotonic() < deadline, f"no row in {FIRST_ROW_S:g} s: {bench.errors}"
        assert bench.process.poll() is None, bench.errors
        time.sleep(0.05)


def provoke(fault: Fault, folder: Path) -> Outcome:
    """Run a bench, hurt it, and look at what is there; then resume it."""
    with Bench(folder, *CELLS, *TIMES, *fault.options) as bench:
        _await_first_row(bench)
        before = {row["run_id"] for row in bench.rows()}
        fault.hurt(bench)
        status = bench.ended()
        eventually(lambda: not bench.left())
        left = len(bench.left())
        errors = bench.errors
    lines = errors.rstrip().splitlines()
    message = lines[-1] if lines else ""
    wrong = [
        *([] if status == fault.status else [f"exit status {status} instead of {fault.status}"]),
        *([] if fault.says in message else [f"does not say {fault.says!r}"]),
        *(["a traceback"] if "Traceback" in errors else []),
    ]
    lost = len(before - {row["run_id"] for row in bench.rows()})
    if fault.resumes:
        with Bench(folder, *CELLS, *TIMES, *fault.options, "--resume") as again:
            resumed = again.ended()
        if resumed != 0 or len(again.rows()) != 3:
            last = again.errors.rstrip().rpartition("\n")[2]
            wrong.append(f"--resume: exit status {resumed}, {len(again.rows())} of 3 rows: {last}")
    return Outcome(fault.name, lost, left, message, "; ".join(wrong))
