"""What is in force in a server: what the harness is told when it asks.

Apart from `servers.lifecycle.messages`, since most servers are never asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from loopbench.results.schema import Value
from loopbench.servers.supervision.messages import LATER, Question


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
class Facts(Question[StackFacts]):
    """What is in force; answered once the server accepts connections."""
