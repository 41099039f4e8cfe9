"""What the harness has the supervisor of a service do."""

from __future__ import annotations

from dataclasses import dataclass

from loopbench.servers.supervision.messages import Question


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
