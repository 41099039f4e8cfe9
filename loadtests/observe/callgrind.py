"""User-space instructions that a request costs a server, counted by callgrind.

A count repeats to some hundredths of a per cent on any load of the machine,
where a time does not repeat to several per cent. Counting is switched on when
the server has started and warmed up; between one dump of the counters and the
next, a known number of equal requests is answered on one connection. Hash seed
and address layout are fixed (valgrind manual, Callgrind; personality(2)).
"""

from __future__ import annotations

import http.client
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import bindable_cpus
from loopbench.loadtests.observe import callgrind_dump
from loopbench.loadtests.observe.callgrind_dump import TYPE_LOOKUP, NotNamed, below, total
from loopbench.loadtests.observe.patience import ENDLESS, BrokenOff, Patience
from loopbench.results.schema import ROOT
from loopbench.servers.contract.http import Case
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.scratch import scratch_folder

METHOD = "5"
"""Of counting: counts by another method are not compared. The second one pinned what glibc takes a
processor for, and gave every server a folder and an environment of equal length. With the third the
clock of the day stands still, and routes that work in threads have a process of their own. With the
fourth a window holds nothing of what was before it, and no thread has to give up Python's lock.
With the fifth searches of classes are told apart (TYPE_LOOKUP). That no cancelled timers are
cleared is no method of its own, what met it takes up to 0.55 % less since, and neither is that
timers have code of their own, with which a request to Quart takes 0.1 % less, or that the heap is
kept, with which what met its end takes 0.1 % less."""

WARM_REQUESTS = 50
"""Requests before counting, and again while counting is on, but before the window: the
first after that are translated anew by valgrind, and Python's caches fill."""

_READY_BOUND_S = 600.0
"""A start takes 3 s of CPU time; on two CPUs with a load of 15 one took more than 180 s."""

_STOP_BOUND_S = 120.0
_CONTROL_BOUND_S, _CONTROL_LOOK_S = 60.0, 0.5
_COUNTED: dict[int, int] = {}
"""How many servers are being counted on each CPU, so that two at a time have one each."""

_CHOOSING = Lock()

_OPTIONAL_FEATURES: Mapping[str, tuple[str, ...]] = {
    "x86_64": (
        *("SSE3", "SSSE3", "SSE4_1", "SSE4_2", "POPCNT", "LZCNT", "MOVBE", "BMI1", "BMI2"),
        *("AVX", "AVX2", "AVX512F", "AVX512VL", "AVX512BW", "FMA", "FMA4", "RTM", "XSAVE"),
        *("XSAVEC", "ERMS", "FSRM", "Fast_Rep_String", "Fast_Copy_Backward", "Slow_BSF"),
        *("Fast_Unaligned_Load", "Fast_Unaligned_Copy", "AVX_Fast_Unaligned_Load"),
    )
}
"""By architecture: what some of its processors have and others not, as glibc's tunable names it."""

_KEPT_HEAP = (
    f"MALLOC_TOP_PAD_={64 << 20}",
    f"MALLOC_TRIM_THRESHOLD_={1 << 40}",
    f"MALLOC_MMAP_THRESHOLD_={32 << 20}",
)
"""The variables with which glibc takes memory from the system in large pieces, and gives none back
(mallopt(3)). It would otherwise give the end of its heap back whenever 128 KiB of it are free, and
ask for it again: 0, 2 or 18 times in a request to Quart, by where the end happened to lie, at 140
instructions a time. The last one is what it may grow to by itself, by what was freed before."""

_TOOLS = {
    **dict.fromkeys(("valgrind", "vgdb"), "valgrind"),
    **dict.fromkeys(("setarch", "taskset", "chrt"), "util-linux"),
}
"""What is called, by the package that it is in."""


def missing() -> str | None:
    """What this machine lacks for counting, with the remedy; None when nothing is."""
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if not absent:
        return None
    packages = sorted({_TOOLS[tool] for tool in absent})
    return f"{', '.join(absent)} not found; install {', '.join(packages)}"


@dataclass(frozen=True, slots=True)
class Counter:
    """A live server under callgrind. _patience: of whoever counts."""

    server: ServerProcess
    _folder: Path
    _patience: Patience

    def per_request(self, case: Case, requests: int) -> float:
        """Instructions of one answer to `case`, over so many on one connection.

        Raises HarnessError for a wrong answer and where callgrind did not count.
        """
        _send(self.server, case, WARM_REQUESTS)
        return self.during(lambda: _send(self.server, case, requests)) / requests

    def during(self, work: Callable[[], object]) -> int:
        """Instructions of the server while `work` is done."""
        return total(self.dump(work).read_text())

    def dump(self, work: Callable[[], object]) -> Path:
        """What callgrind writes down of the server while `work` is done: a file that lasts as
        long as the server. Raises HarnessError where it writes none.

        What was done before is dumped, too, and left out: after callgrind's "zero" a window of 20
        requests had up to one request more than those.
        """
        self._dumped().unlink()
        work()
        return self._dumped()

    def _dumped(self) -> Path:
        """What was done since the last dump. Raises HarnessError."""
        before = set(self._folder.iterdir())
        self._control("dump")
        written = [path for path in self._folder.iterdir() if path not in before]
        if len(written) != 1:
            raise HarnessError("callgrind wrote no count; its log has the reason")
        return written[0]

    def searching(self, dump: str) -> int | None:
        """Instructions of a dump that CPython spent on searching classes for what was not in its
        cache. None where its interpreter has not the functions for that as functions of their own:
        no zero, since what they do is then done by others."""
        if not any(map(callgrind_dump.has_search, _interpreters(self.server.pid))):
            return None
        try:
            return below(dump, TYPE_LOOKUP)
        except NotNamed:
            return None

    def begin(self) -> None:
        """Count from now on, where `counting` did not; valgrind is several times as fast before."""
        self._control("instrumentation on")

    def cease(self) -> None:
        """Count no more: the server then stops several times as fast."""
        self._control("instrumentation off")

    def _control(self, action: str) -> None:
        """What callgrind_control does through vgdb, which by itself waits a tenth of a second
        longer for a server that sleeps (valgrind manual, vgdb)."""
        command = ["vgdb", f"--pid={self.server.pid}", "--max-invoke-ms=1", *action.split()]
        deadline = time.monotonic() + _CONTROL_BOUND_S
        # Ctrl-C is not for vgdb. One that stops a server which is killed waits for ever, and keeps
        # that from ending.
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
        ) as vgdb:
            output = None
            while output is None:
                try:
                    output, _ = vgdb.communicate(timeout=_CONTROL_LOOK_S)
                except subprocess.TimeoutExpired:
                    self._look(vgdb, action, deadline)
        if vgdb.returncode:
            line = " ".join(output.split())
            raise HarnessError(f"callgrind was told {action!r} and could not: {line}")

    def _look(self, vgdb: subprocess.Popen[str], action: str, deadline: float) -> None:
        """Kill a vgdb whose answer nobody waits for, or that gives none. Raises BrokenOff and
        HarnessError."""
        try:
            self._patience.check()
            if not self.server.alive or time.monotonic() > deadline:
                raise HarnessError(f"callgrind did not answer to {action!r}")
        except (BrokenOff, HarnessError):
            vgdb.kill()
            raise


def _interpreters(pid: int) -> set[Path]:
    """The executables and libraries of Python in a process (proc(5), maps)."""
    maps = (line.split(maxsplit=5) for line in Path(f"/proc/{pid}/maps").read_text().splitlines())
    files = {Path(fields[5]) for fields in maps if len(fields) == 6}
    return {file for file in files if file.name.startswith(("python", "libpython"))}


@contextmanager
def counting(
    stack: str | Stack,
    settings: Settings,
    *,
    python: Path = Path(sys.executable),
    root: Path = ROOT,
    still: bool = False,
    begun: bool = True,
    options: tuple[str, ...] = (),
    variables: tuple[str, ...] = (),
    patience: Patience = ENDLESS,
) -> Iterator[Counter]:
    """Start `stack` under callgrind, counting from now on or, where not `begun`, from
    `Counter.begin` on; stop it in the end.

    python, root: as for `server_process`. still: no garbage is collected, no cancelled timers are
    cleared, the time of the day does not move on, as Python's `time.time` tells it, no thread asks
    another for Python's lock, and none goes before another by chance: each would fall into one
    window or another. options: more of callgrind's. variables: more of the server's environment, as
    `NAME=value`; they replace those of the same name that are set here, such as GLIBC_TUNABLES.
    patience: where it ends, the server is killed: its start and its stop take seconds.
    Raises HarnessError where the tools are missing.
    """
    lacking = missing()
    if lacking is not None:
        raise HarnessError(f"instructions cannot be counted: {lacking}")
    with scratch_folder() as temporary, _in_order() if still else nullcontext(()) as in_order:
        folder = temporary / "out"
        folder.mkdir()
        # Whoever counts has an environment of his own, whose size shifts the server's heap.
        prefix = (
            "env",
            "-i",
            "PYTHONHASHSEED=0",
            "LANG=C.UTF-8",
            *_KEPT_HEAP,
            *every_processor(),
            *variables,
            *(_still(Path(temporary) / "site") if still else ()),
            *in_order,
            *_path_of("setarch"),
            "-R",
            *_path_of("valgrind"),
            "--tool=callgrind",
            "--instr-atstart=no",
            *options,
            f"--callgrind-out-file={folder / 'callgrind'}",
        )
        with server_process(
            stack,
            settings=settings,
            log=Path(temporary) / "log",
            prefix=prefix,
            python=python,
            root=root,
            ready_timeout_s=_READY_BOUND_S,
            stop_timeout_s=_STOP_BOUND_S,
            given_up=patience.ending,
        ) as server:
            counter = Counter(server, folder, patience)
            if begun:
                counter.begin()
            yield counter


def every_processor(machine: str = platform.machine()) -> tuple[str, ...]:
    """The variable with which glibc chooses its code as on any processor of this architecture.

    It would otherwise copy and search memory with the widest instructions that the processor has,
    and count fewer of them on one than on another (glibc manual, Tunables).
    """
    features = _OPTIONAL_FEATURES.get(machine)
    if features is None:
        return ()
    return ("GLIBC_TUNABLES=glibc.cpu.hwcaps=" + ",".join(f"-{name}" for name in features),)


_STILL = """\
import asyncio.base_events
import asyncio.events
import gc
import itertools
import math
import sys
import time
import types


class Timer(asyncio.events.Handle):
    __slots__ = ()
    __init__ = types.FunctionType(
        asyncio.events.Handle.__init__.__code__.replace(),
        asyncio.events.__dict__,
        "__init__",
        asyncio.events.Handle.__init__.__defaults__,
    )

    def _run(self, mark=math.ulp, run=asyncio.events.Handle._run):
        mark(1.0)
        run(self)


asyncio.events.TimerHandle.__bases__ = (Timer,)
asyncio.base_events._MIN_SCHEDULED_TIMER_HANDLES = sys.maxsize
gc.disable()
sys.setswitchinterval(3600.0)
time.time = itertools.repeat(time.time()).__next__
"""


def _still(folder: Path) -> tuple[str]:
    """The variable with which Python switches its collector off, stops its clock, keeps the timers
    that are cancelled and leaves its lock with whoever has it, as it starts. What answers in place
    of the clock is written in C, as the clock is: nothing is called anew.

    Timers are made by a copy of the code that makes all of asyncio's handles. CPython specialises
    an instruction for one class: as one code for two, it was given up once in some fifty timers
    (3.11), and a request or two then took up to 25,000 instructions more.

    A timer that fires calls a C function that no server has a use for (TIMER_FIRED), so that a dump
    says how many did; one that is cancelled does not.

    A thread that waits for the lock asks for it every 5 ms (`sys.setswitchinterval`), which is
    longer than a request takes, but not under callgrind: how often it asked depended on the
    machine.
    """
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_STILL)
    return (f"PYTHONPATH={folder}",)


@contextmanager
def _in_order() -> Iterator[tuple[str, ...]]:
    """What has a server's threads run in the same order each time: on one CPU, and in batches.

    A thread that wakes another one then goes on until it waits itself (sched(7), SCHED_BATCH).
    Otherwise either may be the last to hold what both hold, and pays for taking it apart. Nothing
    where processes cannot be bound to a CPU.
    """
    cpus = bindable_cpus()
    if cpus is None:
        yield ()
        return
    with _CHOOSING:
        cpu = min(cpus, key=lambda candidate: _COUNTED.get(candidate, 0))
        _COUNTED[cpu] = _COUNTED.get(cpu, 0) + 1
    try:
        yield *_path_of("taskset"), "--cpu-list", str(cpu), *_path_of("chrt"), "--batch", "0"
    finally:
        with _CHOOSING:
            _COUNTED[cpu] -= 1


def _path_of(tool: str) -> tuple[str]:
    """Where it is, for a child that has no PATH to look in."""
    return (shutil.which(tool) or tool,)


def _send(server: ServerProcess, case: Case, requests: int) -> None:
    request, expected = case.request, case.expected
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    with closing(connection):
        for _ in range(requests):
            connection.request(
                request.method, request.target, request.body or None, dict(request.headers)
            )
            with connection.getresponse() as answer:
                problem = expected.check(answer.status, answer.read())
            if problem is not None:
                raise HarnessError(f"{case.name} under callgrind: {problem}")
