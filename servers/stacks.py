"""STACKS: what can be measured, one row each, and how to get at a row's module."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from typing import Protocol

from servers.errors import StartupFailed, UnknownStack
from servers.settings import Settings

InForce = dict[str, str | int | float | bool | None]


class Serving(Protocol):
    """One listening server, as a stack's `start` returns it."""

    @property
    def port(self) -> int:
        """The port that is bound, also where port 0 was asked for."""

    async def stop(self) -> None:
        """Refuse new connections, give requests in flight `grace_s`, then end them.

        Afterwards nothing of the server is left in the loop. Called once.
        """

    async def ended(self) -> None:
        """Return when the server has ended, whoever ended it; raise what made it end."""

    def in_force(self) -> InForce:
        """The settings as the live objects have them: the same keys from every stack.

        body_limit_bytes, keep_alive_s, grace_s, backlog, access_log, debug,
        http_parser, max_requests_per_connection, json (how an example value
        is written). None means that the stack sets no such bound.
        """


class Start(Protocol):
    """A stack's `start`: bind, start the framework, accept connections.

    `host` is a numeric address. Raises OSError when it cannot be bound, and
    whatever the framework's start-up raises; leaves nothing behind then.
    """

    async def __call__(self, host: str, port: int, settings: Settings) -> Serving: ...


@dataclass(frozen=True, slots=True)
class Stack:
    """Framework × server × loop, and where the code that starts it is.

    module: holds `start`; imported when the stack is used, never before.
    packages: the distributions whose versions belong into a result.
    yardstick: it is there to measure the measuring with, not to be chosen.
    """

    name: str
    framework: str
    server: str
    loop: str
    summary: str
    module: str
    packages: tuple[str, ...]
    yardstick: bool = False


_STACKS = (
    Stack(
        name="aiohttp",
        framework="aiohttp",
        server="aiohttp",
        loop="asyncio",
        summary="aiohttp's application on its own server",
        module="servers.aiohttp_stack",
        packages=("aiohttp", "multidict", "yarl", "propcache", "frozenlist"),
    ),
    Stack(
        name="quart-hypercorn",
        framework="Quart",
        server="Hypercorn",
        loop="asyncio",
        summary="a Quart application on the Hypercorn ASGI server",
        module="servers.quart_hypercorn_stack",
        packages=("quart", "hypercorn", "werkzeug", "h11"),
    ),
    Stack(
        name="asyncio",
        framework="none",
        server="asyncio.Protocol",
        loop="asyncio",
        summary="no framework: the yardstick, and the generator's ceiling",
        module="servers.asyncio_stack",
        packages=("httptools",),
        yardstick=True,
    ),
)

STACKS: dict[str, Stack] = {stack.name: stack for stack in _STACKS}


def find(name: str) -> Stack:
    """The stack of that name. Raises UnknownStack."""
    if name in STACKS:
        return STACKS[name]
    near = difflib.get_close_matches(name.lower(), STACKS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UnknownStack(f"unknown stack {name!r}; {hint}known stacks: {', '.join(STACKS)}")


def load(stack: Stack) -> Start:
    """The stack's `start`. Raises StartupFailed when its module cannot be imported."""
    try:
        module = importlib.import_module(stack.module)
    except ImportError as error:
        raise StartupFailed(
            f"stack {stack.name} cannot be imported: {error}; "
            f"install {', '.join(stack.packages)} (`make setup` does)"
        ) from error
    start: Start = module.start
    return start
