"""The users of one server of a Block, parked but for the Slices of that server."""

from __future__ import annotations

import time
from typing import Protocol

from gevent.event import Event

from loopbench.loadtests.generator.backlog import Backlog
from loopbench.loadtests.generator.clients.http1 import Connection
from loopbench.loadtests.generator.recorder import Series
from loopbench.loadtests.generator.session import LoadRun
from loopbench.loadtests.generator.timer import Timer
from loopbench.loadtests.messages.specs import BlockSpec, SessionSpec, Target

_SECOND_NS = 1_000_000_000
_MS_NS = 1_000_000

_OPEN_LEAD_IN_NS = 50 * _MS_NS
"""Of an open loop: arrivals of this long come before the window opens. At a rate that a server
holds it is in a steady state within some answers."""

_HEAD_START_NS = 2 * _MS_NS
"""What some hundred users of an open loop need to wake up before their first arrival is due."""


class Station(Protocol):
    """What a Lane tells its Block."""

    def arrive(self) -> None:
        """A user has connected, or has tried to."""

    def break_off(self, error: Exception) -> None:
        """A user met a defect of the generator itself."""


class Lane:
    """The users of one target. Its window opens when each has had its first answer.

    It is to a Locust user what a Session is: see `users.slices`.
    """

    def __init__(self, target: Target, spec: BlockSpec, number: int, block: Station) -> None:
        self.target = target
        self.number = number
        self.spec = SessionSpec(
            host=target.host,
            port=target.port,
            loads=(target.load,),
            warmup_s=0.0,
            measured_s=0.0,
            drain_s=spec.drain_s,
            timeout_s=spec.first_s,
            seed=spec.seed,
        )
        self.run = LoadRun(self.spec.loads[0], self.spec)
        self.run.running = False
        self.released = Event()
        self.started = Event()
        self.start_ns = self.start_realtime_ns = 0
        self.aborted = False
        self.turn = Event()
        self.parked = Event()
        self._all_first = Event()
        self._first_s = spec.first_s
        self._block = block
        self._waiting = 0
        self._busy = 0
        self.warmup_s = self.measured_s = self.generator_cpu_s = 0.0
        self.completed = 0
        self.parked_cpu_s = self.parked_s = 0.0

    # Called by the users.

    def connect(self, connection: Connection) -> None:
        """Connect; a failure shows at the first request, as one."""
        connection.connect()

    def part_with(self, connection: Connection) -> None:
        """Close it: with the Block its servers end, too."""
        connection.close()

    def arrive(self) -> None:
        """A user has connected, or has tried to."""
        self._block.arrive()

    def finish(self) -> None:
        """A user has ended for good."""

    def over(self) -> bool:
        """Whether the Block has ended."""
        return self.aborted

    def break_off(self, error: Exception) -> None:
        """A user met a defect of the generator itself: no figure of this Block is good."""
        self._block.break_off(error)

    def first_answered(self) -> None:
        """A user has had the first answer of this Slice, right or wrong."""
        self._waiting -= 1
        if self._waiting <= 0:
            self._all_first.set()

    def park(self) -> None:
        """A user has ended its last request of this Slice."""
        self._busy -= 1
        if self._busy <= 0:
            self.parked.set()

    # Called by the Block.

    def let_go(self, outside: Series, counting: Series, seconds: float) -> None:
        """Let the users begin a Slice, whose window is to be so long.

        outside, counting: where requests of the lead-in and of the window are recorded.
        """
        self.run.series = outside
        self._waiting = self._busy = self.run.users
        self._all_first.clear()
        self.parked.clear()
        self.run.running = True
        # A new event each time: who parks while the old one is set would go on at once.
        turn, self.turn = self.turn, Event()
        turn.set()

    def wait_for_opening(self, timer: Timer) -> None:
        """Return when the window is to open. What has not been answered by then has failed."""
        if not self._all_first.wait(self._first_s):
            self._give_up()
            self._all_first.wait(self._first_s)

    def call_back(self) -> None:
        """Have the users park, and wait for it; what is not answered in time fails."""
        self.run.running = False
        if not self.parked.wait(self.spec.drain_s):
            self._give_up()
            self.parked.wait(self.spec.drain_s)

    def _give_up(self) -> None:
        """Fail what is under way: it was not answered in time."""
        for connection in self.run.connections:
            if connection.busy:
                connection.expire()

    def end(self) -> None:
        """Let the users go home."""
        self.aborted = True
        self.run.running = False
        self.started.set()
        self.turn.set()
        self.released.set()


class OpenLane(Lane):
    """The same of an open loop: each Slice has arrivals of its own, and its window opens at a time.

    visit_ns, visit_realtime_ns: when the Slice begins, on both clocks; arrivals are due after it.
    The arrivals of a Slice follow from the Block's seed and the Slice's number, so that they are
    the same for every target.
    """

    def __init__(self, target: Target, spec: BlockSpec, number: int, block: Station) -> None:
        super().__init__(target, spec, number, block)
        self.visit_ns = self.visit_realtime_ns = 0
        self._visits = 0
        self._given_up = False

    def over(self) -> bool:
        """Whether no arrival is to be waited for any more."""
        return self.aborted or self._given_up

    def let_go(self, outside: Series, counting: Series, seconds: float) -> None:
        """Let the users begin a Slice, and draw its arrivals."""
        run = self.run
        self._visits += 1
        self._given_up = False
        run.before_opening, run.after_opening, run.open_ns = outside, counting, _OPEN_LEAD_IN_NS
        close_ns = run.open_ns + int(seconds * _SECOND_NS)
        seed = f"{self.spec.seed}/{run.load.name}/{self._visits}"
        run.arrivals = run.model.schedule(close_ns, seed)
        run.backlog = Backlog(run.open_ns, close_ns)
        self.visit_ns = time.monotonic_ns() + _HEAD_START_NS
        self.visit_realtime_ns = time.time_ns() + _HEAD_START_NS
        super().let_go(outside, counting, seconds)

    def wait_for_opening(self, timer: Timer) -> None:
        """Return when the lead-in is over."""
        timer.sleep_until(self.visit_ns + _OPEN_LEAD_IN_NS)

    def _give_up(self) -> None:
        self._given_up = True
        self.run.fail_unsent(self.visit_ns)
        super()._give_up()


def lane_of(target: Target, spec: BlockSpec, number: int, block: Station) -> Lane:
    """The Lane that the target's load asks for."""
    due = target.load.model.arrival_rate_rps is not None
    return (OpenLane if due else Lane)(target, spec, number, block)
