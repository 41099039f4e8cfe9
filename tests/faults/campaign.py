"""The faults, each as what is done to a bench under way, and what has to come of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.faults import surroundings
from tests.faults.surroundings import Surroundings, Within
from tests.loadtests.bench.benches import Bench, codes, one_error, reach
from tests.loadtests.distributed.test_strangers import no_zeromq
from tests.servers.processes import eventually

CELLS = ("--stack", "asyncio", "--scenario", "async-1", "--rounds", "3")
TIMES = ("--warmup", "0.1", "--duration", "0.5", "--seed", "7")
SERVER = "loopbench.servers.lifecycle.child_main"
GENERATOR = "loopbench.loadtests.generator.main"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to hurt a bench.

    hurt: does it, to a bench whose first row is written. status: the exit status that is due.
    says: a part of its last line. options: of the bench, beside CELLS and TIMES. within: where the
    bench runs. repair: makes it possible to go on with --resume, which has to complete the folder.
    warns: a Warning that a row has to have.
    """

    name: str
    hurt: Callable[[Bench, Surroundings], None]
    status: int
    says: str
    options: tuple[str, ...] = ()
    within: Within = surroundings.plain
    repair: Callable[[Surroundings], None] | None = None
    warns: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a fault. lost: rows that were written before it, and are not there after it;
    left: processes; wrong: what was not as it had to be, blank for nothing."""

    fault: str
    lost: int
    left: int
    message: str
    wrong: str


Hurt = Callable[[Bench, Surroundings], None]


def send(number: signal.Signals) -> Hurt:
    """A signal to the whole process group, as a terminal does."""
    return lambda bench, _: bench.interrupt(number)


def kill_harness(bench: Bench, _: Surroundings) -> None:
    """SIGKILL to the bench itself, which cannot clean up."""
    bench.process.kill()


def kill(module: str) -> Hurt:
    """SIGKILL to the children that run a module, in the middle of a load."""

    def hurt(bench: Bench, _: Surroundings) -> None:
        reach(bench, Bench.loading)
        for pid in bench.pids(module):
            os.kill(pid, signal.SIGKILL)

    return hurt


def stand_still(bench: Bench, _: Surroundings) -> None:
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


def six_interrupts(bench: Bench, around: Surroundings) -> None:
    """Ctrl-C from an impatient person."""
    for _ in range(6):
        if bench.process.poll() is None:
            bench.interrupt()
            time.sleep(0.05)


def second_bench(bench: Bench, _: Surroundings) -> None:
    """Another bench into the same folder; it has to be refused, and the first to go on."""
    with Bench(bench.folder, *CELLS, *TIMES, *LONG, "--resume", words=bench.folder.parent) as other:
        assert other.ended() == 1, other.errors
        assert f"process {bench.process.pid} is writing into" in one_error(other.errors)


def out_of_memory(module: str | None) -> Hurt:
    """The kernel's killer ends a process that runs a module, or the bench itself."""

    def hurt(bench: Bench, around: Surroundings) -> None:
        reach(bench, Bench.loading)
        assert around.control is not None
        victim = bench.process.pid if module is None else bench.pids(module)[0]
        surroundings.exhaust_memory(around.control, victim)

    return hurt


def no_more_processes(bench: Bench, around: Surroundings) -> None:
    """A limit of processes and threads that is reached; the next server cannot start."""
    assert around.control is not None
    surroundings.limit_processes(around.control)


def read_only(bench: Bench, around: Surroundings) -> None:
    """The disk fails, and the kernel takes no more writes to it."""
    assert around.control is not None
    around.control.write_text("1")


def step_clock(bench: Bench, around: Surroundings) -> None:
    """Set the wall clock forward by an hour, in the middle of a load."""
    reach(bench, Bench.loading)
    time.sleep(1.0)  # connected is not yet measuring
    assert around.control is not None
    surroundings.set_clock(around.control, 3600.0)


def slew_clock(bench: Bench, around: Surroundings) -> None:
    """Have the wall clock lag behind the machine's by 500 parts in a million more and more, as fast
    as adjtime(3) slews it, until the bench ends."""
    reach(bench, Bench.loading)
    assert around.control is not None
    began = time.monotonic()
    while bench.process.poll() is None and (passed := time.monotonic() - began) < SLEWED_S:
        surroundings.set_clock(around.control, -passed * SLEW)
        time.sleep(0.001)


def strangers(bench: Bench, _: Surroundings) -> None:
    """Connections to the master's port that speak something else, and stay open."""
    (master,) = bench.pids("loopbench.loadtests.distributed.master")
    ports = [
        one.laddr.port
        for one in psutil.Process(master).net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
    ]
    opened = [connection for port in ports for connection in no_zeromq(port)]
    assert opened
    eventually(lambda: bench.process.poll() is not None)
    for connection in opened:
        connection.close()


FIRST_ROW_S = 100.0
SLEWED_S = 50.0
SLEW = 500e-6
LONG = ("--duration", "4")
STOPS = "go on with: "
MEMORY = surroundings.in_group("memory")
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
    *(
        Fault(f"out of memory: {name} is killed", out_of_memory(module), status, says, LONG, MEMORY)
        for name, module, status, says in (
            ("server", SERVER, 1, "died under load"),
            ("generator", GENERATOR, 1, "lost its load generator"),
            ("harness", None, -9, ""),
        )
    ),
    Fault("a limit of processes", no_more_processes, 1, "", (), surroundings.in_group("pids")),
    Fault(
        "the file system becomes read-only",
        read_only,
        1,
        "Read-only file system",
        within=surroundings.own_disk,
        repair=lambda around: surroundings.repair(around.place),
    ),
    Fault(
        "the wall clock steps by an hour",
        step_clock,
        0,
        "",
        LONG,
        surroundings.own_clock,
        warns="clock-stepped",
    ),
    Fault("the wall clock is slewed", slew_clock, 0, "", LONG, surroundings.own_clock),
    Fault("strangers at the master's port", strangers, 0, "", (*LONG, "--workers", "1")),
)


def _await_first_row(bench: Bench) -> None:
    deadline = time.monotonic() + FIRST_ROW_S
    while "[1/3]" not in bench.errors:
        assert time.monotonic() < deadline, f"no row in {FIRST_ROW_S:g} s: {bench.errors}"
        assert bench.process.poll() is None, bench.errors
        time.sleep(0.05)


def provoke(fault: Fault, scratch: Path) -> Outcome:
    """Run a bench, hurt it, and look at what is there; then resume it. Raises NotHere."""
    with fault.within(scratch) as around:
        return _provoke(fault, around, scratch)


def _provoke(fault: Fault, around: Surroundings, scratch: Path) -> Outcome:
    folder, options = around.place / "run", (*CELLS, *TIMES, *fault.options)
    with Bench(
        folder, *options, words=scratch, variables=around.variables, prefix=around.prefix
    ) as bench:
        _await_first_row(bench)
        before = {row["run_id"] for row in bench.rows()}
        fault.hurt(bench, around)
        status = bench.ended()
        eventually(lambda: not bench.left())
        left = len(bench.left())
        errors = bench.errors
    lines = errors.rstrip().splitlines()
    message = lines[-1] if lines else ""
    rows = bench.rows()
    wrong = [
        *([] if status == fault.status else [f"exit status {status} instead of {fault.status}"]),
        *([] if fault.says in message else [f"does not say {fault.says!r}"]),
        *(["a traceback"] if "Traceback" in errors else []),
    ]
    if fault.warns is not None and not any(fault.warns in codes(row) for row in rows):
        wrong.append(f"no row has the Warning {fault.warns}")
    lost = len(before - {row["run_id"] for row in rows})
    if fault.repair is not None:
        fault.repair(around)
    with Bench(folder, *options, "--resume", words=scratch) as again:
        resumed = again.ended()
    if resumed != 0 or len(again.rows()) != 3:
        last = again.errors.rstrip().rpartition("\n")[2]
        wrong.append(f"--resume: exit status {resumed}, {len(again.rows())} of 3 rows: {last}")
    return Outcome(fault.name, lost, left, message, "; ".join(wrong))
