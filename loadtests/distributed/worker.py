"""A Locust worker that offers its share of each load: `python -m loadtests worker`.

It joins the master over Locust's own connection, gets its share of a load in a message,
begins at the instant agreed on, and attaches its report to Locust's reports to the master
until the master has it. It ends with the master, or when no message of it comes any more.
"""

from __future__ import annotations

import loopbench.loadtests.generator.first  # noqa: F401 isort: skip  (it patches others)

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
from gevent.event import AsyncResult, Event
from gevent.socket import wait_read
from locust.env import Environment
from locust.exception import RPCError
from locust.runners import WorkerRunner

from loopbench.loadtests.distributed.connection import (
    HandshakeFailure,
    is_other_mechanism,
    join_with,
)
from loopbench.loadtests.distributed.keys import read_key
from loopbench.loadtests.distributed.packed_report import pack_report
from loopbench.loadtests.generator.session import Session
from loopbench.loadtests.generator.users.table import user_classes
from loopbench.loadtests.hosts.address import parse_address
from loopbench.loadtests.hosts.host_info import host_info
from loopbench.loadtests.messages import workers as messages
from loopbench.loadtests.messages.reports import PackedReport
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.servers.supervision.messages import Json, from_json, to_json
from loopbench.servers.supervision.os_stats import allow_many_files, die_with_parent, pin

_START_BOUND_S = 60.0
_LOOK_S = 1.0


@dataclass(slots=True)
class _Task:
    """The load under way. begin: the agreed start, CLOCK_REALTIME of this machine, in ns."""

    number: int
    session: Session | None = None
    begin: AsyncResult[int] = field(default_factory=AsyncResult)
    report: PackedReport | None = None


class Worker:
    """What this process does with the master's messages; at most one load at a time."""

    def __init__(self, environment: Environment, runner: WorkerRunner, patience_s: float) -> None:
        self._environment = environment
        self._runner = runner
        self._patience_s = patience_s
        self._task: _Task | None = None
        self._last_heartbeat = self._last_look = time.monotonic()
        self._refused_since: float | None = None
        self.ended: AsyncResult[str | None] = AsyncResult()
        handlers: dict[type[object], Callable[[Any], None]] = {
            messages.Ping: self._ping,
            messages.OfferShare: self._load,
            messages.Start: self._start,
            messages.AbortShare: self._abort,
            messages.ReleaseShare: self._release,
            messages.Received: self._received,
            messages.Refused: self._refused,
        }
        for kind, handler in handlers.items():
            runner.register_message(messages.message_type(kind), _taking(kind, handler))
        events: Any = environment.events  # of Locust's, which have no types
        events.report_to_master.add_listener(self._attach)
        events.heartbeat_received.add_listener(self._note_heartbeat)
        self._events = events

    def run(self) -> str | None:
        """Take part until the master ends it. Returns why it must be called a failure, if so."""
        self._introduce()
        gevent.spawn(self._watch)
        gevent.spawn(self._wait_for_quit)
        return self.ended.get()

    def _introduce(self) -> None:
        self._send(messages.Hello(host_info(), os.getpid()))

    def _send(self, message: object) -> None:
        self._runner.send_message(messages.message_type(type(message)), to_json(message))

    def _wait_for_quit(self) -> None:
        """Locust's `quit` ends all greenlets of the runner."""
        self._runner.greenlet.join()
        self._end(None)

    def _end(self, why: str | None) -> None:
        if not self.ended.ready():
            self.ended.set(why)

    def leave(self) -> None:
        """Send the master Locust's message that this worker leaves."""
        self._events.quitting.fire(environment=self._environment, reverse=True)
        gevent.sleep(0.1)  # for the message to leave

    def _note_heartbeat(self, **_: Any) -> None:
        self._last_heartbeat = time.monotonic()

    def _watch(self) -> None:
        while True:
            gevent.sleep(_LOOK_S)
            now = time.monotonic()
            if now - self._last_look > messages.STOOD_STILL_S:
                self._last_heartbeat += now - self._last_look
            self._last_look = now
            silent_s = now - self._last_heartbeat
            if silent_s > self._patience_s:
                self._end(f"nothing was heard of the master for {silent_s:.0f} s")

    # Messages of the master.

    def _ping(self, ping: messages.Ping) -> None:
        self._send(messages.Pong(ping.number, ping.sent_ns, time.time_ns()))

    def _refused(self, refused: messages.Refused) -> None:
        """One that comes in the place of another may be there before that one is known as lost."""
        now = time.monotonic()
        self._refused_since = since = self._refused_since or now
        if refused.for_now and now - since < self._patience_s:
            gevent.spawn_later(_LOOK_S, self._introduce)
        else:
            self._end(f"the master refused this worker: {refused.why}")

    def _load(self, offer: messages.OfferShare) -> None:
        task = _Task(offer.number)
        if self._task is not None and self._task.report is None:
            self._fail(task, "another load is under way already")
            return
        self._task = task
        gevent.spawn(self._run, task, offer.spec)

    def _start(self, start: messages.Start) -> None:
        task = self._of(start)
        if task is not None:
            task.begin.set(start.start_realtime_ns)

    def _abort(self, abort: messages.AbortShare) -> None:
        task = self._of(abort)
        if task is not None and task.session is not None:
            task.session.abort()
            if not task.begin.ready():
                task.begin.set(time.time_ns())

    def _release(self, release: messages.ReleaseShare) -> None:
        task = self._of(release)
        if task is not None and task.session is not None:
            task.session.release()

    def _received(self, received: messages.Received) -> None:
        if self._of(received) is not None:
            self._task = None

    def _of(self, message: messages.AboutLoad) -> _Task | None:
        """The task that a message is about; None where that is over."""
        task = self._task
        return task if task is not None and task.number == message.number else None

    # The load.

    def _run(self, task: _Task, spec: SessionSpec) -> None:
        runner = self._runner
        try:
            task.session = session = Session(spec, lambda _: None, lambda: self._begin(task))
            classes = user_classes(session)
            self._environment.user_classes = classes
            try:
                runner.start_worker({each.__name__: each.fixed_count for each in classes})
                report = session.run()
            finally:
                runner.stop()
                runner.worker_state = "ready"
        except Exception as error:  # reported to the master, which raises it there
            logging.getLogger(__name__).exception("the load failed")
            self._fail(task, f"{type(error).__name__}: {error}")
            return
        task.report = pack_report(report)
        self._report()

    def _begin(self, task: _Task) -> int:
        """Say that all users have connected; the agreed start on CLOCK_MONOTONIC, in ns."""
        self._send(messages.Connected(task.number))
        start_realtime_ns = task.begin.get(timeout=_START_BOUND_S)
        assert start_realtime_ns is not None
        return time.monotonic_ns() + start_realtime_ns - time.time_ns()

    def _fail(self, task: _Task, error: str) -> None:
        self._task = None if self._task is task else self._task
        self._send(messages.ShareFailed(task.number, error))

    def _report(self) -> None:
        """Send one of Locust's reports now, instead of at the end of its interval."""
        data: Json = {}
        self._events.report_to_master.fire(client_id=self._runner.client_id, data=data)
        self._runner.send_message("stats", data)

    def _attach(self, data: Json, **_: Any) -> None:
        """Add to a report what is known of the load: counts, and in the end everything."""
        task = self._task
        if task is None or task.session is None:
            return
        runs = task.session.runs
        progress = messages.Progress(
            task.number,
            answered=sum(run.measured.answered for run in runs),
            failures=sum(run.measured.failures.total for run in runs),
            report=task.report,
        )
        data[messages.ATTACHMENT] = to_json(progress)


def _taking(kind: type[object], handler: Callable[[Any], None]) -> Callable[..., None]:
    """A listener for Locust that hands the message on as a `kind`."""

    def listener(msg: Any, **_: Any) -> None:
        handler(from_json(kind, msg.data))

    return listener


class Handshakes:
    """The handshakes with the master that failed. refused: set to why, once that is certain.

    with_key: whether this side has a key. patience_s: how long a master may break off one
    connection after another. It does so where the keys differ, and mostly where one side has
    none: who reads the other's greeting first closes before its own is sent. A tunnel with nobody
    at its other end does the same.
    """

    def __init__(self, with_key: bool, patience_s: float) -> None:
        self._with_key = with_key
        self._patience_s = patience_s
        self._first: float | None = None
        self.refused: AsyncResult[str] = AsyncResult()

    def note(self, failure: HandshakeFailure) -> None:
        """One more."""
        now = time.monotonic()
        self._first = now if self._first is None else self._first
        if is_other_mechanism(failure):
            self._refuse("has no key, and this worker has" if self._with_key else "demands a key")
        elif now - self._first > self._patience_s:
            self._refuse("breaks off every connection")

    def _refuse(self, why: str) -> None:
        remedy = (
            "is --key-file a copy of the bench's own?"
            if self._with_key
            else "name a copy of the bench's key file with --key-file"
        )
        if not self.refused.ready():
            self.refused.set(f"{why}; {remedy}")


def _end_with_the_pipe(worker: Worker) -> None:
    """A worker that the harness started ends with its standard input."""
    try:
        wait_read(0)
    finally:
        worker._end(None)


def main(arguments: list[str] | None = None) -> int:
    """Join a master, and take part in its loads until it ends. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m loopbench.loadtests.distributed.worker")
    parser.add_argument("--master", required=True)
    parser.add_argument("--cpus", default="")
    parser.add_argument("--patience", type=float, default=messages.MASTER_LOST_AFTER_S)
    parser.add_argument("--key-file", type=Path)
    parser.add_argument("--parent", type=int, help="the pid of the harness to die with")
    parser.add_argument("--piped", action="store_true", help="end with the standard input")
    chosen = parser.parse_args(arguments)
    if chosen.parent is not None:
        die_with_parent(chosen.parent)
    host, port = parse_address(chosen.master)
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    logging.getLogger("locust").setLevel(logging.CRITICAL)
    if chosen.cpus:
        pin([int(cpu) for cpu in chosen.cpus.split(",")])
    allow_many_files()
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            gevent.signal_handler(number, stopping.set)
    if not chosen.piped:
        print(f"joining the master at {chosen.master}", file=sys.stderr, flush=True)
    environment = Environment(user_classes=[], catch_exceptions=False)
    handshakes = Handshakes(chosen.key_file is not None, chosen.patience)
    secret = None if chosen.key_file is None else read_key(chosen.key_file)
    join_with(secret, handshakes.note)
    joining = gevent.spawn(environment.create_worker_runner, host, port)
    gevent.wait([joining, stopping, handshakes.refused], count=1)  # type: ignore[type-var]
    if handshakes.refused.ready():
        return _leave(f"the master at {chosen.master} {handshakes.refused.get()}")
    if stopping.is_set():
        return _leave("interrupted before the master was reached")
    if joining.value is None:
        return _leave(f"no master at {chosen.master}: {_named(joining.exception)}")
    worker = Worker(environment, joining.value, chosen.patience)
    running = gevent.spawn(worker.run)
    if chosen.piped:
        gevent.spawn(_end_with_the_pipe, worker)
    else:
        print("joined", file=sys.stderr, flush=True)
    gevent.wait([running, stopping], count=1)  # type: ignore[type-var]
    if stopping.is_set():
        worker.leave()
        return _leave("interrupted; the master was told")
    if running.value is None:
        return 0
    worker.leave()  # a master that is there all the same is not to count on it
    return _leave(running.value)


def _named(error: BaseException | None) -> str:
    """What kept a worker from its master."""
    if isinstance(error, RPCError):
        return str(error)
    return f"it did not answer ({type(error).__name__})"


def _leave(why: str) -> int:
    print(f"worker: {why}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Greenlets of users may still hold connections, and none of them matters any more.
    os._exit(status)
