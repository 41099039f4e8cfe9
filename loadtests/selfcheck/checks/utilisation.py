"""Is the utilisation of a loop true, on asyncio and on uvloop? Told from outside by strace.

The truth is the share of a window in which the loop's thread was in no call of epoll_wait that was
allowed to wait. Both read the same window of the same process: its length is what the probe says,
and it begins where both of its ends fit the instants at which the probe was asked. strace slows the
loop down, for both alike; the time for which its stops hold the thread beside the calls is no work
of the loop's and is taken off. It is measured in the same minute, and where it is much of a window
nothing is said of that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loopbench.loadtests.distributed.generator_process import Generator, generator_process
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import bindable_cpus, plan_cpus
from loopbench.loadtests.messages.generator import WindowClosed, WindowOpened
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.loadtests.scenarios.table import Closed, Load, Open
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.loadtests.selfcheck.witnesses import strace
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.http import Case, get, written
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.probe.event_loop import LoopReading
from loopbench.servers.probe.readings import Observe, Reset
from loopbench.servers.settings import Settings
from loopbench.servers.supervision.scratch import scratch_folder

STACKS = ("aiohttp", "aiohttp-uvloop", "quart-hypercorn-uvloop", "quart-granian")
SHARES: Mapping[str, float] = {"a quarter": 0.25, "half": 0.5, "three quarters": 0.75}
"""Levels, as shares of the rate at which the loop is full."""

FULL, IDLE, SHORT = "full", "idle", "short requests"
WORK = Case("burn-async-4", get("/burn/async?ms=4"), written({"ms": 4}))
FULL_LOAD = Load("main", WORK, Closed(users=4))
CONNECTIONS = 64
SHORT_RPS = 100.0
"""Of requests that hardly compute, for which the loop waits the more often."""

NEITHER = (0.1, 0.9)
FURTHEST = 0.02
MOST_STOPPED = 0.06
"""Of a window in which strace held the thread for a larger share beside the calls nothing is
told."""

WARMUP_S, MEASURED_S, DRAIN_S = 0.5, 4.0, 15.0
_SETTLED_S = 0.3
_ASK_S = 30.0


@dataclass(frozen=True, slots=True)
class Window:
    """A window. probed, truth: utilisation, by the probe and by strace. stopped: the share of the
    window for which strace's stops held the thread, which is in neither. read_by: how the probe
    read it. rate_rps: of right answers."""

    probed: float
    truth: float
    stopped: float
    read_by: str | None
    rate_rps: float

    @property
    def difference(self) -> float:
        """By how much the probe says too much."""
        return self.probed - self.truth


@dataclass(frozen=True, slots=True)
class Traced:
    """A server under strace, with what loads it."""

    server: ServerProcess
    generator: Generator
    out: Path
    stop_ns: float

    def window(self, load: Load | None, measured_s: float = MEASURED_S) -> Window:
        """Read a window of so many seconds under a load, or without any."""
        edges: list[tuple[int, int]] = []
        readings: list[LoopReading] = []

        def opened() -> None:
            edges.append(timed(lambda: self.server.ask(Reset(instants=True), _ASK_S)))

        def closed() -> None:
            edges.append(timed(lambda: readings.append(self.server.ask(Observe(), _ASK_S).loop)))

        if load is None:
            opened()
            time.sleep(measured_s)
            closed()
            rate_rps = 0.0
        else:
            rate_rps = self.offer(load, measured_s, opened, closed)
        time.sleep(_SETTLED_S)  # until the call that lasted at the end has ended
        (loop,) = readings
        return self._judged(loop, edges[0], edges[1], rate_rps)

    def offer(
        self,
        load: Load,
        measured_s: float,
        opened: Callable[[], None],
        closed: Callable[[], None],
    ) -> float:
        """Load it for so long, do something at both ends of the window, and give the rate of right
        answers a second. Raises HarnessError where there were none."""
        spec = SessionSpec(
            host=self.server.host,
            port=self.server.port,
            loads=(load,),
            warmup_s=WARMUP_S,
            measured_s=measured_s,
            drain_s=DRAIN_S,
            timeout_s=DRAIN_S,
            seed=1,
        )
        report = self.generator.load(
            spec,
            bound_s=WARMUP_S + measured_s + DRAIN_S,
            at={WindowOpened: opened, WindowClosed: closed},
            give_up=lambda: not self.server.alive,
        )
        completed = report.loads[load.name].completed
        if not completed:
            raise HarnessError(f"{self.server.stack.name} answered nothing under strace")
        return completed / report.measured_s

    def _judged(
        self, loop: LoopReading, opened: tuple[int, int], closed: tuple[int, int], rate_rps: float
    ) -> Window:
        if loop.idle_ns is None:
            raise HarnessError(f"{self.server.stack.name}: its loop's utilisation is not read")
        wall_ns = loop.wall_ns
        earliest = max(opened[0], closed[0] - wall_ns)
        latest = min(opened[1], closed[1] - wall_ns)
        began_ns = (earliest + latest) // 2
        calls = strace.calls(self.out, self.server.pid)
        waits = list(strace.within(calls, began_ns, began_ns + wall_ns))
        stopped = len(waits) * self.stop_ns / wall_ns
        return Window(
            1 - loop.idle_ns / wall_ns,
            1 - sum(waits) / wall_ns - stopped,
            stopped,
            loop.idle_read_by,
            rate_rps,
        )


@contextmanager
def traced(stack: str) -> Iterator[Traced]:
    """A watched server of a stack under strace, and a generator, on CPUs of their own."""
    cpus = plan_cpus(bindable_cpus())
    with scratch_folder("strace") as folder:
        stop_ns = strace.stop_ns(folder / "waits", cpus.server)
        out = folder / stack
        settings = Settings(probe=True)
        prefix = strace.prefix(out)
        with (
            server_process(stack, settings=settings, cpus=cpus.server, prefix=prefix) as server,
            generator_process(cpus=cpus.generator) as generator,
        ):
            strace.favour(server.pid, cpus.server)
            yield Traced(server, generator, out, stop_ns)


def check(say: Callable[[str], None]) -> list[Verdict]:
    """Each stack at each level; about half a minute each."""
    return [verdict for stack in STACKS for verdict in _of_stack(stack, say)]


def _of_stack(stack: str, say: Callable[[str], None]) -> Iterator[Verdict]:
    with traced(stack) as on:
        say(f"{stack}: a stop of strace's holds its thread for {on.stop_ns / 1e3:.0f} us")
        windows = {IDLE: on.window(None), SHORT: on.window(_load(CASES["plain"], SHORT_RPS))}
        windows[FULL] = full = on.window(FULL_LOAD)
        for level, share in SHARES.items():
            windows[level] = on.window(_load(WORK, share * full.rate_rps))
    for level, window in windows.items():
        yield verdict(f"{stack}, {level}", window)
    yield _levels(stack, [windows[level].truth for level in SHARES])


def _load(case: Case, rate_rps: float) -> Load:
    return Load("main", case, Open(rate_rps, CONNECTIONS))


def verdict(name: str, window: Window) -> Verdict:
    """Met where the probe is no further than FURTHEST from strace, and strace can tell."""
    return Verdict(
        f"{name}: utilisation within {FURTHEST * 100:.0f} points of strace's",
        f"{window.probed:.1%} by {window.read_by}, {window.truth:.1%} by strace, "
        f"{window.difference * 100:+.1f} points; {window.stopped * 100:.1f} points of stops taken "
        "off",
        abs(window.difference) <= FURTHEST and window.stopped <= MOST_STOPPED,
    )


def _levels(stack: str, truths: list[float]) -> Verdict:
    """A machine without a CPU to spare would fill the loop at every level."""
    return Verdict(
        f"{stack}: two levels or more are neither idle nor full",
        ", ".join(f"{truth:.0%}" for truth in truths),
        sum(NEITHER[0] <= truth <= NEITHER[1] for truth in truths) >= 2,
    )


def timed(ask: Callable[[], object]) -> tuple[int, int]:
    """When a question was put and when it was answered."""
    began_ns = time.time_ns()
    ask()
    return began_ns, time.time_ns()
