"""The harness's commands to the load generator, and the generator's events, each a JSON line.

A master of several workers takes the same commands and sends the same events, and some of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from loopbench.loadtests.hosts.host_info import HostInfo
from loopbench.loadtests.messages.reports import Report, SliceResult
from loopbench.loadtests.messages.specs import BlockSpec, Phase, SessionSpec
from loopbench.servers.supervision.messages import Vocabulary


class GeneratorCommand:
    """What the generator is told to do."""

    __slots__ = ()


class GeneratorEvent:
    """What the generator says: an answer to a command, or that something has happened."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Pin(GeneratorCommand):
    """Keep the process to these CPUs; answered by Pinned."""

    cpus: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OfferLoad(GeneratorCommand):
    """Run a session. Its end is Finished, Failed or Lost."""

    spec: SessionSpec


@dataclass(frozen=True, slots=True)
class Abort(GeneratorCommand):
    """End the session as soon as possible."""


@dataclass(frozen=True, slots=True)
class Release(GeneratorCommand):
    """The server has been read: the session's connections may be closed."""


@dataclass(frozen=True, slots=True)
class OpenBlock(GeneratorCommand):
    """Connect the users of several servers; answered by BlockOpened."""

    spec: BlockSpec


@dataclass(frozen=True, slots=True)
class Visit(GeneratorCommand):
    """One Slice on a target of the open Block; answered by Visited."""

    target: str
    seconds: float
    phase: Phase


@dataclass(frozen=True, slots=True)
class CloseBlock(GeneratorCommand):
    """Disconnect; answered by BlockClosed."""


@dataclass(frozen=True, slots=True)
class Gather(GeneratorCommand):
    """Of a master: wait until all workers are there; answered by Gathered."""

    bound_s: float


@dataclass(frozen=True, slots=True)
class WorkerEnded(GeneratorCommand):
    """For a master: a worker's process has ended, which only its parent sees at once."""

    pid: int
    how: str


COMMANDS: Vocabulary[GeneratorCommand] = Vocabulary(
    "command",
    "do",
    (Pin, OfferLoad, Abort, Release, OpenBlock, Visit, CloseBlock, Gather, WorkerEnded),
)


@dataclass(frozen=True, slots=True)
class Ready(GeneratorEvent):
    """The process has come up. locust: the version. port: where a master listens for workers."""

    pid: int
    locust: str
    port: int | None


@dataclass(frozen=True, slots=True)
class Pinned(GeneratorEvent):
    """The CPUs in force."""

    cpus: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WindowOpened(GeneratorEvent):
    """The measured window of the session begins."""


@dataclass(frozen=True, slots=True)
class SecondPassed(GeneratorEvent):
    """Another second of the measured window is over."""


@dataclass(frozen=True, slots=True)
class WindowClosed(GeneratorEvent):
    """The measured window is over; connections stay until Release."""


@dataclass(frozen=True, slots=True)
class Finished(GeneratorEvent):
    """The session is over."""

    report: Report


@dataclass(frozen=True, slots=True)
class Failed(GeneratorEvent):
    """What was asked for could not be done."""

    error: str


@dataclass(frozen=True, slots=True)
class Lost(GeneratorEvent):
    """Of a master: it has no workers any more."""

    error: str


@dataclass(frozen=True, slots=True)
class BlockOpened(GeneratorEvent):
    """All users of the Block are connected."""


@dataclass(frozen=True, slots=True)
class Visited(GeneratorEvent):
    """A Slice is over."""

    result: SliceResult


@dataclass(frozen=True, slots=True)
class BlockClosed(GeneratorEvent):
    """A report on each target, by its name."""

    reports: dict[str, Report]


@dataclass(frozen=True, slots=True)
class GatheredWorker:
    """A worker that is there. number: from 1 on. name: as Warnings name it."""

    number: int
    name: str
    pid: int
    host: HostInfo


@dataclass(frozen=True, slots=True)
class Gathered(GeneratorEvent):
    """Of a master: the workers that are there, and each that is lost, with why."""

    workers: tuple[GatheredWorker, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Joined(GeneratorEvent):
    """Of a master: a worker has joined, and how many are there now."""

    worker: str
    workers: int
    wanted: int


@dataclass(frozen=True, slots=True)
class RefusedWorker(GeneratorEvent):
    """Of a master: somebody may not take part. who: a worker on some host, or what is known of
    whom the connection has refused."""

    who: str
    why: str


At = Mapping[type[GeneratorEvent], Callable[[], None]]
"""What to do at events of a load."""

EVENTS: Vocabulary[GeneratorEvent] = Vocabulary(
    "event",
    "event",
    (
        *(Ready, Pinned, WindowOpened, SecondPassed, WindowClosed, Finished, Failed, Lost),
        *(BlockOpened, Visited, BlockClosed, Gathered, Joined, RefusedWorker),
    ),
)
