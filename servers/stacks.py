"""STACKS: what can be measured: application × server × loop, one row each.

This is the only table of them. Each application, server and loop has one row, and the stacks
combine these; what some applications lack of the contract is listed in servers.holes, and which
Cases that are, servers.promises says. All else
follows from the columns: which servers run a person's own application, which have a manager of
worker processes, what a stack cannot keep, and CORE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from loopbench.servers.errors import UnknownStack
from loopbench.servers.holes import BARE_HOLES, FLASK_HOLES
from loopbench.servers.parts import (
    AIOHTTP,
    ASGI,
    BARE,
    WSGI,
    Application,
    Loop,
    Manager,
    Options,
    OwnApp,
    Server,
)

NO_LOOP = "none"
"""The `loop` of a Stack whose server has threads of its own: the loop that it is started
and stopped on serves nothing, so that nobody is to take it for the server's."""

_MORE = "stacks"
"""The group of requirements-stacks.in, which `make setup STACKS=all` installs."""


@dataclass(frozen=True, slots=True)
class Stack:
    """One row: framework × server × loop, with what its parts say of themselves.

    application, adapter: the modules that hold `create_app` and `serve`, see servers.parts;
        imported when the stack is used, never before. options: of `serve`.
    packages, optional, yardstick, holes, differs: as the parts have them.
    core: it is one of the two that the suite compares unless others are named.
    host: the name by which `--on` takes its server and its loop for a person's own application;
        None where it is not offered.
    own: the person's own application that it runs instead of the contract's; such a row is
        made by servers.custom.stacks, and not among STACKS.
    """

    name: str
    framework: str
    server: str
    loop: str
    summary: str
    application: str
    adapter: str
    packages: tuple[str, ...]
    options: Options = field(default_factory=dict, hash=False)
    yardstick: bool = False
    core: bool = False
    host: str | None = None
    optional: str | None = None
    holes: Mapping[str, str] = field(default_factory=dict, hash=False)
    differs: Mapping[str, str] = field(default_factory=dict, hash=False)
    own: OwnApp | None = None


AIOHTTP_APP = Application(
    framework="aiohttp",
    interface=AIOHTTP,
    module="loopbench.servers.apps.aiohttp_app",
    packages=("aiohttp", "multidict", "yarl", "propcache", "frozenlist"),
)
QUART_APP = Application(
    framework="Quart",
    interface=ASGI,
    module="loopbench.servers.apps.quart_app",
    packages=("quart", "werkzeug"),
)
FLASK_APP = Application(
    framework="Flask",
    interface=WSGI,
    module="loopbench.servers.apps.flask_app",
    packages=("flask", "werkzeug", "asgiref"),
    optional=_MORE,
    holes=FLASK_HOLES,
)
ASGI_APP = Application(
    framework="ASGI",
    interface=ASGI,
    module="loopbench.servers.apps.asgi_app",
    holes=BARE_HOLES,
)
ASYNCIO_APP = Application(
    framework="none",
    interface=BARE,
    module="loopbench.servers.apps.asyncio_app",
    yardstick=True,
    holes=BARE_HOLES,
)


_PARSER = {"in_force.http_parser": "each server brings its own"}
_IN_THREADS = _PARSER | {
    "in_force.request_threads": "every request runs in a thread, of as many as the others "
    "have for their sync routes",
}
_TEXT_LEFT_OUT = {
    "Quart": {
        "ws-echo-empty-binary": "Quart fails on an empty message whose text the server leaves out"
    }
}

_LOOPS = ("asyncio", "uvloop")
_GUNICORN = "gunicorn {module}:app --bind {host}:{port} --worker-class "
_HYPERCORN = "hypercorn {module}:app --bind {host}:{port} --worker-class {loop}"
_UVICORN = "uvicorn {module}:app --host {host} --port {port} --loop {loop} --http "
_GRANIAN = "granian {module}:app --interface asgi --host {host} --port {port} --loop {loop}"

AIOHTTP_SERVER = Server(
    name="aiohttp",
    interface=AIOHTTP,
    adapter="loopbench.servers.adapters.aiohttp_server",
    packages=("aiohttp",),
    own_options={"auto_decompress": True},  # what aiohttp does by itself
    manager=Manager(
        "gunicorn with aiohttp's worker",
        "loopbench.servers.managers.gunicorn_manager",
        packages=("gunicorn",),
        optional=_MORE,
        differs={"in_force.backlog": "aiohttp's worker for gunicorn listens anew, with 128"},
        command={
            "asyncio": f"{_GUNICORN}aiohttp.GunicornWebWorker --workers 2",
            "uvloop": f"{_GUNICORN}aiohttp.GunicornUVLoopWebWorker --workers 2",
        },
    ),
    holes={"ws-broken-unmasked": "aiohttp takes frames that a client has not masked"},
    command={"asyncio": "aiohttp.web {module}:create --hostname {host} --port {port}"},
)
HYPERCORN = Server(
    name="Hypercorn",
    interface=ASGI,
    adapter="loopbench.servers.adapters.hypercorn_server",
    packages=("hypercorn", "h11"),
    manager=Manager(
        "Hypercorn's workers",
        "loopbench.servers.managers.hypercorn_manager",
        command=dict.fromkeys(_LOOPS, f"{_HYPERCORN} --workers 2"),
    ),
    differs=_PARSER
    | {"in_force.max_requests_per_connection": "Hypercorn must have a number; it is beyond reach"},
    command=dict.fromkeys(_LOOPS, _HYPERCORN),
)
_UVICORN_MANAGER = Manager(
    "uvicorn's Multiprocess",
    "loopbench.servers.managers.uvicorn_manager",
    command=dict.fromkeys(_LOOPS, f"{_UVICORN}auto --workers 2"),
)
UVICORN_H11 = Server(
    name="uvicorn/h11",
    interface=ASGI,
    adapter="loopbench.servers.adapters.uvicorn_server",
    options={"parser": "h11"},
    packages=("uvicorn", "h11"),
    optional=_MORE,
    manager=_UVICORN_MANAGER,
    holes_with=_TEXT_LEFT_OUT,
    differs=_PARSER,
    command=dict.fromkeys(_LOOPS, f"{_UVICORN}h11"),
)
UVICORN_HTTPTOOLS = replace(
    UVICORN_H11,
    name="uvicorn/httptools",
    options={"parser": "httptools"},
    packages=("uvicorn", "httptools"),
    command=dict.fromkeys(_LOOPS, f"{_UVICORN}httptools"),
)
GRANIAN = Server(
    name="granian",
    interface=ASGI,
    adapter="loopbench.servers.adapters.granian_server",
    packages=("granian",),
    optional=_MORE,
    manager="what runs here is granian's embedded server",
    holes={"ws-broken-too-long": "granian takes messages of any size"},
    holes_with=_TEXT_LEFT_OUT,
    differs=_PARSER,
    command=dict.fromkeys(_LOOPS, _GRANIAN),
)
GTHREAD = Server(
    name="gunicorn/gthread",
    interface=WSGI,
    adapter="loopbench.servers.adapters.gthread_server",
    packages=("gunicorn",),
    optional=_MORE,
    manager="what runs here is the worker without gunicorn's arbiter",
    differs=_IN_THREADS,
    command={NO_LOOP: f"{_GUNICORN}gthread --threads 4"},
)
WAITRESS = Server(
    name="waitress",
    interface=WSGI,
    adapter="loopbench.servers.adapters.waitress_server",
    packages=("waitress",),
    optional=_MORE,
    manager="waitress is one process",
    differs=_IN_THREADS,
    command={NO_LOOP: "waitress --listen {host}:{port} {module}:app"},
)
ASYNCIO_SERVER = Server(
    name="asyncio.Protocol",
    interface=BARE,
    adapter="loopbench.servers.adapters.asyncio_server",
    packages=("httptools",),
    manager="the yardstick is one process",
    differs=_PARSER
    | {"in_force.keep_alive_s": "the yardstick keeps idle connections without bound"},
)

ASYNCIO = Loop("asyncio")
UVLOOP = Loop(
    "uvloop", ("uvloop",), optional=_MORE, differs={"loop.class": "it is what is compared"}
)
NONE = Loop(NO_LOOP, differs={"loop.class": "no loop serves"})


def combine(
    name: str,
    application: Application,
    server: Server,
    loop: Loop,
    summary: str,
    *,
    core: bool = False,
    host: str | None = None,
) -> Stack:
    """The row of an application on a server on a loop. core, host: as in Stack.

    Raises ValueError for a server that does not run such an application.
    """
    if application.interface != server.interface:
        raise ValueError(f"{name}: {server.name} does not run {application.interface}")
    together = (*application.packages, *server.packages, *loop.packages)
    return Stack(
        name=name,
        framework=application.framework,
        server=server.name,
        loop=loop.name,
        summary=summary,
        application=application.module,
        adapter=server.adapter,
        options=server.options,
        packages=tuple(dict.fromkeys(together)),
        yardstick=application.yardstick,
        core=core,
        host=host,
        optional=application.optional or server.optional or loop.optional,
        holes={
            **application.holes,
            **server.holes_with.get(application.framework, {}),
            **server.holes,
        },
        differs={**server.differs, **loop.differs},
    )


_STACKS = (
    combine(
        *("aiohttp", AIOHTTP_APP, AIOHTTP_SERVER, ASYNCIO),
        "aiohttp's application on its own server",
        core=True,
        host="aiohttp",
    ),
    combine(
        *("quart-hypercorn", QUART_APP, HYPERCORN, ASYNCIO),
        "a Quart application on the Hypercorn ASGI server",
        core=True,
        host="hypercorn",
    ),
    combine(
        *("asyncio", ASYNCIO_APP, ASYNCIO_SERVER, ASYNCIO),
        "no framework: the yardstick, and the generator's ceiling",
    ),
    combine(
        *("aiohttp-uvloop", AIOHTTP_APP, AIOHTTP_SERVER, UVLOOP),
        "the same as aiohttp on the loop of libuv",
        host="aiohttp-uvloop",
    ),
    combine(
        *("quart-hypercorn-uvloop", QUART_APP, HYPERCORN, UVLOOP),
        "the same as quart-hypercorn on the loop of libuv",
        host="hypercorn-uvloop",
    ),
    combine(
        *("quart-uvicorn", QUART_APP, UVICORN_H11, ASYNCIO),
        "the same Quart application on uvicorn, parsed by h11",
        host="uvicorn",
    ),
    combine(
        *("quart-uvicorn-httptools", QUART_APP, UVICORN_HTTPTOOLS, ASYNCIO),
        "the same as quart-uvicorn, parsed by httptools",
        host="uvicorn-httptools",
    ),
    combine(
        *("quart-uvicorn-uvloop", QUART_APP, UVICORN_HTTPTOOLS, UVLOOP),
        "the same as quart-uvicorn-httptools on the loop of libuv",
        host="uvicorn-uvloop",
    ),
    combine(
        *("quart-granian", QUART_APP, GRANIAN, ASYNCIO),
        "the same Quart application on granian, whose HTTP is in Rust",
        host="granian",
    ),
    combine(
        *("asgi-hypercorn", ASGI_APP, HYPERCORN, ASYNCIO),
        "a bare ASGI application: what Hypercorn costs without a framework",
    ),
    combine(
        *("asgi-uvicorn", ASGI_APP, UVICORN_H11, ASYNCIO),
        "the same bare application on uvicorn, parsed by h11",
    ),
    combine(
        *("asgi-granian", ASGI_APP, GRANIAN, ASYNCIO),
        "the same bare application on granian",
    ),
    combine(
        *("flask-gthread", FLASK_APP, GTHREAD, NONE),
        "Flask in the threads of gunicorn's gthread worker",
    ),
    combine(
        *("flask-waitress", FLASK_APP, WAITRESS, NONE),
        "Flask in the threads of waitress",
    ),
)

STACKS: dict[str, Stack] = {stack.name: stack for stack in _STACKS}

SERVERS: dict[str, Server] = {
    server.name: server
    for server in (
        *(AIOHTTP_SERVER, HYPERCORN, UVICORN_H11, UVICORN_HTTPTOOLS, GRANIAN),
        *(GTHREAD, WAITRESS, ASYNCIO_SERVER),
    )
}
LOOPS: dict[str, Loop] = {loop.name: loop for loop in (ASYNCIO, UVLOOP, NONE)}

CORE: tuple[str, ...] = tuple(stack.name for stack in _STACKS if stack.core)
"""The stacks that the suite compares unless others are named; a regression check gates them."""

YARDSTICKS: tuple[str, ...] = tuple(stack.name for stack in _STACKS if stack.yardstick)
"""What the generator is measured with; not to be chosen as a server."""

DEFAULT: tuple[str, ...] = CORE + YARDSTICKS
"""The stacks of a bench that names none."""


def find(name: str | Stack) -> Stack:
    """The stack of that name; a Stack as it is. Raises UnknownStack."""
    if isinstance(name, Stack):
        return name
    if name in STACKS:
        return STACKS[name]
    from difflib import get_close_matches  # takes long, and is for the mistaken

    near = get_close_matches(name.lower(), STACKS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UnknownStack(f"unknown stack {name!r}; {hint}known stacks: {', '.join(STACKS)}")
