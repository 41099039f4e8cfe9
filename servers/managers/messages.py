"""What the harness and a server's own manager of workers say to each other."""

from __future__ import annotations

from dataclasses import dataclass

from loopbench.servers.lifecycle.messages import Config
from loopbench.servers.supervision.messages import Question
from loopbench.servers.supervision.os_stats import ThreadReading


@dataclass(frozen=True, slots=True)
class Managing:
    """What the harness tells a manager, as the first line of its standard input.

    child: for each of the workers.
    control_socket: the path of the Unix socket on which workers report to the harness.
    """

    child: Config
    workers: int
    control_socket: str


@dataclass(frozen=True, slots=True)
class ThreadList:
    """The threads that live; none where there is no /proc."""

    threads: tuple[ThreadReading, ...]


@dataclass(frozen=True, slots=True)
class Threads(Question[ThreadList]):
    """Of the manager above a server's workers."""
