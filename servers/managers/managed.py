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
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from loopbench.results.schema import ROOT
from loopbench.servers import stacks
from loopbench.servers.lifecycle.child_main import Config
from loopbench.servers.lifecycle.process import (
    ServerProcess,
    awaiting,
    greet,
    lasting_parent,
    open_log,
    refusal,
    spawn,
    temporary_folder,
)
from loopbench.servers.lifecycle.replicas import ServerGroup, summed
from loopbench.servers.managers import table
from loopbench.servers.managers.manager_main import Managing
from loopbench.servers.managers.worker_socket import ControlSocket, LiveWorker, await_workers
from loopbench.servers.probe.merge import gathered
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.child_process import Child, Ended, interrupts_deferred
from loopbench.servers.supervision.control_pipe import ControlClosed, ControlError, Message
from loopbench.servers.supervision.os_stats import Reading

_FACTS_BOUND_S = 10.0
POOL = "database_pool_"
"""How the names of those facts begin that are None until a route first needs a pool."""

_CLEAN_UP_S = 1.0
_LOOK_S = 0.01


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
    def facts(self) -> dict[str, Any]:
        """What is in force in each of the workers, and who manages how many.

        Raises as `ServerProcess.facts` does, and ControlError for workers that differ.
        """
        facts = _once_opened(self._each("facts", _FACTS_BOUND_S))
        if any(other != facts[0] for other in facts):
            raise ControlError(f"the workers of {self.stack.name} are not alike: {facts}")
        manager = {"name": table.of(self.stack).name, "workers": len(facts)}
        return {**facts[0], "manager": manager}

    def read(self, timeout_s: float = 2.0) -> Reading:
        """Sums over the workers and their manager. Raises as `ServerProcess.read` does."""
        return summed([Reading(**reading) for reading in self._readings(timeout_s)])

    def ask(self, do: str, timeout_s: float = 2.0, **parameters: Any) -> Message:
        """The same command to each worker; their answers as `servers.probe.merge` puts them
        together, with the manager's own share of processes and threads.

        Raises as `ServerProcess.ask` does.
        """
        answer = gathered(do, self._each(do, timeout_s, **parameters))
        return {**answer, **_OF_THE_MANAGER.get(do, _nothing)(self, answer, timeout_s)}

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
        if self.manager.exited:
            self._deaths.append(f"{name} ended by itself")
        gone = [worker.pid for worker in self.workers if not worker.alive]
        self._deaths.extend(f"worker {pid} of {name} ended by itself" for pid in gone)

    def _each(self, do: str, timeout_s: float, **parameters: Any) -> list[Message]:
        if self.manager.ended is not None:
            raise ControlClosed("the processes have been stopped")
        return [worker.talk.command(do, timeout_s, **parameters) for worker in self.workers]

    def _readings(self, timeout_s: float) -> list[Message]:
        return [*self._each("read", timeout_s), self.manager.command("read", timeout_s)]


def _nothing(group: ManagedGroup, merged: Message, timeout_s: float) -> Message:
    return {}


def _threads(group: ManagedGroup, merged: Message, timeout_s: float) -> Message:
    answer = group.manager.command("threads", timeout_s)
    above = [
        {**thread, "name": f"manager: {thread['name']}", "pid": answer["pid"]}
        for thread in answer["threads"]
    ]
    return {"threads": [*merged["threads"], *above]}


def _process(group: ManagedGroup, merged: Message, timeout_s: float) -> Message:
    above = Reading(**group.manager.command("read", timeout_s))
    both = summed([Reading(**merged["process"]), above])
    return {"process": {**asdict(both), "monotonic_ns": merged["process"]["monotonic_ns"]}}


_OF_THE_MANAGER: dict[str, Callable[[ManagedGroup, Message, float], Message]] = {
    "observe": _threads,
    "glance": _process,
}

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
    ready_timeout_s = ready_timeout_s or stacks.ready_s(stack)
    row = table.managed(stack)
    config = Config(
        stack=stack.name,
        host=host,
        port=0,
        settings=settings.to_json(),
        cpus=None if cpus is None else sorted(cpus),
        parent=lasting_parent(()),
        stop_timeout_s=stop_timeout_s,
        row=None if stack.own is None else asdict(stack),
    )
    with ExitStack() as cleanup:
        stderr = cleanup.enter_context(open_log(log))
        control_socket = cleanup.enter_context(ControlSocket())
        temporary = cleanup.enter_context(temporary_folder())
        spawned = time.perf_counter()
        with interrupts_deferred():
            command = (sys.executable, "-m", "loopbench.servers.managers.manager_main")
            manager = spawn(stack, command, ROOT, stderr, temporary)
            cleanup.callback(_stop, manager, stop_timeout_s)
        deadline = time.monotonic() + ready_timeout_s
        with awaiting(manager, stack, ready_timeout_s, stop_timeout_s):
            with suppress(ControlClosed):  # its output explains an early exit better
                manager.send(asdict(Managing(config.to_json(), count, control_socket.path)))
            listening = manager.event(ready_timeout_s)
            if listening["event"] == "failed":
                raise refusal(listening)
            workers = await_workers(control_socket, cleanup, manager, count, deadline)
            start_ms = (time.perf_counter() - spawned) * 1000
            greet(stack, listening["host"], listening["port"], deadline)
        first_answer_ms = (time.perf_counter() - spawned) * 1000
        yield ManagedGroup(
            stack=row,
            host=listening["host"],
            port=listening["port"],
            start_ms=start_ms,
            first_answer_ms=first_answer_ms,
            workers=workers,
            manager=manager,
            _stop_timeout_s=stop_timeout_s,
        )


def _once_opened(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Facts of workers, with what only some were asked to open taken for that of the rest: a
    pool that nobody has asked a worker for says nothing of its size."""
    opened: dict[str, Any] = {}
    for worker in facts:
        opened |= {
            name: size for name, size in worker["in_force"].items() if _of_a_pool(name, size)
        }
    return [
        {**worker, "in_force": worker["in_force"] | _missing(worker, opened)} for worker in facts
    ]


def _of_a_pool(name: str, size: Any) -> bool:
    return name.startswith(POOL) and size is not None


def _missing(worker: dict[str, Any], opened: dict[str, Any]) -> dict[str, Any]:
    return {name: size for name, size in opened.items() if worker["in_force"].get(name) is None}


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
