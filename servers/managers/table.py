"""MANAGERS: how a server runs as several processes under its own manager, as people deploy it."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from loopbench.servers import stacks
from loopbench.servers.errors import StartupFailed
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack


class Manage(Protocol):
    """A manager module's `manage`: run the server's own manager until it has ended.

    Called in the main thread of a process of its own. listener: bound, listening, and from now
    on the manager's. Its workers are to enlist, see servers.managers.worker. SIGTERM to the process
    is the stop. Returns the exit status.
    """

    def __call__(
        self, listener: socket.socket, workers: int, stack: Stack, settings: Settings
    ) -> int: ...


_MORE = "stacks"
"""The group of requirements that brings gunicorn, see Stack."""


@dataclass(frozen=True, slots=True)
class Manager:
    """A server's own manager of worker processes, and where the code that starts it is.

    module: holds `manage`. packages: what it needs beside the stack's own.
    options: what `manage` is told beside that.
    differs: the settings in force in which its workers are not as the server alone is, and why.
    """

    name: str
    module: str
    packages: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    differs: Mapping[str, str] = field(default_factory=dict, hash=False)


_UVICORN = Manager("uvicorn's Multiprocess", "loopbench.servers.managers.uvicorn_manager")

MANAGERS: dict[str, Manager] = {
    "aiohttp": Manager(
        "gunicorn with aiohttp's worker",
        "loopbench.servers.managers.gunicorn_manager",
        ("gunicorn",),
        differs={"in_force.backlog": "aiohttp's worker for gunicorn listens anew, with 128"},
    ),
    "Hypercorn": Manager("Hypercorn's workers", "loopbench.servers.managers.hypercorn_manager"),
    "uvicorn/h11": replace(_UVICORN, options={"parser": "h11"}),
    "uvicorn/httptools": replace(_UVICORN, options={"parser": "httptools"}),
}
"""By a Stack's `server`."""

WITHOUT: dict[str, str] = {
    "asyncio.Protocol": "the yardstick is one process",
    "granian": "what runs here is granian's embedded server",
    "gunicorn/gthread": "what runs here is the worker without gunicorn's arbiter",
    "waitress": "waitress is one process",
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
        optional=_MORE if manager.packages else stack.optional,
    )


def available(stack: Stack) -> str | None:
    """Why the stack cannot run here under its own manager, with the remedy where there is one;
    None where it can."""
    if stack.server not in MANAGERS:
        return _without(stack)
    return stacks.available(managed(stack))


def load(manager: Manager) -> Manage:
    """The manager's `manage`."""
    manage: Manage = partial(importlib.import_module(manager.module).manage, **manager.options)
    return manage
