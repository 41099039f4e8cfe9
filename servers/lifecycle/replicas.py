"""One Stack as several processes on one port, each a child of its own.

The kernel hands each new connection to one of the listeners by a hash of its
addresses (socket(7), SO_REUSEPORT), not in turn: how many connections, and so
how many requests, a process gets is its luck. It is the same mechanism for
every stack, and none of the servers' own managers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from loopbench.servers.lifecycle.facts import StackFacts
from loopbench.servers.lifecycle.process import Ended, Reading, ServerProcess, server_process
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.merging import merged
from loopbench.servers.supervision.messages import Question

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """Live processes of one Stack behind one port, read as if they were one.

    Where a reading of one fails, that of all does: a sum without it would be too small.
    """

    members: tuple[ServerProcess, ...]

    @property
    def stack(self) -> Stack:
        """What all of them serve."""
        return self.members[0].stack

    @property
    def host(self) -> str:
        """Where they accept connections."""
        return self.members[0].host

    @property
    def port(self) -> int:
        """Where they accept connections."""
        return self.members[0].port

    @property
    def start_ms(self) -> float:
        """Of the slowest; they are started one after the other."""
        return max(member.start_ms for member in self.members)

    @property
    def first_answer_ms(self) -> float:
        """Of the slowest process. All share a port, so that another may have answered it."""
        return max(member.first_answer_ms for member in self.members)

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes whose CPU time is that of the server."""
        return tuple(member.pid for member in self.members)

    @property
    def one_clock(self) -> bool:
        """See `ServerProcess.one_clock`."""
        return all(member.one_clock for member in self.members)

    @property
    def alive(self) -> bool:
        """Whether none has ended yet."""
        return all(member.alive for member in self.members)

    @property
    def failure(self) -> str | None:
        """Why the first that ended by itself did, in its own words."""
        return next(filter(None, (member.failure for member in self.members)), None)

    @property
    def facts(self) -> StackFacts:
        """See `ServerProcess.facts`; of the first, as all were told the same."""
        return self.members[0].facts

    def read(self, timeout_s: float = 2.0) -> Reading:
        """Sums over the processes; the instant is the mean of theirs. Raises as
        `ServerProcess.read` does."""
        return merged(member.read(timeout_s) for member in self.members)

    def ask(self, question: Question[A], timeout_s: float = 2.0) -> A:
        """The same to each; their answers merged. Raises as `ServerProcess.ask` does."""
        return merged([member.ask(question, timeout_s) for member in self.members])

    def stop(self) -> Ended:
        """Stop each in turn. The time is that of the slowest; the exit status the first that is
        not 0."""
        ended = [member.stop() for member in self.members]
        times = [member.stop_ms for member in ended if member.stop_ms is not None]
        return Ended(
            stop_ms=max(times) if len(times) == len(ended) else None,
            exit_code=next(
                (member.exit_code for member in ended if member.exit_code), ended[0].exit_code
            ),
            killed=any(member.killed for member in ended),
        )


class Start(Protocol):
    """Starts one process, here or elsewhere."""

    def __call__(
        self,
        name: str | Stack,
        /,
        *,
        settings: Settings,
        port: int,
        cpus: frozenset[int] | None,
        log: Path | None,
    ) -> AbstractContextManager[ServerProcess]: ...


@contextmanager
def server_processes(
    name: str | Stack,
    count: int,
    *,
    settings: Settings,
    cpus: frozenset[int] | None = None,
    log: Path | None = None,
    start: Start = server_process,
) -> Iterator[ServerProcess | ServerGroup]:
    """Run stack `name` in `count` child processes on one port, all of which listen.

    cpus: every one of them is bound to all of these. start: starts one, as `server_process`
    does. Of more than one, each has `reuse_port` set. Raises as that does.
    """
    with ExitStack() as cleanup:

        def member(settings: Settings, port: int = 0) -> ServerProcess:
            return cleanup.enter_context(
                start(name, settings=settings, port=port, cpus=cpus, log=log)
            )

        if count == 1:
            yield member(settings)
            return
        sharing = replace(settings, reuse_port=True)
        first = member(sharing)
        yield ServerGroup((first, *(member(sharing, first.port) for _ in range(count - 1))))
