"""What the harness and the process around a server say to each other; of the probe, see
`servers.probe.readings`, and of what is in force `servers.lifecycle.facts`.

The harness may be of another commit than the process: names on the wire stay as they are, and
events are read by what is needed of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from loopbench.servers import stacks
from loopbench.servers.errors import ServerError, StartupFailed
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.messages import LATER, Question, Vocabulary
from loopbench.servers.supervision.os_stats import Reading


@dataclass(frozen=True, slots=True)
class Config:
    """What the harness tells a child, as the first line of its standard input.

    cpus: the CPUs to be bound to; None leaves that alone.
    parent: the pid to die with, where the harness is the child's own parent; None
        where another command stands between the two.
    stop_timeout_s: how long a stop may take once the harness is gone.
    row: the Stack of a person's own application, which is not among STACKS.
    """

    stack: str
    host: str
    port: int
    settings: Settings
    cpus: tuple[int, ...] | None
    parent: int | None
    stop_timeout_s: float
    row: Stack | None = field(default=None, metadata=LATER)

    @classmethod
    def of(
        cls,
        stack: Stack,
        host: str,
        port: int,
        settings: Settings,
        cpus: frozenset[int] | None,
        parent: int | None,
        stop_timeout_s: float,
    ) -> Config:
        """Of a Stack, whose whole row is sent where no other process has it."""
        bound = None if cpus is None else tuple(sorted(cpus))
        row = None if stack.own is None else stack
        return cls(stack.name, host, port, settings, bound, parent, stop_timeout_s, row)

    def wanted(self) -> tuple[Stack, Settings]:
        """What is to be served, and how. Raises UnknownStack."""
        return stacks.find(self.stack) if self.row is None else self.row, self.settings


@dataclass(frozen=True, slots=True)
class Listening:
    """A server accepts connections. boot_id: None where its kernel does not say; blank where its
    tree is too old to."""

    url: str
    host: str
    port: int
    pid: int
    boot_id: str | None = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no server, or none any more. kind: a class of servers.errors, by its name."""

    kind: str
    error: str

    @classmethod
    def of(cls, error: BaseException) -> Failed:
        """What was raised, in one line."""
        if isinstance(error, ServerError):
            return cls(type(error).__name__, str(error))
        line = " ".join(str(error).split())
        return cls(StartupFailed.__name__, f"{type(error).__name__}: {line}")


@dataclass(frozen=True, slots=True)
class WorkerListening:
    """A worker of a server's own manager serves."""

    pid: int


EVENTS: Vocabulary[Listening | Failed | WorkerListening] = Vocabulary(
    "event", "event", (Listening, Failed, WorkerListening)
)


@dataclass(frozen=True, slots=True)
class Read(Question[Reading]):
    """A Reading of the process, now."""
