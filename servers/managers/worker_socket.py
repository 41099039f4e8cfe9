"""The harness's side of the control sockets of workers.

Each worker of a server's own manager opens a Unix socket of its own to the harness; what it
sends and answers there is what `servers.lifecycle.child_main` does, see servers.managers.worker.
"""

from __future__ import annotations

import os
import select
import socket
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from loopbench.servers.errors import StartupFailed
from loopbench.servers.lifecycle.messages import EVENTS, Failed, WorkerListening
from loopbench.servers.lifecycle.process import refusal
from loopbench.servers.supervision.child_process import Child, Conversation
from loopbench.servers.supervision.control_pipe import Channel, ControlClosed, ControlTimeout


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A live worker, and the way to command it."""

    pid: int
    talk: Conversation

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return not self.talk.channel.hung_up


class ControlSocket:
    """The Unix socket on which workers report, in a folder that only this user can enter."""

    def __enter__(self) -> ControlSocket:
        self._folder = tempfile.TemporaryDirectory(prefix="loopbench-")
        self.path = os.path.join(self._folder.name, "control")
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            self._listener.setblocking(False)
            self._listener.bind(self.path)
            self._listener.listen()
        except OSError as error:
            self.__exit__()
            raise StartupFailed(
                f"cannot listen on {self.path}: {error}; name another folder by TMPDIR"
            ) from error
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.close()
        self._folder.cleanup()

    def fileno(self) -> int:
        """To be waited for."""
        return self._listener.fileno()

    def open(self) -> Channel | None:
        """A channel to a worker that has connected; None where none has."""
        try:
            line, _ = self._listener.accept()
        except BlockingIOError:
            return None
        line.setblocking(True)
        writer = os.dup(line.fileno())
        return Channel(line.detach(), writer)


def await_workers(
    control_socket: ControlSocket, cleanup: ExitStack, manager: Child, count: int, deadline: float
) -> tuple[LiveWorker, ...]:
    """Wait until so many workers have reported that they serve.

    Raises StartupFailed where one failed or ended, ControlClosed where the manager did, and
    ControlTimeout.
    """
    starting: list[Conversation] = []
    serving: list[LiveWorker] = []
    while len(serving) < count:
        _await(deadline, control_socket, manager, *(talk.channel for talk in starting))
        channel = control_socket.open()
        if channel is not None:
            cleanup.callback(channel.close)
            starting.append(Conversation(channel))
        for talk in tuple(starting):
            listening = _listening(talk)
            if listening is not None:
                starting.remove(talk)
                serving.append(LiveWorker(listening.pid, talk))
        with suppress(ControlTimeout):
            _expect_no_failure(EVENTS.from_json(manager.event(0.0)))
    return tuple(serving)


def _await(deadline: float, *sources: ControlSocket | Child | Channel) -> None:
    """Return when one of the sources can be read. Raises ControlTimeout."""
    poll = select.poll()
    for source in sources:
        poll.register(source.fileno(), select.POLLIN)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise ControlTimeout("not every worker has reported")


def _listening(talk: Conversation) -> WorkerListening | None:
    """The event that a worker serves; None while it has not come. Raises StartupFailed."""
    try:
        event = EVENTS.from_json(talk.event(0.0))
    except ControlTimeout:
        return None
    except ControlClosed as error:
        raise StartupFailed(
            "a worker ended before it served; the server's log says more"
        ) from error
    _expect_no_failure(event)
    assert isinstance(event, WorkerListening)
    return event


def _expect_no_failure(event: object) -> None:
    """Raise what a process says that it has raised."""
    if isinstance(event, Failed):
        raise refusal(event)
