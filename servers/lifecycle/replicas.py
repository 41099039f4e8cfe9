"""One Stack as several processes on one port, each a child of its own.

The kernel hands each new connection to one of the listeners by a hash of its
addresses (socket(7), SO_REUSEPORT), not in turn: how many connections, and so
how many requests, a process gets is its luck. It is the same mechanism for
every stack, and none of the servers' own managers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from loopbench.servers.lifecycle.process import Ended, Reading, ServerProcess, server_process
from loopbench.servers.probe.merge import gathered
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.control_pipe import Message


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
        """Of the slowest. Its question went to the port, and may have been answered by another."""
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
    def facts(self) -> dict[str, Any]:
        """See `ServerProcess.facts`; of the first, as all were told the same."""
        return self.members[0].facts

    def read(self, timeout_s: float = 2.0) -> Reading:
        """Sums over the processes; the instant is the mean of theirs. Raises as
        `ServerProcess.read` does."""
        return summed([member.read(timeout_s) for member in self.members])

    def ask(self, do: str, timeout_s: float = 2.0, **parameters: Any) -> Message:
        """The same command to each; their answers as `servers.probe.merge` puts them together.
        Raises as `ServerProcess.ask` does."""
        answers = [member.ask(do, timeout_s, **parameters) for member in self.members]
        return gathered(do, answers)

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


def summed(readings: Iterable[Reading]) -> Reading:
    """Several processes as one; what one of them could not read is unknown of all."""
    every = list(readings)

    def total(of: Callable[[Reading], int | None]) -> int | None:
        values = [value for reading in every if (value := of(reading)) is not None]
        return sum(values) if len(values) == len(every) else None

    return Reading(
        monotonic_ns=sum(reading.monotonic_ns for reading in every) // len(every),
        cpu_ns=sum(reading.cpu_ns for reading in every),
        rss_bytes=total(lambda reading: reading.rss_bytes),
        rss_peak_bytes=total(lambda reading: reading.rss_peak_bytes),
        threads=sum(reading.threads for reading in every),
        descriptors=total(lambda reading: reading.descriptors),
        voluntary_switches=sum(reading.voluntary_switches for reading in every),
        involuntary_switches=sum(reading.involuntary_switches for reading in every),
    )
