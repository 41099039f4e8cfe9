"""One load that several workers share, from its division to the merged report."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
from gevent.event import Event

from loopbench.loadtests.distributed.master.merge import Merged
from loopbench.loadtests.distributed.master.peers import Peer, Stage
from loopbench.loadtests.distributed.master.roster import Roster
from loopbench.loadtests.distributed.master.shares import Share, share_out
from loopbench.loadtests.distributed.master.worker_rows import worker_row
from loopbench.loadtests.generator.timer import Timer
from loopbench.loadtests.messages import generator as harness
from loopbench.loadtests.messages import workers
from loopbench.loadtests.messages.reports import FleetReport, Report
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.servers.supervision.merging import MOST_KNOWN

_ROUND_TRIPS = 8
_ROUND_TRIP_BOUND_S = 2.0
_ARRIVAL_BOUND_S = 40.0
"""Beyond what a session waits for its users to connect."""

_RELEASE_BOUND_S = 10.0
_LEAD_S = 0.03
_POLL_S = 0.002
_SECOND_NS = 1_000_000_000
_WATCH_NS = _SECOND_NS // 10


class LoadBroken(Exception):
    """A load that cannot be carried out. event: what the harness is sent."""

    def __init__(self, event: harness.Failed | harness.Lost) -> None:
        super().__init__(event.error)
        self.event = event


Send = Callable[[Peer, workers.AboutLoad], None]
"""Sends a worker a message."""


class SharedLoad:
    """The load under way. number: tells it from those before.

    send: sends a worker a message. send_event: sends the harness an event.
    """

    def __init__(
        self,
        number: int,
        spec: SessionSpec,
        roster: Roster,
        send: Send,
        send_event: Callable[[harness.GeneratorEvent], None],
    ) -> None:
        self.number = number
        self._spec = spec
        self._roster = roster
        self._send = send
        self._send_event = send_event
        self._aborted = Event()
        self._released = Event()
        self._pings_under_way: set[str] = set()
        self._merged: Merged | None = None
        self._start_realtime_ns = 0

    # Called at messages of the harness and of the workers.

    def abort(self) -> None:
        """End it as soon as possible; what was measured is still reported."""
        self._aborted.set()

    def release(self) -> None:
        """The harness has read the server: connections may be closed."""
        self._released.set()

    def pong(self, peer: Peer, pong: workers.Pong, back_ns: int) -> None:
        """A worker's answer to a ping, whose three instants compare the clocks."""
        peer.clock.add(pong.sent_ns, pong.there_ns, back_ns)
        self._pings_under_way.discard(peer.client_id)

    def progress(self, peer: Peer, progress: workers.Progress, message_bytes: int) -> None:
        """What a worker has attached to one of Locust's reports: counts, or its final report."""
        if peer.reported or peer.gone is not None:
            return
        peer.progress = progress
        if progress.report is not None and self._merged is not None:
            self._merged.add(progress.report, peer.name, peer.clock.offset_ns)
            peer.report_bytes = message_bytes
            peer.stage = Stage.REPORTED

    # The load.

    def carry_out(self) -> Report:
        """The report that one generator would give, with a row for each worker.

        Raises LoadBroken where the workers cannot carry it out.
        """
        living, wanted = self._roster.living(), self._roster.wanted
        if len(living) < wanted:
            raise LoadBroken(harness.Lost(f"{len(living)} of {wanted} workers are there"))
        active: list[tuple[Peer, Share]] = []
        for peer, share in zip(living, share_out(self._spec, wanted), strict=True):
            peer.begin(0 if share is None else share.users)
            if share is not None:
                active.append((peer, share))
        peers = [peer for peer, _ in active]
        self._compare_clocks(peers)
        for peer, share in active:
            self._send(peer, workers.OfferShare(self.number, share.spec))
        self._wait(peers, Stage.CONNECTED, _ARRIVAL_BOUND_S)
        self._keep_time(self._start(peers))
        self._released.wait(0 if self._aborted.is_set() else _RELEASE_BOUND_S)
        self._send_all(workers.ReleaseShare(self.number), peers)
        # The drain, the users' end, and a link that comes back.
        bound_s = self._spec.drain_s + 2 * workers.LOST_AFTER_S
        self._wait(peers, Stage.REPORTED, bound_s)
        return self._report(peers, living)

    def _send_all(self, message: workers.AboutLoad, peers: list[Peer]) -> None:
        for peer in peers:
            self._send(peer, message)

    def _compare_clocks(self, peers: list[Peer]) -> None:
        for _ in range(_ROUND_TRIPS):
            self._pings_under_way = {peer.client_id for peer in peers}
            for peer in peers:
                self._send(peer, workers.Ping(self.number, time.time_ns()))
            deadline = time.monotonic() + _ROUND_TRIP_BOUND_S
            while self._pings_under_way and time.monotonic() < deadline:
                gevent.sleep(_POLL_S / 4)

    def _start(self, peers: list[Peer]) -> int:
        """Agree on the instant; returns it on CLOCK_MONOTONIC here, in ns."""
        slowest_ns = max((peer.clock.round_trip_ns or 0 for peer in peers), default=0)
        lead_ns = int(_LEAD_S * _SECOND_NS) + 4 * slowest_ns
        realtime_ns, monotonic_ns = time.time_ns() + lead_ns, time.monotonic_ns() + lead_ns
        self._start_realtime_ns = realtime_ns
        self._merged = Merged([load.name for load in self._spec.loads], realtime_ns)
        for peer in peers:
            self._send(peer, workers.Start(self.number, realtime_ns + peer.clock.offset_ns))
        return monotonic_ns

    def _keep_time(self, start_ns: int) -> None:
        """Send the harness the window's edges and seconds, at the instants agreed on."""
        open_ns, close_ns = start_ns + self._spec.open_ns, start_ns + self._spec.close_ns
        with Timer() as timer:
            self._sleep_until(timer, open_ns)
            self._send_event(harness.WindowOpened())
            due = open_ns + _SECOND_NS
            while due < close_ns and not self._aborted.is_set():
                self._sleep_until(timer, due)
                self._send_event(harness.SecondPassed())
                due += _SECOND_NS
            self._sleep_until(timer, close_ns)
            self._send_event(harness.WindowClosed())

    def _sleep_until(self, timer: Timer, due_ns: int) -> None:
        while not self._aborted.is_set() and (now := time.monotonic_ns()) < due_ns:
            timer.sleep_until(min(due_ns, now + _WATCH_NS))
            if not self._roster.living():
                raise self._all_lost()
        if self._aborted.is_set():
            self._send_all(workers.AbortShare(self.number), self._roster.living())

    def _wait(self, peers: list[Peer], stage: Stage, bound_s: float) -> None:
        """Until each worker is at a stage or is lost; who is not after `bound_s` is lost, too.

        Raises what a worker raised, where that was not an answer's fault, and where
        all are lost.
        """
        deadline = time.monotonic() + bound_s
        abort_sent = False
        while True:
            self._roster.living()
            for peer in peers:
                if peer.failed is not None:
                    raise LoadBroken(harness.Failed(f"worker {peer.name}: {peer.failed}"))
            if self._aborted.is_set() and not abort_sent:
                abort_sent = True
                self._send_all(workers.AbortShare(self.number), peers)
            late = [peer for peer in peers if peer.gone is None and peer.stage < stage]
            if not late:
                break
            if time.monotonic() > deadline:
                for peer in late:
                    peer.gone = f"it did not answer within {bound_s:.0f} s"
                break
            gevent.sleep(_POLL_S)
        if all(peer.gone is not None and not peer.reported for peer in peers):
            raise self._all_lost()

    def _all_lost(self) -> LoadBroken:
        return LoadBroken(harness.Lost(f"every worker is lost; {'; '.join(self._roster.lost())}"))

    def _report(self, peers: list[Peer], living: list[Peer]) -> Report:
        assert self._merged is not None
        rows = tuple(worker_row(peer, self._start_realtime_ns) for peer in living)
        here = [
            peer.progress.report.cpu_s
            for peer in peers
            if peer.reported and peer.progress and peer.progress.report and peer.clock.same_kernel
        ]
        fleet = FleetReport(
            busiest_cpu=MOST_KNOWN([row.cpu_utilisation for row in rows]),
            worst_lag_p99_ms=MOST_KNOWN([row.lag_p99_ms for row in rows]),
            one_clock=all(peer.clock.same_kernel for peer in peers),
            workers=rows,
        )
        return self._merged.report(sum(here), fleet)
