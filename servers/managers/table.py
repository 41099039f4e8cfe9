"""MANAGERS: how a server runs as several processes under its own manager, as people deploy it.

Which manager a server has, or why none, is a column of the table of stacks, `servers.stacks`.
"""

from __future__ import annotations

import importlib
import socket
from dataclasses import replace
from typing import Protocol

from loopbench.servers import installed
from loopbench.servers.errors import StartupFailed
from loopbench.servers.parts import Manager
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import SERVERS, Stack


class Manage(Protocol):
    """A manager module's `manage`: run the server's own manager until it has ended.

    Called in the main thread of a process of its own. listener: bound, listening, and from now
    on the manager's. Its workers connect to the harness, see servers.managers.worker. SIGTERM to
    the process is the stop. Returns the exit status.
    """

    def __call__(
        self, listener: socket.socket, workers: int, stack: Stack, settings: Settings
    ) -> int: ...


MANAGERS: dict[str, Manager] = {
    name: server.manager for name, server in SERVERS.items() if isinstance(server.manager, Manager)
}
"""By a Stack's `server`."""

WITHOUT: dict[str, str] = {
    name: server.manager for name, server in SERVERS.items() if isinstance(server.manager, str)
}
"""By a Stack's `server`: why its own manager cannot be had."""


def of(stack: Stack) -> Manager:
    """The manager of the stack's server. Raises StartupFailed where there is none."""
    if stack.server not in MANAGERS:
        raise StartupFailed(f"{stack.name} cannot run so: {_without(stack)}")
    return MANAGERS[stack.server]


def _without(stack: Stack) -> str:
    why = WITHOUT.get(stack.server, f"none is known for {stack.server}")
    return f"no manager of its server's own: {why}"


def managed(stack: Stack) -> Stack:
    """The row as it is under its manager. Raises as `of` does."""
    manager = of(stack)
    return replace(
        stack,
        packages=(*stack.packages, *manager.packages),
        differs={**stack.differs, **manager.differs},
        optional=manager.optional or stack.optional,
    )


def available(stack: Stack) -> str | None:
    """Why the stack cannot run here under its own manager, with the remedy where there is one;
    None where it can."""
    if stack.server not in MANAGERS:
        return _without(stack)
    return installed.available(managed(stack))


def load(manager: Manager) -> Manage:
    """The manager's `manage`."""
    manage: Manage = importlib.import_module(manager.module).manage
    return manage
