"""WAYS: how the processes of one server come about and are kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from loopbench.loadtests.hosts.server_location import Place
from loopbench.servers import installed
from loopbench.servers.lifecycle.replicas import server_processes
from loopbench.servers.managers import table
from loopbench.servers.managers.managed import Served, managed_processes
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack

CHILDREN = "children"
OWN = "own"


class Starter(Protocol):
    """Starts so many processes of a Stack, and stops them in the end.

    Raises as `servers.lifecycle.process.server_process` does.
    """

    def __call__(
        self,
        stack: Stack,
        count: int,
        /,
        *,
        settings: Settings,
        cpus: frozenset[int] | None,
        log: Path | None,
    ) -> AbstractContextManager[Served]: ...


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run a server as several processes.

    starter: starts them at a Place. obstacle: why a stack cannot run so; None where it can.
    asked: of how many processes what is in force is read before the Runs.
    here_only: whether it works on this machine alone.
    """

    starter: Callable[[Place], Starter]
    obstacle: Callable[[Stack], str | None]
    asked: Callable[[int], int]
    here_only: bool = False


def _children(place: Place) -> Starter:
    start: Any = partial(server_processes, start=place.server)
    return start  # type: ignore[no-any-return]


def _own(place: Place) -> Starter:
    start: Any = partial(managed_processes, host=place.host)
    return start  # type: ignore[no-any-return]


WAYS: dict[str, Way] = {
    CHILDREN: Way(_children, installed.available, lambda count: 1),
    OWN: Way(_own, table.available, lambda count: count, here_only=True),
}
"""children: processes of ours that share a port. own: the server's own manager and its workers."""
