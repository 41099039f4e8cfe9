"""A Stack under its server's own manager, as people deploy it: started, read as one, stopped.

This is the harness's side; `manager_main` is the manager's side, and `worker` that of its workers.
A worker that ends is noticed at once by the end of its control channel, and for good: that its
manager starts another one does not make it a whole server again.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from loopbench.results.schema import ROOT
from loopbench.servers import stacks, starting
from loopbench.servers.lifecycle.facts import (
    Facts,
    Manager,
    StackFacts,
)
from loopbench.servers.lifecycle.messages import (
    Config,
    Read,
)
from loopbench.servers.lifecycle.process import (
    ServerProcess,
    awaiting,
    begun,
    greet,
    open_log,
    spawn,
)
from loopbench.servers.lifecycle.replicas import ServerGroup
from loopbench.servers.managers import table
from loopbench.servers.managers.messages import (
    Managing,
    Threads,
)
from loopbench.servers.managers.worker_socket import ControlSocket, LiveWorker, await_workers
from loopbench.servers.probe.readings import Moment, Observation
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.child_process import (
    Child,
    Ended,
    interrupts_deferred,
    lasting_parent,
)
from loopbench.servers.supervision.control_pipe import ControlClosed, ControlError
from loopbench.servers.supervision.merging import merged
from loopbench.servers.supervision.messages import Question, to_json
from loopbench.servers.supervision.os_stats import Reading
from loopbench.servers.supervision.scratch import scratch_folder

A = TypeVar("A")
_FACTS_BOUND_S = 10.0
POOL = "database_pool_"
"""How the names of those facts begin that are None until a route first needs a pool."""

_CLEAN_UP_S = 1.0
_LOOK_S = 0.01

_MANAGER_GONE_S = 1.0
"""How long a manager may take to be seen as ended once all of its workers are: the kernel ends
these with the thread that started them, which may be before its last thread has ended."""


@dataclass(frozen=True, slots=True)
class ManagedGroup:
    """Live workers of one manager behind one listener, read as if they were one process.

    Where a reading of one fails, that of all does. Made by `managed_processes`.

    stack: the row as it is under the manager. manager: the process above the workers.
    start_ms: spawn of the manager → the word of its last worker that the application has started.
    first_answer_ms: spawn → the first correct answer, from whichever worker.
    """

    stack: Stack
    host: str
    port: int
    start_ms: float
    first_answer_ms: float
    workers: tuple[LiveWorker, ...]
    manager: Child
    _stop_timeout_s: float
    _deaths: list[str] = field(default_factory=list)

    @property
    def pids(self) -> tuple[int, ...]:
        """The manager and its workers: the processes whose CPU time is that of the server."""
        return (self.manager.pid, *(worker.pid for worker in self.workers))

    @property
    def one_clock(self) -> bool:
        """See `ServerProcess.one_clock`: a manager is always started here."""
        return True

    @property
    def alive(self) -> bool:
        """Whether neither the manager nor any of its workers had ended before it was stopped."""
        if self.manager.ended is None:
            self._look()
        return self.manager.ended is None and not self._deaths

    @property
    def failure(self) -> str | None:
        """Which of them ended by itself; None where none did."""
        if self.manager.ended is None:
            self._look()
        return "; ".join(self._deaths) or None

    @property
    def facts(self) -> StackFacts:
        """What is in force in each of the workers, and who manages how many.

        Raises as `ServerProcess.facts` does, and ControlError for workers that differ.
        """
        facts = _once_opened(self._each(Facts(), _FACTS_BOUND_S))
        if any(other != facts[0] for other in facts):
            raise ControlError(f"the workers of {self.stack.name} are not alike: {facts}")
        return replace(facts[0], manager=Manager(table.of(self.stack).name, len(facts)))

    def read(self, timeout_s: float = 2.0) -> Reading:
        """Sums over the workers and their manager. Raises as `ServerProcess.read` does."""
        return merged([*self._each(Read(), timeout_s), self.manager.ask(Read(), timeout_s)])

    def ask(self, question: Question[A], timeout_s: float = 2.0) -> A:
        """The same to each worker; their answers merged, with the manager's own share of processes
        and threads.

        Raises as `ServerProcess.ask` does.
        """
        answer = merged(self._each(question, timeout_s))
        add = _OF_THE_MANAGER.get(type(answer))
        return answer if add is None else add(self, answer, timeout_s)

    def stop(self) -> Ended:
        """Have the manager stop as it does by itself, at SIGTERM; kill all at the bound.

        Time and exit status are the manager's. May be called again, and returns the same.
        """
        if self.manager.ended is None:
            self._look()  # afterwards nobody is alive
        return _stop(self.manager, self._stop_timeout_s)

    def _look(self) -> None:
        """Note, once, who has ended."""
        if self._deaths:
            return
        name = table.of(self.stack).name
        gone = [worker.pid for worker in self.workers if not worker.alive]
        until = time.monotonic() + _MANAGER_GONE_S
        while len(gone) == len(self.workers) and not self.manager.exited:
            if time.monotonic() > until:
                break
            time.sleep(0.001)
        if self.manager.exited:
            self._deaths.append(f"{name} ended by itself")
        self._deaths.extend(f"worker {pid} of {name} ended by itself" for pid in gone)

    def _each(self, question: Question[A], timeout_s: float) -> list[A]:
        if self.manager.ended is not None:
            raise ControlClosed("the processes have been stopped")
        return [worker.talk.ask(question, timeout_s) for worker in self.workers]


def _with_threads(group: ManagedGroup, workers: Observation, timeout_s: float) -> Observation:
    above = [
        replace(reading, thread=f"manager: {reading.thread}")
        for reading in group.manager.ask(Threads(), timeout_s).threads
    ]
    return replace(workers, threads=(*workers.threads, *above))


def _with_process(group: ManagedGroup, workers: Moment, timeout_s: float) -> Moment:
    both = merged([workers.process, group.manager.ask(Read(), timeout_s)])
    return replace(workers, process=replace(both, monotonic_ns=workers.process.monotonic_ns))


_OF_THE_MANAGER: dict[type[object], Callable[[ManagedGroup, Any, float], Any]] = {
    Observation: _with_threads,
    Moment: _with_process,
}
"""What the manager's process adds to an answer of its workers."""

Served = ServerProcess | ServerGroup | ManagedGroup
"""What can be loaded: one process, several, or several under a manager."""


@contextmanager
def managed_processes(
    name: str | Stack,
    count: int,
    *,
    settings: Settings,
    host: str = "127.0.0.1",
    cpus: frozenset[int] | None = None,
    log: Path | None = None,
    ready_timeout_s: float | None = None,
    stop_timeout_s: float = 10.0,
) -> Iterator[ManagedGroup]:
    """Run stack `name` as `count` workers of its server's own manager; stop it in the end.

    cpus, log, ready_timeout_s, stop_timeout_s: as for `server_process`.

    Raises UnknownStack, PortInUse, or StartupFailed with the cause.
    """
    stack = stacks.find(name)
    ready_timeout_s = ready_timeout_s or starting.ready_s(stack)
    row = table.managed(stack)
    config = Config.of(stack, host, 0, settings, cpus, lasting_parent(), stop_timeout_s)
    with ExitStack() as cleanup:
        stderr = cleanup.enter_context(open_log(log))
        control_socket = cleanup.enter_context(ControlSocket())
        temporary = cleanup.enter_context(scratch_folder())
        spawned = time.perf_counter()
        with interrupts_deferred():
            command = (sys.executable, "-m", "loopbench.servers.managers.manager_main")
            manager = spawn(stack, command, ROOT, stderr, temporary)
            cleanup.callback(_stop, manager, stop_timeout_s)
        deadline = time.monotonic() + ready_timeout_s
        with awaiting(manager, stack, ready_timeout_s, stop_timeout_s):
            with suppress(ControlClosed):  # its output explains an early exit better
                manager.send(to_json(Managing(config, count, control_socket.path)))
            listening = begun(manager, ready_timeout_s)
            workers = await_workers(control_socket, cleanup, manager, count, deadline)
            start_ms = (time.perf_counter() - spawned) * 1000
            greet(stack, listening.host, listening.port, deadline)
        first_answer_ms = (time.perf_counter() - spawned) * 1000
        yield ManagedGroup(
            stack=row,
            host=listening.host,
            port=listening.port,
            start_ms=start_ms,
            first_answer_ms=first_answer_ms,
            workers=workers,
            manager=manager,
            _stop_timeout_s=stop_timeout_s,
        )


def _once_opened(facts: list[StackFacts]) -> list[StackFacts]:
    """Facts of workers, with what only some were asked to open taken for that of the rest: a
    pool that nobody has asked a worker for says nothing of its size."""
    opened = {
        name: size
        for worker in facts
        for name, size in worker.in_force.items()
        if name.startswith(POOL) and size is not None
    }
    return [
        replace(
            worker,
            in_force={
                **worker.in_force,
                **{name: opened[name] for name in opened if worker.in_force.get(name) is None},
            },
        )
        for worker in facts
    ]


def _stop(manager: Child, timeout_s: float) -> Ended:
    return manager.stop(timeout_s, partial(_let_clean_up, manager))


def _let_clean_up(manager: Child) -> None:
    """Kill the manager, and with it its workers, ahead of its whole process group: what
    multiprocessing has beside it then removes the semaphores that the manager leaves behind."""
    with suppress(ProcessLookupError):
        os.kill(manager.pid, signal.SIGKILL)
    deadline = time.monotonic() + _CLEAN_UP_S
    while len(_members(manager.pid)) > 1 and time.monotonic() < deadline:
        time.sleep(_LOOK_S)


def _members(group: int) -> list[str]:
    """The processes of a group, those not reaped yet included (proc(5), stat); none without
    a /proc."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and (fields[0] != "Z" or stat.parent.name == str(group)):
                members.append(stat.parent.name)
    return members
