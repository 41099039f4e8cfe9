"""One Load under way."""

from __future__ import annotations

import time
from typing import Any

from gevent.event import Event

from loopbench.loadtests.generator.backlog import Backlog
from loopbench.loadtests.generator.clients.http1 import AnswerBook, Connection
from loopbench.loadtests.generator.recorder import Series, Timeline
from loopbench.loadtests.messages.reports import Growth
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.loadtests.scenarios.models import Load


class LoadRun:
    """What the users of one Load share.

    model: the load's; each kind of user is written for one of them. series: where a request that
    begins now is recorded. running: whether users go on. over: set when they do not. clock: "user"
    where its times cannot be the kernel's. counted: what the window's rows say of the load beside
    its requests, by column. shared: what the users of a model share beside this; the first of
    them that needs it sets it. backlog: of an open loop, the requests of the window that is under
    way; growth: of those that were settled.
    """

    def __init__(self, load: Load, spec: SessionSpec) -> None:
        self.load = load
        self.model: Any = load.model
        self.payload = load.case.request.encode(spec.authority)
        self.book = AnswerBook(load.case)
        self.warmup = Series()
        self.measured = Series()
        self.watched = Series()
        self.series = self.warmup
        self.running = True
        self.over = Event()
        self.connections: list[Connection] = []
        self.timeline = Timeline(whole=spec.whole)
        self.open_ns = spec.open_ns
        self.before_opening, self.after_opening = self.warmup, self.measured
        self.arrivals = load.model.schedule(spec.close_ns, f"{spec.seed}/{load.name}{spec.part}")
        self.backlog = None if self.arrivals is None else Backlog(spec.open_ns, spec.close_ns)
        self.growth: Growth | None = None
        self.clock = "kernel"
        self.counted: dict[str, int] = {}
        self.shared: Any = None

    @property
    def users(self) -> int:
        """How many Locust users, each with one connection, this load has."""
        return self.load.model.population

    @property
    def answered(self) -> int:
        """Right answers so far, in all phases."""
        return sum(series.answered for series in self._phases)

    @property
    def cycled_ns(self) -> int:
        """Of these answers so far, what they and the waits before them took, summed."""
        return sum(series.service_sum_ns + series.gap_ns for series in self._phases)

    @property
    def failed(self) -> int:
        """Failed requests so far, in all phases."""
        return sum(series.failures.total for series in self._phases)

    @property
    def _phases(self) -> tuple[Series, Series, Series]:
        return self.warmup, self.measured, self.watched

    def series_at(self, due_ns: int) -> Series:
        """The phase that an arrival belongs to."""
        return self.before_opening if due_ns < self.open_ns else self.after_opening

    def settle_backlog(self) -> None:
        """A window is over, and its last request has ended: add to the growth of what waited."""
        if self.backlog is not None:
            grown = self.backlog.growth()
            self.growth = grown if self.growth is None else self.growth + grown

    def count(self, what: str, more: int) -> None:
        """Add to what is counted in a column."""
        self.counted[what] = self.counted.get(what, 0) + more

    def open_window(self) -> None:
        """Requests that begin from now on belong to the measured window."""
        self.series = self.measured

    def mark(self, at_ns: int) -> None:
        """Note on the timeline where the load is, `at_ns` after its window opened."""
        self.timeline.mark(at_ns, self.answered, self.measured)

    def bound_memory(self) -> None:
        """Move times into histograms where there are many."""
        if self.series.large:
            self.timeline.resolve(self.measured)
            self.series.flush()

    def end(self) -> None:
        """No user is to begin another request, or to read on in an answer without end."""
        self.running = False
        self.over.set()
        for connection in self.connections:
            connection.hang_up()

    def expire_sent_before(self, limit_ns: int) -> None:
        """Give up the requests that were sent until `limit_ns`, CLOCK_REALTIME."""
        for connection in self.connections:
            if connection.busy and connection.sent_ns <= limit_ns:
                connection.expire()

    def fail_unsent(self, start_ns: int) -> None:
        """Count the arrivals that no connection was ever free for: they failed, too.

        Those that were not due yet when the load was broken off never were requests.
        """
        now_ns = time.monotonic_ns() - start_ns
        while (
            self.arrivals is not None
            and (due := self.arrivals.take()) is not None
            and due <= now_ns
        ):
            if self.backlog is not None:
                self.backlog.add(due, failed=True)
            self.series_at(due).fail(
                "not sent: every connection was busy",
                now_ns - due,
                f"due {due / 1e9:.3f} s after the start",
            )
