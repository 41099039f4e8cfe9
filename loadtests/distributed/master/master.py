"""What the master does with the messages of the harness and of the workers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import gevent
from locust.env import Environment
from locust.rpc import protocol

from loopbench.loadtests.distributed.master.peers import Peer, Stage
from loopbench.loadtests.distributed.master.roster import Refused, Roster
from loopbench.loadtests.distributed.master.shared_load import LoadBroken, SharedLoad
from loopbench.loadtests.generator.commands import Handlers, pin, send_event
from loopbench.loadtests.messages import generator as harness
from loopbench.loadtests.messages import workers
from loopbench.servers.supervision.control_pipe import Station
from loopbench.servers.supervision.messages import Json, MessageError, from_json, to_json

_Envelope: Any = protocol.Message  # which has no types
_POLL_S = 0.01
_LOOK_S = 0.5

L = TypeVar("L", bound=workers.AboutLoad)


class Master:
    """The workers that are there, and the load under way, if there is one."""

    def __init__(self, station: Station, environment: Environment, runner: Any, wanted: int):
        self._send_event = partial(send_event, station)
        self._runner = runner
        self._refusals = runner.refusals
        self._roster = Roster(runner, wanted)
        self._load: SharedLoad | None = None
        self._number = 0
        self.handlers: Handlers = {
            harness.Pin: partial(pin, station),
            harness.Gather: self._gather,
            harness.OfferLoad: self._begin_load,
            harness.Abort: self._abort,
            harness.Release: self._release,
            harness.WorkerEnded: self._worker_ended,
        }
        listeners: dict[type[object], Callable[..., None]] = {
            workers.Hello: self._join,
            workers.Pong: self._pong,
            workers.Connected: self._connected,
            workers.ShareFailed: self._failed,
        }
        for kind, listener in listeners.items():
            runner.register_message(workers.message_type(kind), listener)
        events: Any = environment.events  # of Locust's, which have no types
        events.worker_report.add_listener(self._report)
        events.heartbeat_sent.add_listener(self._heartbeat)
        gevent.spawn(self._keep_looking)

    def _keep_looking(self) -> None:
        while True:
            self._roster.look()
            gevent.sleep(_LOOK_S)

    # Commands of the harness.

    def _gather(self, command: harness.Gather) -> None:
        gevent.spawn(self._wait_for_all, command.bound_s)

    def _wait_for_all(self, bound_s: float) -> None:
        deadline = time.monotonic() + bound_s
        while len(self._roster.living()) < self._roster.wanted and time.monotonic() < deadline:
            gevent.sleep(_POLL_S)
        there = tuple(
            harness.GatheredWorker(peer.number, peer.name, peer.hello.pid, peer.hello.host)
            for peer in self._roster.living()
        )
        self._send_event(harness.Gathered(there, tuple(self._roster.lost())))

    def _begin_load(self, command: harness.OfferLoad) -> None:
        if self._load is not None:
            self._send_event(harness.Failed("a load is under way already"))
            return
        self._number += 1
        self._load = SharedLoad(
            self._number, command.spec, self._roster, self._send_worker, self._send_event
        )
        gevent.spawn(self._run, self._load)

    def _run(self, load: SharedLoad) -> None:
        try:
            report = load.carry_out()
            self._send_event(harness.Finished(report))
        except LoadBroken as error:
            self._send_event(error.event)
        except Exception as error:  # reported to the harness, which raises it there
            logging.getLogger(__name__).exception("the load failed")
            self._send_event(harness.Failed(f"{type(error).__name__}: {error}"))
        finally:
            self._load = None

    def _abort(self, _: harness.Abort) -> None:
        if self._load is not None:
            self._load.abort()

    def _release(self, _: harness.Release) -> None:
        if self._load is not None:
            self._load.release()

    def _worker_ended(self, command: harness.WorkerEnded) -> None:
        self._roster.note_process_end(command.pid, command.how)

    # Messages of the workers.

    def _join(self, msg: Any, **_: Any) -> None:
        try:
            hello = from_json(workers.Hello, msg.data)
        except MessageError as error:
            why = f"it runs another version of the suite: {error}"
            self._send(msg.node_id, workers.Refused(why))
            self._refusals.add(f"a worker at {msg.node_id[:40]}", why)
            return
        try:
            peer = self._roster.join(msg.node_id, hello)
        except Refused as refused:
            self._send(msg.node_id, workers.Refused(str(refused), refused.for_now))
            self._refusals.add(f"a worker on {hello.host.host}", str(refused))
            return
        there, wanted = len(self._roster.living()), self._roster.wanted
        self._send_event(harness.Joined(peer.name, there, wanted))

    def send_refused(self, who: str, why: str) -> None:
        """Have the harness say whom the connection has refused."""
        self._send_event(harness.RefusedWorker(who, why))

    def _heartbeat(self, client_id: str, **_: Any) -> None:
        peer = self._roster.get(client_id)
        if peer is not None:
            peer.note_message()
            if peer.gone is not None and self._load is None:
                peer.gone = None  # the link is back

    def _of(self, kind: type[L], msg: Any) -> tuple[SharedLoad, Peer, L] | None:
        """The load under way, the worker, and its message, where that is about this load."""
        load, peer = self._load, self._roster.get(msg.node_id)
        if load is None or peer is None:
            return None
        peer.note_message()
        try:
            message = from_json(kind, msg.data)
        except MessageError as error:
            peer.failed = f"it sent what cannot be understood: {error}"
            return None
        return (load, peer, message) if message.number == load.number else None

    def _pong(self, msg: Any, **_: Any) -> None:
        back_ns = time.time_ns()
        if (of := self._of(workers.Pong, msg)) is not None:
            load, peer, pong = of
            load.pong(peer, pong, back_ns)

    def _connected(self, msg: Any, **_: Any) -> None:
        if (of := self._of(workers.Connected, msg)) is not None:
            peer = of[1]
            peer.stage = max(peer.stage, Stage.CONNECTED)

    def _failed(self, msg: Any, **_: Any) -> None:
        if (of := self._of(workers.ShareFailed, msg)) is not None:
            peer, failed = of[1:]
            peer.failed = failed.error

    def _report(self, client_id: str, data: Json, **_: Any) -> None:
        """One of Locust's reports; of interest is what our worker has attached to it."""
        attached, peer = data.get(workers.ATTACHMENT), self._roster.get(client_id)
        if attached is None or peer is None:
            return
        peer.note_message()
        try:
            progress = from_json(workers.Progress, attached)
        except MessageError as error:
            peer.failed = f"it sent what cannot be understood: {error}"
            return
        final = progress.report is not None
        if final:
            # Also for a load that is over: the worker repeats it until it has this answer.
            self._send(client_id, workers.Received(progress.number))
        if self._load is not None and progress.number == self._load.number:
            size = len(_Envelope("stats", data, client_id).serialize()) if final else 0
            self._load.progress(peer, progress, size)

    def _send_worker(self, peer: Peer, message: workers.AboutLoad) -> None:
        self._send(peer.client_id, message)

    def _send(self, client_id: str, message: object) -> None:
        self._runner.send_message(workers.message_type(type(message)), to_json(message), client_id)
