"""STACKS: what can be measured, one row each, and how to get at a row's module."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from loopbench.servers.contract.cases import CASES, Case, Expected, Request
from loopbench.servers.contract.websockets import EXCHANGES, Exchange
from loopbench.servers.custom.application import OwnApp
from loopbench.servers.errors import StartupFailed, UnknownStack
from loopbench.servers.settings import Settings

InForce = dict[str, str | int | float | bool | None]

NO_LOOP = "none"
"""The `loop` of a Stack whose server has threads of its own: the loop that it is started
and stopped on serves nothing, so that nobody is to take it for the server's."""


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
        http_parser, max_requests_per_connection, request_threads (how many run
        requests where no loop does), json (how an example value is written).
        None means that the stack sets no such bound, or has no such thing.
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
    optional: the group of requirements that brings its packages, where `make setup`
        alone does not.
    holes: the Cases and Exchanges of the contract that it cannot keep, and why.
    differs: the settings in force (see servers.lifecycle.parity) in which it is not as the others
        are, and why.
    own: the person's own application that it runs instead of the contract's; such a row is
        made by servers.custom.stacks, and not among STACKS.
    """

    name: str
    framework: str
    server: str
    loop: str
    summary: str
    module: str
    packages: tuple[str, ...]
    yardstick: bool = False
    optional: str | None = None
    holes: Mapping[str, str] = field(default_factory=dict, hash=False)
    differs: Mapping[str, str] = field(default_factory=dict, hash=False)
    own: OwnApp | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Stack:
        """The inverse of `dataclasses.asdict`, of a row with an own application, after JSON."""
        packages, own = tuple(values["packages"]), OwnApp(**values["own"])
        return cls(**{**values, "packages": packages, "own": own})


_AIOHTTP = ("aiohttp", "multidict", "yarl", "propcache", "frozenlist")
_QUART = ("quart", "werkzeug")
_HYPERCORN = ("hypercorn", "h11")
_UVICORN = ("uvicorn", "h11")
_HTTPTOOLS = ("uvicorn", "httptools")
_FLASK = ("flask", "werkzeug", "asgiref")
_MORE = "stacks"
"""The group of requirements-stacks.in, which `make setup STACKS=all` installs."""


_PARSER = {"in_force.http_parser": "each server brings its own"}
_UVLOOP = {"loop.class": "it is what is compared"}
_ON_HYPERCORN = _PARSER | {
    "in_force.max_requests_per_connection": "Hypercorn must have a number; it is beyond reach"
}
_IN_THREADS = _PARSER | {
    "loop.class": "no loop serves",
    "in_force.request_threads": "every request runs in a thread, of as many as the others "
    "have for their sync routes",
}
_NO_BACKING = dict.fromkeys(
    (
        case.name
        for case in CASES.values()
        if case.name.startswith(("fetch-", "db-", "save-both-", "pairs", "feed", "publish"))
    ),
    "it is there for what a server itself costs, and has neither stores nor a client",
)
_NO_FORM_IN_PIECES = dict.fromkeys(
    (name for name in CASES if name.startswith("upload-multipart-")),
    "it has no parser that reads a multipart form in pieces",
)
_TAKES_UNMASKED = {"ws-broken-unmasked": "aiohttp takes frames that a client has not masked"}
_EMPTY_BINARY = {
    "ws-echo-empty-binary": "Quart fails on an empty message whose text the server leaves out"
}
_ANY_SIZE = {"ws-broken-too-long": "granian takes messages of any size"}
_ECHO_ONLY = dict.fromkeys(("ws-push", "ws-feed"), "its WebSockets only echo")
_BARE_HOLES = _NO_BACKING | _NO_FORM_IN_PIECES | _ECHO_ONLY

_NO_UPLOAD = dict.fromkeys(
    (name for name in CASES if name.startswith("upload-")), "it is not written for Flask"
)
_ELSEWHERE = "Flask runs a coroutine in a thread and on a loop that are new for each request"
_FLASK_HOLES = {
    "async": _ELSEWHERE,
    "blocking": _ELSEWHERE,
    "save-task": "Flask ends the loop with the request, and with it the task before it has saved",
    **dict.fromkeys(_NO_BACKING, "it is not written for Flask"),
    **_NO_UPLOAD,
    **dict.fromkeys(("ws-without-upgrade", *EXCHANGES), "Flask has no WebSockets"),
}

_STACKS = (
    Stack(
        name="aiohttp",
        framework="aiohttp",
        server="aiohttp",
        loop="asyncio",
        summary="aiohttp's application on its own server",
        module="loopbench.servers.adapters.aiohttp_server",
        holes=_TAKES_UNMASKED,
        packages=_AIOHTTP,
    ),
    Stack(
        name="quart-hypercorn",
        framework="Quart",
        server="Hypercorn",
        loop="asyncio",
        summary="a Quart application on the Hypercorn ASGI server",
        module="loopbench.servers.quart_hypercorn_stack",
        packages=_QUART + _HYPERCORN,
        differs=_ON_HYPERCORN,
    ),
    Stack(
        name="asyncio",
        framework="none",
        server="asyncio.Protocol",
        loop="asyncio",
        summary="no framework: the yardstick, and the generator's ceiling",
        module="loopbench.servers.adapters.asyncio_server",
        packages=("httptools",),
        yardstick=True,
        holes=_BARE_HOLES,
        differs=_PARSER
        | {"in_force.keep_alive_s": "the yardstick keeps idle connections without bound"},
    ),
    Stack(
        name="aiohttp-uvloop",
        framework="aiohttp",
        server="aiohttp",
        loop="uvloop",
        summary="the same as aiohttp on the loop of libuv",
        module="loopbench.servers.adapters.aiohttp_server",
        holes=_TAKES_UNMASKED,
        packages=(*_AIOHTTP, "uvloop"),
        optional=_MORE,
        differs=_UVLOOP,
    ),
    Stack(
        name="quart-hypercorn-uvloop",
        framework="Quart",
        server="Hypercorn",
        loop="uvloop",
        summary="the same as quart-hypercorn on the loop of libuv",
        module="loopbench.servers.quart_hypercorn_stack",
        packages=(*_QUART, *_HYPERCORN, "uvloop"),
        optional=_MORE,
        differs=_ON_HYPERCORN | _UVLOOP,
    ),
    Stack(
        name="quart-uvicorn",
        framework="Quart",
        server="uvicorn/h11",
        loop="asyncio",
        summary="the same Quart application on uvicorn, parsed by h11",
        module="loopbench.servers.quart_uvicorn_stack",
        holes=_EMPTY_BINARY,
        packages=_QUART + _UVICORN,
        optional=_MORE,
        differs=_PARSER,
    ),
    Stack(
        name="quart-uvicorn-httptools",
        framework="Quart",
        server="uvicorn/httptools",
        loop="asyncio",
        summary="the same as quart-uvicorn, parsed by httptools",
        module="loopbench.servers.quart_uvicorn_httptools_stack",
        holes=_EMPTY_BINARY,
        packages=_QUART + _HTTPTOOLS,
        optional=_MORE,
        differs=_PARSER,
    ),
    Stack(
        name="quart-uvicorn-uvloop",
        framework="Quart",
        server="uvicorn/httptools",
        loop="uvloop",
        summary="the same as quart-uvicorn-httptools on the loop of libuv",
        module="loopbench.servers.quart_uvicorn_httptools_stack",
        holes=_EMPTY_BINARY,
        packages=(*_QUART, *_HTTPTOOLS, "uvloop"),
        optional=_MORE,
        differs=_PARSER | _UVLOOP,
    ),
    Stack(
        name="quart-granian",
        framework="Quart",
        server="granian",
        loop="asyncio",
        summary="the same Quart application on granian, whose HTTP is in Rust",
        module="loopbench.servers.quart_granian_stack",
        holes=_EMPTY_BINARY | _ANY_SIZE,
        packages=(*_QUART, "granian"),
        optional=_MORE,
        differs=_PARSER,
    ),
    Stack(
        name="asgi-hypercorn",
        framework="ASGI",
        server="Hypercorn",
        loop="asyncio",
        summary="a bare ASGI application: what Hypercorn costs without a framework",
        module="loopbench.servers.asgi_hypercorn_stack",
        packages=_HYPERCORN,
        holes=_BARE_HOLES,
        differs=_ON_HYPERCORN,
    ),
    Stack(
        name="asgi-uvicorn",
        framework="ASGI",
        server="uvicorn/h11",
        loop="asyncio",
        summary="the same bare application on uvicorn, parsed by h11",
        module="loopbench.servers.asgi_uvicorn_stack",
        packages=_UVICORN,
        holes=_BARE_HOLES,
        optional=_MORE,
        differs=_PARSER,
    ),
    Stack(
        name="asgi-granian",
        framework="ASGI",
        server="granian",
        loop="asyncio",
        summary="the same bare application on granian",
        module="loopbench.servers.asgi_granian_stack",
        packages=("granian",),
        holes=_BARE_HOLES | _ANY_SIZE,
        optional=_MORE,
        differs=_PARSER,
    ),
    Stack(
        name="flask-gthread",
        framework="Flask",
        server="gunicorn/gthread",
        loop=NO_LOOP,
        summary="Flask in the threads of gunicorn's gthread worker",
        module="loopbench.servers.adapters.gthread_server",
        packages=(*_FLASK, "gunicorn"),
        optional=_MORE,
        holes=_FLASK_HOLES,
        differs=_IN_THREADS,
    ),
    Stack(
        name="flask-waitress",
        framework="Flask",
        server="waitress",
        loop=NO_LOOP,
        summary="Flask in the threads of waitress",
        module="loopbench.servers.adapters.waitress_server",
        packages=(*_FLASK, "waitress"),
        optional=_MORE,
        holes=_FLASK_HOLES,
        differs=_IN_THREADS,
    ),
)

STACKS: dict[str, Stack] = {stack.name: stack for stack in _STACKS}


def find(name: str | Stack) -> Stack:
    """The stack of that name; a Stack as it is. Raises UnknownStack."""
    if isinstance(name, Stack):
        return name
    if name in STACKS:
        return STACKS[name]
    near = difflib.get_close_matches(name.lower(), STACKS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UnknownStack(f"unknown stack {name!r}; {hint}known stacks: {', '.join(STACKS)}")


def available(stack: Stack) -> str | None:
    """Why the stack cannot run in this environment, with the remedy; None where it can."""
    missing = [package for package in stack.packages if not _installed(package)]
    return f"install {', '.join(missing)} ({_remedy(stack)})" if missing else None


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _remedy(stack: Stack) -> str:
    return "`make setup` does" if stack.optional is None else "`make setup STACKS=all` does"


def keeps(stack: Stack) -> dict[str, Case]:
    """The Cases of the contract that the stack keeps: all but its holes."""
    if stack.own is not None:
        return {}
    return {name: case for name, case in CASES.items() if name not in stack.holes}


def greeting(stack: Stack) -> tuple[Request, Expected | None]:
    """The request whose answer shows that the stack serves; the answer is None where any does."""
    if stack.own is not None:
        return Request("GET", stack.own.path), None
    return CASES["plain"].request, CASES["plain"].expected


def keeps_exchanges(stack: Stack) -> dict[str, Exchange]:
    """The WebSocket exchanges of the contract that the stack keeps: all but its holes."""
    if stack.own is not None:
        return {}
    return {name: one for name, one in EXCHANGES.items() if name not in stack.holes}


def hole(stack: Stack, case: Case) -> str | None:
    """Why the stack does not keep this Case, of CASES, EXCHANGES or larger; None where it does."""
    if case.name in CASES or case.name in EXCHANGES:
        return stack.holes.get(case.name)
    # A larger one promises what the small ones of its route and type do.
    path, headers = case.request.target.partition("?")[0], case.request.headers
    small = [one for one in CASES.values() if one.request.target.partition("?")[0] == path]
    alike = (one.name for one in small if one.request.headers == headers)
    return next((stack.holes[name] for name in alike if name in stack.holes), None)


def load(stack: Stack) -> Start:
    """The stack's `start`. Raises StartupFailed when its module cannot be imported."""
    try:
        module = importlib.import_module(stack.module)
    except ImportError as error:
        raise StartupFailed(
            f"stack {stack.name} cannot be imported: {error}; "
            f"install {', '.join(stack.packages)} ({_remedy(stack)})"
        ) from error
    start: Start = module.start if stack.own is None else partial(module.start, stack=stack)
    return start
