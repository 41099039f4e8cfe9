"""The Locust master that the harness commands: `python -m loopbench.loadtests.distributed.master`.

To the harness it is one load generator: it takes the same commands and gives the same events
and the same report. Behind it are Locust's workers, which share each load.
"""

from __future__ import annotations

import locust  # isort: skip  (first: importing it patches the standard library)

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import protocol

from loopbench.loadtests.distributed import messages
from loopbench.loadtests.distributed.merge import Merged
from loopbench.loadtests.distributed.peers import Clock, Seat
from loopbench.loadtests.distributed.rows import worker_row
from loopbench.loadtests.distributed.shares import share_out
from loopbench.loadtests.generator.commands import Handlers, obey, pin, tell
from loopbench.loadtests.generator.timer import Timer
from loopbench.loadtests.hosts.address import parse_address
from loopbench.loadtests.hosts.host_info import suite_version
from loopbench.servers.supervision.control_pipe import Message, Station
from loopbench.servers.supervision.os_stats import allow_many_files, boot_id, die_with_parent

_Envelope: Any = protocol.Message  # which has no types
_ROUND_TRIPS = 8
_ROUND_TRIP_BOUND_S = 2.0
_ARRIVAL_BOUND_S = 40.0
"""Beyond what a session waits for its users to connect."""

_RELEASE_BOUND_S = 10.0
_LEAD_S = 0.03
_POLL_S = 0.002
_SECOND_NS = 1_000_000_000


class Master:
    """The seats, and the load under way, if there is one."""

    def __init__(self, station: Station, environment: Environment, runner: Any, wanted: int):
        self._tell = partial(tell, station)
        self._runner = runner
        self._wanted = wanted
        self._seats: dict[str, Seat] = {}
        self._busy = False
        self._number = 0
        self._pongs: dict[str, int] = {}
        self._merged: Merged | None = None
        self._aborted = Event()
        self._released = Event()
        self.handlers: Handlers = {
            "pin": partial(pin, station),
            "gather": self._gather,
            "load": self._load,
            "abort": lambda _: self._aborted.set(),
            "release": lambda _: self._released.set(),
            "worker-ended": self._worker_ended,
        }
        listeners: dict[str, Callable[..., None]] = {
            messages.HELLO: self._join,
            messages.PONG: self._pong,
            messages.ARRIVED: self._arrive,
            messages.FAILED: self._fail,
        }
        for name, listener in listeners.items():
            runner.register_message(name, listener)
        events: Any = environment.events  # of Locust's, which have no types
        events.worker_report.add_listener(self._report)
        events.heartbeat_sent.add_listener(self._hear)

    # Who is there.

    def _live(self) -> list[Seat]:
        """The workers that can be counted on, by number."""
        for seat in self._seats.values():
            if seat.gone is None and seat.client_id not in self._runner.clients:
                seat.gone = "it has left"
            elif seat.gone is None and seat.silent_s() > messages.LOST_AFTER_S:
                seat.gone = f"nothing was heard of it for {seat.silent_s():.0f} s"
        living = [seat for seat in self._seats.values() if seat.gone is None]
        return sorted(living, key=lambda seat: seat.number)

    def _join(self, msg: Any, **_: Any) -> None:
        hello, version = msg.data, suite_version()
        living = self._live()
        why = None
        if hello["version"] != version:
            why = f"it runs {hello['version']} of the suite, the master {version}"
        elif len(living) >= self._wanted:
            why = f"the {self._wanted} workers that were asked for are there already"
        if why is not None:
            self._runner.send_message(messages.REFUSED, {"why": why}, msg.node_id)
            self._tell("refused", host=hello["host"], pid=hello["pid"], why=why)
            return
        number = min(set(range(1, self._wanted + 1)) - {seat.number for seat in living})
        same_kernel = hello["boot_id"] is not None and hello["boot_id"] == boot_id()
        seat = Seat(number, msg.node_id, hello, Clock(same_kernel))
        for old in [key for key, one in self._seats.items() if one.gone is not None]:
            del self._seats[old]
        self._seats[msg.node_id] = seat
        self._tell("joined", worker=seat.name, workers=len(living) + 1, wanted=self._wanted)

    def _hear(self, client_id: str, **_: Any) -> None:
        seat = self._seats.get(client_id)
        if seat is not None:
            seat.hear()
            if seat.gone is not None and not self._busy:
                seat.gone = None  # the link is back

    def _worker_ended(self, message: Message) -> None:
        """The harness has seen the end of a process that it had started."""
        for seat in self._seats.values():
            if seat.gone is None and seat.clock.same_kernel and seat.hello["pid"] == message["pid"]:
                seat.gone = f"its process ended ({message['how']})"

    def _gather(self, message: Message) -> None:
        gevent.spawn(self._wait_for_all, message["bound_s"])

    def _wait_for_all(self, bound_s: float) -> None:
        deadline = time.monotonic() + bound_s
        while len(self._live()) < self._wanted and time.monotonic() < deadline:
            gevent.sleep(_POLL_S * 5)
        living = self._live()
        self._tell(
            "gathered",
            workers=[{"number": s.number, "name": s.name, **s.hello} for s in living],
            gone=[f"worker {s.name}: {s.gone}" for s in self._seats.values() if s.gone],
        )

    # A load.

    def _load(self, message: Message) -> None:
        if self._busy:
            self._tell("failed", error="a load is under way already")
            return
        self._busy = True
        self._number += 1
        self._aborted.clear()
        self._released.clear()
        gevent.spawn(self._run, message)

    def _run(self, command: Message) -> None:
        try:
            report = self._carry_out(command)
            self._tell("finished", report=report)
        except _Broken as error:
            self._tell(error.event, error=str(error))
        except Exception as error:  # reported to the harness, which raises it there
            logging.getLogger(__name__).exception("the load failed")
            self._tell("failed", error=f"{type(error).__name__}: {error}")
        finally:
            self._busy = False
            self._merged = None

    def _carry_out(self, command: Message) -> dict[str, Any]:
        living = self._live()
        if len(living) < self._wanted:
            raise _Broken("lost", f"{len(living)} of {self._wanted} workers are there")
        shares = share_out(command, self._wanted)
        active = []
        for seat, share in zip(living, shares, strict=True):
            seat.begin(0 if share is None else share.users)
            if share is not None:
                active.append((seat, share))
        seats = [seat for seat, _ in active]
        self._compare_clocks(seats)
        for seat, share in active:
            self._send(messages.LOAD, seat, command=share.command)
        self._wait(seats, lambda seat: seat.arrived, _ARRIVAL_BOUND_S)
        start_ns = self._start(command, seats)
        self._keep_time(start_ns, command)
        self._released.wait(0 if self._aborted.is_set() else _RELEASE_BOUND_S)
        for seat in seats:
            self._send(messages.RELEASE, seat)
        # The drain, the users' end, and a link that comes back.
        self._wait(seats, lambda seat: seat.whole, command["drain_s"] + 2 * messages.LOST_AFTER_S)
        return self._sum_up(seats, living)

    def _compare_clocks(self, seats: list[Seat]) -> None:
        for _ in range(_ROUND_TRIPS):
            self._pongs = {seat.client_id: 0 for seat in seats}
            for seat in seats:
                self._send(messages.PING, seat, sent_ns=time.time_ns())
            deadline = time.monotonic() + _ROUND_TRIP_BOUND_S
            while self._pongs and time.monotonic() < deadline:
                gevent.sleep(_POLL_S / 4)

    def _start(self, command: Message, seats: list[Seat]) -> int:
        """Agree on the instant; returns it on CLOCK_MONOTONIC here, in ns."""
        slowest_ns = max((seat.clock.round_trip_ns or 0 for seat in seats), default=0)
        lead_ns = int(_LEAD_S * _SECOND_NS) + 4 * slowest_ns
        realtime_ns, monotonic_ns = time.time_ns() + lead_ns, time.monotonic_ns() + lead_ns
        names = [load["name"] for load in command["loads"]]
        self._merged = Merged(names, realtime_ns)
        self._start_realtime_ns = realtime_ns
        for seat in seats:
            there_ns = realtime_ns + seat.clock.offset_ns
            self._send(messages.START, seat, start_realtime_ns=there_ns)
        return monotonic_ns

    def _keep_time(self, start_ns: int, command: Message) -> None:
        """Tell the harness of the window's edges and seconds, at the instants agreed on."""
        open_ns = start_ns + int(command["warmup_s"] * _SECOND_NS)
        close_ns = open_ns + int(command["measured_s"] * _SECOND_NS)
        with Timer() as timer:
            self._sleep_until(timer, open_ns)
            self._tell("window-opened")
            due = open_ns + _SECOND_NS
            while due < close_ns and not self._aborted.is_set():
                self._sleep_until(timer, due)
                self._tell("second")
                due += _SECOND_NS
            self._sleep_until(timer, close_ns)
            self._tell("window-closed")

    def _sleep_until(self, timer: Timer, due_ns: int) -> None:
        slice_ns = _SECOND_NS // 10
        while not self._aborted.is_set() and (now := time.monotonic_ns()) < due_ns:
            timer.sleep_until(min(due_ns, now + slice_ns))
            if not self._live():
                raise _Broken("lost", self._obituary())
        if self._aborted.is_set():
            for seat in self._live():
                self._send(messages.ABORT, seat)

    def _wait(self, seats: list[Seat], done: Callable[[Seat], bool], bound_s: float) -> None:
        """Until each worker has done something, is lost, or the bound is over: then it is lost.

        Raises what a worker raised, where that was not an answer's fault, and where
        all are lost.
        """
        deadline = time.monotonic() + bound_s
        told = False
        while True:
            self._live()
            for seat in seats:
                if seat.failed is not None:
                    raise _Broken("failed", f"worker {seat.name}: {seat.failed}")
            if self._aborted.is_set() and not told:
                told = True
                for seat in seats:
                    self._send(messages.ABORT, seat)
            late = [seat for seat in seats if seat.gone is None and not done(seat)]
            if not late:
                break
            if time.monotonic() > deadline:
                for seat in late:
                    seat.gone = f"it did not answer within {bound_s:.0f} s"
                break
            gevent.sleep(_POLL_S)
        if all(seat.gone is not None and not seat.whole for seat in seats):
            raise _Broken("lost", self._obituary())

    def _obituary(self) -> str:
        gone = [f"worker {seat.name}: {seat.gone}" for seat in self._seats.values() if seat.gone]
        return f"every worker is lost; {'; '.join(gone)}"

    def _sum_up(self, seats: list[Seat], living: list[Seat]) -> dict[str, Any]:
        assert self._merged is not None
        rows = [worker_row(seat, self._start_realtime_ns) for seat in living]
        report = self._merged.to_json()
        here = [s.told["report"] for s in seats if s.whole and s.told and s.clock.same_kernel]
        utilisations = [row["cpu_utilisation"] for row in rows]
        lags = [row["lag_p99_ms"] for row in rows]
        return {
            **report,
            # CPU time of this machine, to tell it from that of strangers.
            "cpu_s": sum(told["cpu_s"] for told in here),
            "busiest_cpu": max((u for u in utilisations if u is not None), default=None),
            "worst_lag_p99_ms": max((lag for lag in lags if lag is not None), default=None),
            "one_clock": all(seat.clock.same_kernel for seat in seats),
            "workers": rows,
        }

    # Messages of the workers.

    def _of(self, msg: Any) -> Seat | None:
        """The seat that a message about the load under way came from."""
        seat = self._seats.get(msg.node_id)
        if seat is None or not self._busy or msg.data["number"] != self._number:
            return None
        seat.hear()
        return seat

    def _pong(self, msg: Any, **_: Any) -> None:
        back_ns = time.time_ns()
        seat = self._of(msg)
        if seat is not None:
            seat.clock.add(msg.data["sent_ns"], msg.data["there_ns"], back_ns)
            self._pongs.pop(msg.node_id, None)

    def _arrive(self, msg: Any, **_: Any) -> None:
        seat = self._of(msg)
        if seat is not None:
            seat.arrived = True

    def _fail(self, msg: Any, **_: Any) -> None:
        seat = self._of(msg)
        if seat is not None:
            seat.failed = msg.data["error"]

    def _report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        """One of Locust's reports; of interest is what our worker has attached to it."""
        told, seat = data.get(messages.ATTACHMENT), self._seats.get(client_id)
        if told is None or seat is None:
            return
        seat.hear()
        if told["report"] is not None:
            # Also for a load that is over: the worker repeats it until it is told.
            self._runner.send_message(messages.RECEIVED, {"number": told["number"]}, client_id)
        if not self._busy or told["number"] != self._number or seat.whole or seat.gone is not None:
            return
        seat.told = told
        if told["report"] is not None and self._merged is not None:
            self._merged.add(told["report"], seat.name, seat.clock.offset_ns)
            seat.report_bytes = len(_Envelope("stats", data, client_id).serialize())
            seat.whole = True

    def _send(self, name: str, seat: Seat, **values: Any) -> None:
        self._runner.send_message(name, {"number": self._number, **values}, seat.client_id)


class _Broken(Exception):
    """A load that cannot be carried out. event: what the harness is told."""

    def __init__(self, event: str, why: str) -> None:
        super().__init__(why)
        self.event = event


def main() -> None:
    """Serve commands until the harness closes the pipe; then tell the workers to go."""
    parser = argparse.ArgumentParser(prog="python -m loopbench.loadtests.distributed.master")
    parser.add_argument("--parent", type=int, help="the pid of the harness to die with")
    parser.add_argument("--bind", required=True)
    parser.add_argument("--workers", type=int, required=True)
    chosen = parser.parse_args()
    if chosen.parent is not None:
        die_with_parent(chosen.parent)
    station = Station()
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    logging.getLogger("locust").setLevel(logging.CRITICAL)
    allow_many_files()
    host, port = parse_address(chosen.bind)
    environment = Environment(user_classes=[], catch_exceptions=False)
    try:
        runner = environment.create_master_runner(host, port)
    except (RPCError, SystemExit) as error:  # Locust ends the process where the port is taken
        why = "the port is taken" if isinstance(error, SystemExit) else str(error)
        print(f"cannot listen for workers at {chosen.bind}: {why}", file=sys.stderr, flush=True)
        os._exit(1)
    master = Master(station, environment, runner, chosen.workers)
    station.send(
        {
            "event": "ready",
            "pid": os.getpid(),
            "locust": locust.__version__,
            "port": runner.server.port,
        }
    )
    obey(station, master.handlers)
    for client in list(runner.clients.all):
        runner.send_message("quit", None, client.id)
    gevent.sleep(0.1)  # for the words to leave: the workers of other machines end at them
    os._exit(0)


if __name__ == "__main__":
    main()
