"""Stacks of a person's own application: a row for each server that is to run it.

The rows have the servers' own modules behind them; `start` is the one way in.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loopbench.servers.adapters import asgi
from loopbench.servers.custom import application
from loopbench.servers.custom.application import AIOHTTP, ASGI, Looks, OwnApp
from loopbench.servers.errors import ServerError, StartupFailed
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import STACKS, InForce, Serving, Stack

_MODULE = "loopbench.servers.custom.stacks"
PREFIX = "app-"


@dataclass(frozen=True, slots=True)
class Host:
    """A server that can run a person's application.

    kind: what it runs. module: has `serve(app, host, port, settings)`, with `options`.
    optional: see Stack.
    """

    kind: str
    server: str
    module: str
    packages: tuple[str, ...]
    loop: str = "asyncio"
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    optional: str | None = None


_HYPERCORN = ("hypercorn", "h11")
_AIOHTTP = {"auto_decompress": True}  # what aiohttp does by itself
_MORE = "stacks"
_UVICORN = "loopbench.servers.adapters.uvicorn_server"

HOSTS: dict[str, Host] = {
    "aiohttp": Host(
        AIOHTTP,
        "aiohttp",
        "loopbench.servers.adapters.aiohttp_server",
        ("aiohttp",),
        options=_AIOHTTP,
    ),
    "aiohttp-uvloop": Host(
        AIOHTTP,
        "aiohttp",
        "loopbench.servers.adapters.aiohttp_server",
        ("aiohttp", "uvloop"),
        "uvloop",
        _AIOHTTP,
        _MORE,
    ),
    "hypercorn": Host(ASGI, "Hypercorn", "loopbench.servers.adapters.hypercorn_server", _HYPERCORN),
    "hypercorn-uvloop": Host(
        ASGI,
        "Hypercorn",
        "loopbench.servers.adapters.hypercorn_server",
        (*_HYPERCORN, "uvloop"),
        "uvloop",
        {},
        _MORE,
    ),
    "uvicorn": Host(
        ASGI,
        "uvicorn/h11",
        _UVICORN,
        ("uvicorn", "h11"),
        options={"parser": "h11"},
        optional=_MORE,
    ),
    "uvicorn-httptools": Host(
        ASGI,
        "uvicorn/httptools",
        _UVICORN,
        ("uvicorn", "httptools"),
        options={"parser": "httptools"},
        optional=_MORE,
    ),
    "uvicorn-uvloop": Host(
        ASGI,
        "uvicorn/httptools",
        _UVICORN,
        ("uvicorn", "httptools", "uvloop"),
        "uvloop",
        {"parser": "httptools"},
        _MORE,
    ),
    "granian": Host(
        ASGI, "granian", "loopbench.servers.adapters.granian_server", ("granian",), optional=_MORE
    ),
}
"""By the name that `--on` takes; the first of a kind is that kind's default."""


def rows(own: OwnApp, looks: Looks, on: tuple[str, ...] = ()) -> dict[str, Stack]:
    """A Stack for each of the servers `on`, keys of HOSTS; for the kind's default without any.

    Raises ServerError for a server of another kind.
    """
    fitting = [name for name, host in HOSTS.items() if host.kind == looks.kind]
    for name in on:
        if name not in fitting:
            raise ServerError(
                f"{own.target} is an application for {looks.kind}, which {name} does not run; "
                f"choose --on from {', '.join(fitting)}"
            )
    return {PREFIX + name: _row(own, looks, name) for name in on or fitting[:1]}


def _row(own: OwnApp, looks: Looks, name: str) -> Stack:
    host = HOSTS[name]
    return Stack(
        name=PREFIX + name,
        framework=f"{looks.framework}, own application",
        server=host.server,
        loop=host.loop,
        summary=f"a person's own application, {own.target}",
        module=_MODULE,
        packages=tuple(dict.fromkeys((*looks.packages, *host.packages))),
        optional=host.optional,
        differs=_differs(host),
        own=own,
    )


def _differs(host: Host) -> dict[str, str]:
    """Why a row is not as the other servers' rows: what the suite's own say of theirs."""
    alike = [
        stack.differs
        for stack in STACKS.values()
        if (stack.server, stack.loop) == (host.server, host.loop)
    ]
    return {setting: why for differs in alike for setting, why in differs.items()}


async def start(host: str, port: int, settings: Settings, *, stack: Stack) -> Serving:
    """See `stacks.Start`. `stack`: a row that `rows` made."""
    assert stack.own is not None
    app = await hosted(stack.own)
    serve = importlib.import_module(_host(stack).module).serve
    return _Own(await serve(app, host, port, settings, **options(stack)))


async def hosted(own: OwnApp) -> Any:
    """The application as its server takes it. Raises as `own_app.application` does."""
    app = await application.application(own)
    return Hosted(app) if application.kind(own, app) == ASGI else app


def options(stack: Stack) -> Mapping[str, Any]:
    """What the server is told beside the settings, for a row that `rows` made."""
    return _host(stack).options


def _host(stack: Stack) -> Host:
    return HOSTS[stack.name.removeprefix(PREFIX)]


class _Own:
    """A server whose application is not the suite's: what only that knows is None."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    @property
    def port(self) -> int:
        return self._serving.port

    async def stop(self) -> None:
        await self._serving.stop()

    async def ended(self) -> None:
        await self._serving.ended()

    def in_force(self) -> InForce:
        return {**self._serving.in_force(), "json": None}


class Hosted:
    """A person's ASGI application as `asgi.Application`.

    A request costs one plain call more. A start-up that fails is remembered, and one that the
    application does not know (it raises, as ASGI allows) is taken for done.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.startup_failure: BaseException | None = None

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self._lifespan(scope, receive, send)
        answering: Awaitable[None] = self._app(scope, receive, send)
        return answering

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        said = ""

        async def note(message: Any) -> None:
            nonlocal said
            said = message["type"]
            if said == "lifespan.startup.failed":
                # Some give their whole traceback.
                text = message.get("message", "").rstrip().rpartition("\n")[2]
                self.startup_failure = StartupFailed(
                    f"the application's start-up failed: {text or 'it gave no reason'}"
                )
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception as error:
            if said:
                raise
            print(f"no ASGI lifespan: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        if not said:
            await send({"type": "lifespan.startup.complete"})
            while (await receive())["type"] != "lifespan.shutdown":
                pass
            await send({"type": "lifespan.shutdown.complete"})

    def handling(self) -> set[asyncio.Task[Any]]:
        """See `asgi.Application`: every task in the midst of a call with a request's scope."""
        return {
            task
            for task in asyncio.all_tasks()
            if any(_of_a_request(names.get("scope")) for names in asgi.awaited_frames(task))
        }

    def in_force(self) -> InForce:
        """See `asgi.Application`. Only the application knows, and there is no one way to ask."""
        return {"body_limit_bytes": None, "debug": None, "json": None}


def _of_a_request(scope: object) -> bool:
    return isinstance(scope, Mapping) and scope.get("type") == "http"
