"""Where a server's time goes, sampled by Linux's perf: a second witness beside the counts.

Instructions say nothing of system calls and of waiting for memory. The kernel's CPU clock does: it
needs no hardware counter, so that it works in virtual machines, too. Each sample holds the C stack,
unwound by DWARF as far as the nearest trampoline (What's New in Python 3.12, "Python support for
the Linux perf profiler"), so that it has an owner by the same rule as an instruction. The garbage
collector is on, as in a bench.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe import raw_request
from loopbench.loadtests.observe.cpu_gauge import cpu_ns
from loopbench.loadtests.why.attribution import perf_map
from loopbench.loadtests.why.attribution.owners import NOBODY, Function, Owners, is_rust
from loopbench.loadtests.why.attribution.perf_map import PerfMap
from loopbench.loadtests.why.measure import TRAMPOLINES, Plan, Subject
from loopbench.servers.contract.http import Case
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.settings import Settings
from loopbench.servers.supervision.scratch import scratch_folder

CPU_S = 1.0
"""CPU time of the server that is sampled of each case: some 2,000 samples."""

_WARM_REQUESTS = 50
_WALL_BOUND_S = 30.0
_PERF_BOUND_S = 60.0
_LOOK_S = 0.01
_KERNEL_BEGINS = 1 << 63

_RECORD = (
    *("perf", "record", "--quiet", "--no-buildid-cache"),
    *("--event", "cpu-clock", "--freq", "1999", "--call-graph", "dwarf,8192"),
)
"""An odd frequency, so that samples do not beat with timers; 8 KiB of stack reach from the
interpreter to the trampoline that it was called through."""

_SCRIPT = ("perf", "script", "--no-inline", "--fields", "ip,sym,dso")
_FRAME = re.compile(r"\s*([0-9a-f]+) (.*?) \(([^()]*(?: \(deleted\))?)\)")
_NO_NAME = "[unknown]"


@dataclass(frozen=True, slots=True)
class Samples:
    """Of one case. functions: samples of each owner. kernel: those of them that were taken in the
    kernel; None where perf may not look there."""

    total: int
    functions: Mapping[Function, int]
    kernel: Mapping[Function, int] | None


def missing() -> str | None:
    """Why times cannot be sampled here, with the remedy; None where they can be."""
    if shutil.which("perf") is None:
        return "perf not found; install it (linux-perf, or linux-tools of this kernel)"
    with scratch_folder() as folder:
        command = [*_RECORD, "--output", str(folder / "trial"), "--", "true"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PERF_BOUND_S)
    if done.returncode:
        line = (done.stderr.strip().splitlines() or ["it does not say why"])[0]
        return f"perf may not look ({line}); allow it: sysctl kernel.perf_event_paranoid=1"
    return None


def sample(subject: Subject, plan: Plan, cpu_s: float = CPU_S) -> dict[str, Samples]:
    """Each case in one process that names its functions, until it has used `cpu_s` of CPU time.

    Raises HarnessError and ServerError.
    """
    with scratch_folder() as folder:
        prefix = ("env", *TRAMPOLINES, "PYTHONHASHSEED=0")
        with server_process(
            subject.stack, settings=Settings(), prefix=prefix, python=plan.python, root=plan.root
        ) as server:
            with perf_map.of_process(server.pid, plan.python) as symbols:
                for place, case in enumerate(subject.cases.values()):
                    _record(server, case, folder / f"{place}", cpu_s)
                functions = PerfMap(symbols.read_text(errors="replace").splitlines())
        return {
            name: _read(folder / f"{place}", functions) for place, name in enumerate(subject.cases)
        }


def _record(server: ServerProcess, case: Case, file: Path, cpu_s: float) -> None:
    """Send requests one after another on one connection while perf samples."""
    host = f"{server.host}:{server.port}"
    with raw_request.connect(server.host, server.port) as connection:

        def send(requests: int) -> None:
            for _ in range(requests):
                reply = raw_request.exchange(connection, case.request, host)
                problem = case.expected.check(reply.status, reply.body)
                if problem is not None:
                    raise HarnessError(f"{case.name} while it was sampled: {problem}")

        send(_WARM_REQUESTS)
        with _recording(server.pid, file):
            until_ns = cpu_ns((server.pid,)) + int(cpu_s * 1e9)
            deadline = time.monotonic() + _WALL_BOUND_S
            while cpu_ns((server.pid,)) < until_ns and time.monotonic() < deadline:
                send(10)


@contextmanager
def _recording(pid: int, file: Path) -> Iterator[None]:
    """While perf samples a process. Raises HarnessError where it does not."""
    command = [*_RECORD, "--output", str(file), "--pid", str(pid)]
    with (
        Path(f"{file}.log").open("w+") as log,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        ) as perf,
    ):
        try:
            deadline = time.monotonic() + _PERF_BOUND_S
            while not (file.is_file() and file.stat().st_size):  # written once its events are open
                if perf.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise HarnessError(f"perf did not sample: {' '.join(log.read().split())}")
                time.sleep(_LOOK_S)
            yield
            perf.send_signal(signal.SIGINT)  # as Ctrl-C would: it then writes down what it has
            perf.wait(_PERF_BOUND_S)
        except subprocess.TimeoutExpired:
            raise HarnessError(f"perf did not end within {_PERF_BOUND_S:g} s") from None
        finally:
            perf.kill()


def _read(file: Path, functions: PerfMap) -> Samples:
    """What perf wrote. Raises HarnessError."""
    events = _perf("perf", "evlist", "-v", "--input", str(file))
    lines = _perf(*_SCRIPT, "--input", str(file)).splitlines()
    return samples(lines, functions, "exclude_kernel: 1" not in events)


def _perf(*command: str) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_PERF_BOUND_S,
        env={**os.environ, "DEBUGINFOD_URLS": ""},  # which perf would ask for symbols
    )
    if done.returncode:
        raise HarnessError(f"{' '.join(command[:2])}: {' '.join(done.stderr.split())}")
    return done.stdout


def samples(lines: Iterable[str], functions: PerfMap, kernel_seen: bool) -> Samples:
    """What `perf script` prints: a block of frames a sample, the innermost first. Raises
    HarnessError for another form, and where there is no sample."""
    stacks = list(_stacks(lines))
    if not stacks:
        raise HarnessError("perf took no sample")
    named = {(symbol, binary) for stack in stacks for _, symbol, binary in stack}
    native = frozenset(binary for symbol, binary in named if is_rust(symbol) or "::" in symbol)
    owners = Owners(functions, {}, native)
    every: Counter[Function] = Counter()
    kernel: Counter[Function] = Counter()
    for stack in stacks:
        owner = next(filter(None, (_owner(owners, functions, *frame) for frame in stack)), NOBODY)
        every[owner] += 1
        kernel[owner] += stack[0][0] >= _KERNEL_BEGINS
    return Samples(len(stacks), every, kernel if kernel_seen else None)


_Frame = tuple[int, str, str]
"""Address, symbol, and the object that holds it."""


def _stacks(lines: Iterable[str]) -> Iterator[Sequence[_Frame]]:
    stack: list[_Frame] = []
    for line in (*lines, ""):
        if line.strip():
            frame = _FRAME.fullmatch(line.rstrip())
            if frame is None:
                raise HarnessError(f"{line.strip()!r} is no frame as perf script prints it")
            stack.append((int(frame[1], 16), frame[2], frame[3]))
        elif stack:
            yield stack
            stack = []


def _owner(
    owners: Owners, functions: PerfMap, address: int, symbol: str, binary: str
) -> Function | None:
    if functions.at(address) is not None or symbol == _NO_NAME:
        return owners.of(hex(address), binary)
    return owners.of(symbol.partition("+")[0], binary)
