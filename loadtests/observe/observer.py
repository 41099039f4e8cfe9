"""What the harness asks the server and the machine while a load runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from loopbench.loadtests.messages.generator import At, SecondPassed, WindowClosed, WindowOpened
from loopbench.loadtests.messages.reports import Report
from loopbench.loadtests.observe.machine_cpu import MachineReading, own_cpu_s, read_machine
from loopbench.loadtests.observe.store_cpu import CpuReading, StoreCpu
from loopbench.loadtests.scenarios.table import Load
from loopbench.servers.lifecycle.process import ServerProcess
from loopbench.servers.managers.managed import Served
from loopbench.servers.probe import readings
from loopbench.servers.supervision.control_pipe import ControlClosed, ControlError
from loopbench.servers.supervision.messages import Question
from loopbench.servers.supervision.os_stats import Reading

A = TypeVar("A")
READ_BOUND_S = 2.0
"""How long the harness waits for a reading from inside a busy server."""

_LATE_SHARE, _LATE_S = 0.1, 0.2
"""By so much of a window, and by so many seconds at least, two readings may be nearer to each other
or further apart than its edges."""


def are_of_a_window(opened: Reading, closed: Reading, window_s: float) -> bool:
    """Whether two readings of a server are as far from each other as the edges of a window. Both
    instants are of one clock, wherever that is."""
    between_s = (closed.monotonic_ns - opened.monotonic_ns) / 1e9
    return abs(between_s - window_s) <= max(_LATE_SHARE * window_s, _LATE_S)


@dataclass(frozen=True, slots=True)
class Edge:
    """What was read at one edge of the measured window.

    server: None where the server did not answer. harness_cpu_s: of the harness itself.
    upstream: None where there is none, or it did not answer.
    stores: None where no store was to be read.
    """

    server: Reading | None
    machine: MachineReading | None
    harness_cpu_s: float
    upstream: Reading | None = None
    stores: CpuReading | None = None


@dataclass(slots=True)
class Observed:
    """All that was read in one Run. None: not read, for whatever reason.

    before: before the load connected. after: some time after it had gone.
    probe: at the end of the window.
    glances: at each mark of the timeline, the last at the end.
    instants: of each load's route.
    unreadable: whether the server failed to answer in time at least once.
    """

    before: Reading | None = None
    opened: Edge | None = None
    closed: Edge | None = None
    after: Reading | None = None
    probe: readings.Observation | None = None
    glances: list[readings.Moment | None] = field(default_factory=list)
    instants: dict[str, readings.InstantSums] = field(default_factory=dict)
    unreadable: bool = False


class Observer:
    """Asks a server at the events of a load; what does not come in time stays None.

    upstream: the server beside it whose pages it fetches, where there is one.
    stores: what reads the CPU time of the stores that it uses, where there are any.
    """

    def __init__(
        self,
        server: Served,
        *,
        probe: bool,
        upstream: ServerProcess | None = None,
        stores: StoreCpu | None = None,
    ) -> None:
        self._server = server
        self._upstream = upstream
        self._probe = probe
        self._stores = stores
        self._counting = False
        self._watched = True
        self.observed = Observed()
        self.at: At = {
            WindowOpened: self.opened,
            SecondPassed: self._second,
            WindowClosed: self.closed,
        }

    def begin(self) -> None:
        """Before the load: count from here on."""
        self.observed.before = self.read()
        self._ask(readings.Reset(instants=True))

    def end(self, report: Report, loads: tuple[Load, ...]) -> None:
        """After the load: the instants of the requests that its report is about."""
        for load in loads:
            if load.route is None:
                continue
            load_report = report.loads[load.name]
            answer = self._ask(
                readings.Instants(load.route, load_report.warmup.begun, load_report.measured.begun)
            )
            if answer is not None:
                self.observed.instants[load.name] = answer

    def compare_windows(self, measured_s: float) -> None:
        """Take the edges' readings for missing where they are not of the measured window, as where
        the harness itself was held up at one of its edges, by Ctrl-Z say: what was read then is
        over a time in which there was no load."""
        opened, closed = self.observed.opened, self.observed.closed
        if opened is None or closed is None or opened.server is None or closed.server is None:
            return
        if not are_of_a_window(opened.server, closed.server, measured_s):
            self.observed.opened = replace(opened, server=None)
            self.observed.closed = replace(closed, server=None)
            self.observed.glances = [None] * len(self.observed.glances)
            self.observed.unreadable = True

    def rest(self) -> None:
        """Have the server's probe rest, but for what is done under `watching`."""
        self._watched = False
        self._ask(readings.Pause())

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Have the probe watch while in the block, and rest again."""
        self._watched = True
        self._ask(readings.Resume())
        try:
            yield
        finally:
            self._ask(readings.Pause())

    def later(self) -> None:
        """Some time after the load has closed its connections."""
        self.observed.after = self.read()

    def opened(self) -> None:
        """The measured window begins: count from here on, and read both sides."""
        self._counting = self._ask(readings.Reset(instants=False)) is not None
        self.observed.opened = self._edge()

    def _second(self, *, loaded: bool = True) -> None:
        self.observed.glances.append(self._count(readings.Glance(loaded)))

    def closed(self) -> None:
        """The measured window is over: read both sides, and what was counted."""
        self.observed.closed = self._edge()
        self._second(loaded=False)
        if self._watched:  # last, since it keeps the server busy for a while
            self.observed.probe = self._count(readings.Observe())

    def _count(self, question: Question[A]) -> A | None:
        """What was counted since the window opened; None where the reset then was not confirmed."""
        return self._ask(question) if self._counting else None

    def _edge(self) -> Edge:
        server, machine, own_s = self.read(), read_machine(), own_cpu_s()
        # A store that stands still answers late, which is not to make the server's reading late.
        stores = None if self._stores is None else self._stores.read()
        return Edge(server, machine, own_s, self._read_upstream(), stores)

    def _read_upstream(self) -> Reading | None:
        if self._upstream is None:
            return None
        try:
            return self._upstream.read(READ_BOUND_S)
        except ControlError:
            return None  # it has died, which is said elsewhere, or is too busy

    def read(self) -> Reading | None:
        """What the server's process uses; None where it did not say so in time."""
        return self._patiently(lambda: self._server.read(READ_BOUND_S))

    def _ask(self, question: Question[A]) -> A | None:
        if not self._probe:
            return None
        return self._patiently(lambda: self._server.ask(question, READ_BOUND_S))

    def _patiently(self, ask: Callable[[], A]) -> A | None:
        try:
            return ask()
        except ControlClosed:
            return None  # the server has died; that is seen, and said, elsewhere
        except ControlError:
            self.observed.unreadable = True
            return None
