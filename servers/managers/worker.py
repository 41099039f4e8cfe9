"""Inside a worker of a server's own manager: it reports to the harness, and is read by it.

A worker is started by its server, in whatever way that has; an environment variable tells it
where to report. It opens a control channel of its own, answers what `servers.lifecycle.child_main`
answers, and is stopped by its manager. The end of its channel means that the harness is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any

from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.lifecycle import runner
from loopbench.servers.lifecycle.child_main import watched
from loopbench.servers.lifecycle.commands import (
    Handlers,
    SharedStation,
    answering,
    obey_in_thread,
    telling_facts,
)
from loopbench.servers.lifecycle.messages import EVENTS, Config, Failed, Read, WorkerListening
from loopbench.servers.managers import table
from loopbench.servers.stacks import Stack
from loopbench.servers.starting import make_application, prepare
from loopbench.servers.supervision import os_stats
from loopbench.servers.supervision.messages import from_json, to_json

_VARIABLE = "LOOPBENCH_WORKER"


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a manager hands to its workers in an environment variable.

    control_socket: the path of the Unix socket on which the worker reports to the harness.
    child: see `servers.managers.manager_main`.
    """

    control_socket: str
    child: Config

    def export(self) -> None:
        """Put them into the environment of every process that this one starts."""
        os.environ[_VARIABLE] = json.dumps(to_json(self))

    @classmethod
    def from_environment(cls) -> WorkerOptions:
        """The options that this process's manager exported. Raises KeyError where it has none."""
        return from_json(cls, json.loads(os.environ[_VARIABLE]))


class Worker:
    """This process, as the harness has it. Made by `this`, before the loop and the application.

    stack: the row as it is under the manager. watching: the Probe that is on, if any.
    """

    def __init__(self, options: WorkerOptions) -> None:
        # A manager that is killed takes its workers with it, where the system can see to that.
        os_stats.die_with_parent(os.getppid())
        os_stats.allow_many_files()
        config = options.child
        stack, self.settings = config.wanted()
        self.stack: Stack = table.managed(stack)
        self._station = _connect(options.control_socket)
        self._held = ExitStack()
        prepare(stack)
        self.watching, observations = self._held.enter_context(watched(self.settings))
        self._handlers: Handlers = {
            **answering(Read, lambda _: os_stats.read()),
            **observations,
        }
        commands = self._station.commands()
        obey_in_thread(self._station, commands, self._handlers, terminate, config.stop_timeout_s)

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the stack names, with what a Probe needs of it."""
        return runner.LOOPS[self.stack.loop](self.watching)

    def make_loops(self) -> None:
        """Have asyncio make such loops, for a server that takes no factory; uvloop needs no
        preparation, and has a way of its own in each server."""
        if self.watching is not None and self.stack.loop == "asyncio":
            asyncio.set_event_loop_policy(_Policy(self.new_loop))

    async def application(self) -> Any:
        """The stack's application, made in this loop. Raises what making it raises."""
        return await make_application(self.stack, self.settings)

    def begin(self) -> None:
        """On the loop that is to serve, before the application's start-up: its executor, its
        watch."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(runner.executor(self.settings.executor_threads, self.watching))
        if self.watching is not None:
            self._held.enter_context(self.watching.attached(loop))

    def listening(self, in_force: Callable[[], InForce]) -> None:
        """On the loop, once the application has started: report."""
        self._handlers.update(telling_facts(self.stack, in_force, self.settings))
        self._station.send(EVENTS.to_json(WorkerListening(os.getpid())))

    def failed(self, error: BaseException) -> None:
        """Report why there will be no server."""
        traceback.print_exception(error, file=sys.stderr)
        self._station.send(EVENTS.to_json(Failed.of(error)))

    def end(self) -> None:
        """On the loop, when the application has ended: nothing is watched any more."""
        self._held.close()


class _Policy(asyncio.DefaultEventLoopPolicy):
    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        super().__init__()
        self._new_loop = new_loop

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return self._new_loop()


@cache
def this() -> Worker:
    """This process as a Worker; the first call connects it to the harness."""
    return Worker(WorkerOptions.from_environment())


def _connect(control_socket: str) -> SharedStation:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(control_socket)
        writer = os.dup(line.fileno())
        return SharedStation((line.detach(), writer))


def terminate() -> None:
    """Ask this process to stop as its server does by itself."""
    os.kill(os.getpid(), signal.SIGTERM)
