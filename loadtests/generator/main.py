"""The Locust process that the harness commands: `python -m loopbench.loadtests.generator.main`.

One long-lived process runs many loads, one after another. Commands are JSON
lines on standard input, events on standard output. The command `stop` ends
it, and so does end of file, which means that the harness is gone.
"""

from __future__ import annotations

from loopbench.loadtests.generator.first import locust  # isort: skip  (it patches others)

import faulthandler
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import gevent
from locust.env import Environment

from loopbench.loadtests.generator.block import Block
from loopbench.loadtests.generator.clients.kept import KeptConnections
from loopbench.loadtests.generator.commands import (
    Handlers,
    failures_sent,
    pin,
    send_event,
    serve_commands,
)
from loopbench.loadtests.generator.session import Session
from loopbench.loadtests.generator.users.slices import user_classes as block_users
from loopbench.loadtests.generator.users.table import runner as runner_of
from loopbench.loadtests.messages import generator as messages
from loopbench.servers.supervision.control_pipe import Station
from loopbench.servers.supervision.os_stats import allow_many_files, die_with_parent

C = TypeVar("C", bound=messages.GeneratorCommand)


class Generator:
    """Carries out commands; at most one load at a time."""

    def __init__(self, station: Station) -> None:
        self._send_event = partial(send_event, station)
        self._session: Session | None = None
        self._block: Block | None = None
        self._runner: Any = None
        self._kept = KeptConnections()
        self.handlers: Handlers = {
            messages.Pin: partial(pin, station),
            messages.OfferLoad: self._load,
            messages.Abort: self._abort,
            messages.Release: self._release,
            messages.OpenBlock: self._open_block,
            messages.Visit: partial(gevent.spawn, self._guarded, self._slice),
            messages.CloseBlock: partial(gevent.spawn, self._guarded, self._end_block),
        }

    def _release(self, _: messages.Release) -> None:
        if self._session is not None:
            self._session.release()

    def _abort(self, _: messages.Abort) -> None:
        if self._session is not None:
            self._session.abort()

    def _load(self, command: messages.OfferLoad) -> None:
        if self._session is not None:
            self._send_event(messages.Failed("a load is under way already"))
            return
        with failures_sent(self._send_event, "what was asked for"):
            self._session = Session(command.spec, self._send_event, kept=self._kept)
            gevent.spawn(self._run, self._session)

    def _open_block(self, command: messages.OpenBlock) -> None:
        if self._session is not None or self._block is not None:
            self._send_event(messages.Failed("a load is under way already"))
            return
        gevent.spawn(self._guarded, self._begin_block, command)

    def _begin_block(self, command: messages.OpenBlock) -> None:
        self._block = block = Block(command.spec)
        slices = Environment(user_classes=block_users(block), catch_exceptions=False)
        self._runner = slices.create_local_runner()
        count = sum(lane.run.users for lane in block.lanes.values())
        self._runner.start(count, spawn_rate=count)
        block.open()
        self._send_event(messages.BlockOpened())

    def _slice(self, command: messages.Visit) -> None:
        if self._block is None:
            self._send_event(messages.Failed("there is no Block under way"))
            return
        result = self._block.slice(command.target, command.seconds, command.phase)
        self._send_event(messages.Visited(result))

    def _end_block(self, _: messages.CloseBlock) -> None:
        block, runner, self._block, self._runner = self._block, self._runner, None, None
        reports = {} if block is None else block.close()
        if runner is not None:
            runner.quit()
        self._send_event(messages.BlockClosed(reports))

    def _guarded(self, step: Callable[[C], None], command: C) -> None:
        """Carry out a step of a Block; what is wrong with it is the harness's to raise."""
        with failures_sent(self._send_event, "the Block"):
            step(command)

    def _run(self, session: Session) -> None:
        try:
            with failures_sent(self._send_event, "the load"):
                runner = runner_of(session)
                count = sum(run.users for run in session.runs)
                try:
                    runner.start(count, spawn_rate=count)
                    report = session.run()
                finally:
                    runner.quit()
                self._send_event(messages.Finished(report))
        finally:
            self._session = None


def main() -> None:
    """Serve commands until the harness closes the pipe.

    Argument: the pid of the harness to die with, where that can be had.
    """
    faulthandler.enable()
    if len(sys.argv) > 1:
        die_with_parent(int(sys.argv[1]))
    station = Station()
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    logging.getLogger("locust").setLevel(logging.ERROR)
    allow_many_files()
    generator = Generator(station)
    send_event(station, messages.Ready(os.getpid(), locust.__version__, None))
    serve_commands(station, generator.handlers)
    # The harness has done with it, or is gone: nothing that is under way matters any more.
    os._exit(0)


if __name__ == "__main__":
    main()
