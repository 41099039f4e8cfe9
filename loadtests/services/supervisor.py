"""Keeps one service running for the harness: `python -m loopbench.loadtests.services.supervisor`.

It stands between the two because the harness may be killed: end of file on its standard input
then says so, and it stops the service and removes its folder as it would have been asked to.
Should it be killed itself, the kernel ends the service. It is told by JSON lines, one command
each. The one to stop ends it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from loopbench.servers.supervision.control_pipe import STOP, Station
from loopbench.servers.supervision.messages import Question, Vocabulary, to_json
from loopbench.servers.supervision.os_stats import die_with_parent

STOP_BOUND_S = 5.0
"""How long a service may take to end in order."""


@dataclass(frozen=True, slots=True)
class Status:
    """An exit status; None where the process had not ended by itself."""

    status: int | None


@dataclass(frozen=True, slots=True)
class Pid:
    """Of a process that was started."""

    pid: int


@dataclass(frozen=True, slots=True)
class Run(Question[Status]):
    """A command, to its end."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Start(Question[Pid]):
    """The service."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kill(Question[Status]):
    """The service, without a word to its clients."""


_QUESTIONS: Vocabulary[Question[Any]] = Vocabulary("command", "do", (Run, Start, Kill))


class Keeper:
    """The service, and who it is to run as.

    folder: its working folder, removed at the end. owner: user and group; None: our own.
    end_signal: what asks it to end in order.
    """

    def __init__(self, folder: str, owner: tuple[int, int] | None, end_signal: int) -> None:
        self._folder = folder
        self._signal = end_signal
        self._service: subprocess.Popen[bytes] | None = None
        self._owner = owner
        self._handlers: dict[type[Question[Any]], Callable[[Any], object]] = {
            Run: lambda run: Status(self._popen(run.command).wait()),
            Start: self._start,
            Kill: lambda _: Status(self._end_at_once()),
        }

    def obey(self, station: Station) -> None:
        """Carry out commands until `stop`, or until the harness is gone."""
        for message in station.commands():
            number = message.pop("id")
            if message["do"] == STOP:
                return
            question = _QUESTIONS.from_json(message)
            try:
                answer = to_json(self._handlers[type(question)](question))
            except (OSError, subprocess.SubprocessError) as error:
                answer = {"error": str(error)}
            station.send({"id": number, **answer})

    def _start(self, start: Start) -> Pid:
        """Start the service. The kernel forgets a signal for the parent's death as a process
        changes its user, and Popen does that before it calls us."""
        self._end_at_once()
        self._service = self._popen(start.command, partial(die_with_parent, os.getpid()))
        return Pid(self._service.pid)

    def _popen(
        self, command: Sequence[str], at_birth: Callable[[], object] | None = None
    ) -> subprocess.Popen[bytes]:
        user, group = self._owner or (None, None)
        return subprocess.Popen(
            command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            user=user,
            group=group,
            extra_groups=None if self._owner is None else (),
            preexec_fn=at_birth,
        )

    def _end_at_once(self) -> int | None:
        """End the service without a word; its exit status, if it had ended by itself."""
        status = None
        if self._service is not None:
            status = self._service.poll()
            self._service.kill()
            self._service.wait()
            self._service = None
        return status

    def end(self) -> None:
        """Stop the service, and leave nothing of it."""
        if self._service is not None:
            self._service.send_signal(self._signal)
            with suppress(subprocess.TimeoutExpired):
                self._service.wait(STOP_BOUND_S)
        self._end_at_once()
        shutil.rmtree(self._folder, ignore_errors=True)


def main() -> None:
    """Arguments: the folder, the signal that ends the service, and user and group if others."""
    folder, end_signal, *owner = sys.argv[1:]
    # Our own end is the pipe's: whoever ends the harness is not to end us before our work is done.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    who = (int(owner[0]), int(owner[1])) if owner else None
    keeper = Keeper(folder, who, int(end_signal))
    try:
        keeper.obey(Station())
    finally:
        keeper.end()


if __name__ == "__main__":
    main()
