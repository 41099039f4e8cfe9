"""What the master does with the messages of the harness and of the workers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
from locust.env import Environment
from locust.rpc import protocol

from loopbench.loadtests.distributed import messages
from loopbench.loadtests.distributed.master.peers import Peer, Stage
from loopbench.loadtests.distributed.master.roster import Refused, Roster
from loopbench.loadtests.distributed.master.shared_load import LoadBroken, SharedLoad
from loopbench.loadtests.generator.commands import Handlers, pin, send_event
from loopbench.servers.supervision.control_pipe import Message, Station

_Envelope: Any = protocol.Message  # which has no types
_POLL_S = 0.01


class Master:
    """The workers that are there, and the load under way, if there is one."""

    def __init__(self, station: Station, environment: Environment, runner: Any, wanted: int):
        self._send_event = partial(send_event, station)
        self._runner = runner
        self._roster = Roster(runner, wanted)
        self._load: SharedLoad | None = None
        self._number = 0
        self.handlers: Handlers = {
            "pin": partial(pin, station),
            "gather": self._gather,
            "load": self._begin_load,
            "abort": self._abort,
            "release": self._release,
            "worker-ended": self._worker_ended,
        }
        listeners: dict[str, Callable[..., None]] = {
            messages.HELLO: self._join,
            messages.PONG: self._pong,
            messages.ARRIVED: self._arrived,
            messages.FAILED: self._failed,
        }
        for name, listener in listeners.items():
            runner.register_message(name, listener)
        events: Any = environment.events  # of Locust's, which have no types
        events.worker_report.add_listener(self._report)
        events.heartbeat_sent.add_listener(self._heartbeat)

    # Commands of the harness.

    def _gather(self, message: Message) -> None:
        gevent.spawn(self._wait_for_all, message["bound_s"])

    def _wait_for_all(self, bound_s: float) -> None:
        deadline = time.monotonic() + bound_s
        while len(self._roster.living()) < self._roster.wanted and time.monotonic() < deadline:
            gevent.sleep(_POLL_S)
        living = self._roster.living()
        self._send_event(
            "gathered",
            workers=[{"number": peer.number, "name": peer.name, **peer.hello} for peer in living],
            gone=self._roster.lost(),
        )

    def _begin_load(self, message: Message) -> None:
        if self._load is not None:
            self._send_event("failed", error="a load is under way already")
            return
        self._number += 1
        self._load = SharedLoad(
            self._number, message, self._roster, self._send_worker, self._send_event
        )
        gevent.spawn(self._run, self._load)

    def _run(self, load: SharedLoad) -> None:
        try:
            report = load.carry_out()
            self._send_event("finished", report=report)
        except LoadBroken as error:
            self._send_event(error.event, error=str(error))
        except Exception as error:  # reported to the harness, which raises it there
            logging.getLogger(__name__).exception("the load failed")
            self._send_event("failed", error=f"{type(error).__name__}: {error}")
        finally:
            self._load = None

    def _abort(self, _: Message) -> None:
        if self._load is not None:
            self._load.abort()

    def _release(self, _: Message) -> None:
        if self._load is not None:
            self._load.release()

    def _worker_ended(self, message: Message) -> None:
        self._roster.note_process_end(message["pid"], message["how"])

    # Messages of the workers.

    def _join(self, msg: Any, **_: Any) -> None:
        hello = msg.data
        try:
            peer = self._roster.join(msg.node_id, hello)
        except Refused as refused:
            why = str(refused)
            self._runner.send_message(messages.REFUSED, {"why": why}, msg.node_id)
            self._send_event("refused", host=hello["host"], pid=hello["pid"], why=why)
            return
        there, wanted = len(self._roster.living()), self._roster.wanted
        self._send_event("joined", worker=peer.name, workers=there, wanted=wanted)

    def _heartbeat(self, client_id: str, **_: Any) -> None:
        peer = self._roster.get(client_id)
        if peer is not None:
            peer.note_message()
            if peer.gone is not None and self._load is None:
                peer.gone = None  # the link is back

    def _sender(self, msg: Any) -> tuple[SharedLoad, Peer] | None:
        """The load under way and the worker, where a message is about that load."""
        load, peer = self._load, self._roster.get(msg.node_id)
        if load is None or peer is None or msg.data["number"] != load.number:
            return None
        peer.note_message()
        return load, peer

    def _pong(self, msg: Any, **_: Any) -> None:
        back_ns = time.time_ns()
        if (sender := self._sender(msg)) is not None:
            load, peer = sender
            load.pong(peer, msg.data["sent_ns"], msg.data["there_ns"], back_ns)

    def _arrived(self, msg: Any, **_: Any) -> None:
        if (sender := self._sender(msg)) is not None:
            sender[1].stage = max(sender[1].stage, Stage.CONNECTED)

    def _failed(self, msg: Any, **_: Any) -> None:
        if (sender := self._sender(msg)) is not None:
            sender[1].failed = msg.data["error"]

    def _report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        """One of Locust's reports; of interest is what our worker has attached to it."""
        attached, peer = data.get(messages.ATTACHMENT), self._roster.get(client_id)
        if attached is None or peer is None:
            return
        peer.note_message()
        final = attached["report"] is not None
        if final:
            # Also for a load that is over: the worker repeats it until it has this answer.
            received = {"number": attached["number"]}
            self._runner.send_message(messages.RECEIVED, received, client_id)
        if self._load is not None and attached["number"] == self._load.number:
            size = len(_Envelope("stats", data, client_id).serialize()) if final else 0
            self._load.progress(peer, attached, size)

    def _send_worker(self, name: str, peer: Peer, number: int, **values: Any) -> None:
        self._runner.send_message(name, {"number": number, **values}, peer.client_id)
