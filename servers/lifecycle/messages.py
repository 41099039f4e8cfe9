"""What the harness and the process around a server say to each other; of the probe, see
`servers.probe.readings`.

The harness may be of another commit than the process: names on the wire stay as they are, and
events are read by what is needed of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from loopbench.results.schema import Value
from loopbench.servers import stacks
from loopbench.servers.errors import ServerError, StartupFailed
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.messages import LATER, Question, Vocabulary
from loopbench.servers.supervision.os_stats import Reading, ThreadReading


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
class Managing:
    """What the harness tells a manager, as the first line of its standard input.

    child: for each of the workers.
    control_socket: the path of the Unix socket on which workers report to the harness.
    """

    child: Config
    workers: int
    control_socket: str


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
class Python:
    """The interpreter. gil: whether it has its lock on."""

    version: str
    implementation: str
    compiler: str
    gil: bool
    dev_mode: bool
    optimize: int


@dataclass(frozen=True, slots=True)
class Loop:
    """class_: of the loop that serves; None where none does."""

    class_: str | None
    debug: bool


@dataclass(frozen=True, slots=True)
class Executor:
    """The loop's default executor. threads: how many it may have; None where it does not say."""

    class_: str
    threads: int | None


@dataclass(frozen=True, slots=True)
class Collector:
    """The garbage collector."""

    enabled: bool
    threshold: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Manager:
    """A server's own manager of processes, and how many workers it has."""

    name: str
    workers: int


@dataclass(frozen=True, slots=True)
class StackFacts:
    """What is in force in a server, without anything that names this machine's folders.

    None means that the platform or the loop does not let the fact be read. settings: as it was
    told, without passwords. in_force: see `adapters.protocol.Serving`. differs, holes: of the
    Stack's own row, for whoever compares facts without STACKS.
    """

    stack: str
    framework: str
    server: str
    python: Python
    packages: dict[str, str]
    loop: Loop
    executor: Executor | None
    gc: Collector
    cpus: tuple[int, ...] | None
    settings: dict[str, Value]
    in_force: dict[str, Value]
    differs: dict[str, str]
    holes: dict[str, str]
    manager: Manager | None = field(default=None, metadata=LATER)


@dataclass(frozen=True, slots=True)
class Read(Question[Reading]):
    """A Reading of the process, now."""


@dataclass(frozen=True, slots=True)
class Facts(Question[StackFacts]):
    """What is in force; answered once the server accepts connections."""


@dataclass(frozen=True, slots=True)
class ThreadList:
    """The threads that live; none where there is no /proc."""

    threads: tuple[ThreadReading, ...]


@dataclass(frozen=True, slots=True)
class Threads(Question[ThreadList]):
    """Of the manager above a server's workers."""
