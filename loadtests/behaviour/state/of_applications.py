"""What an application keeps for all requests: names, nested applications, later changes."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TextIO

from aiohttp import web
from quart import Blueprint, Quart, current_app, g, request

from loopbench.loadtests.behaviour.framework.experiment import Variants, experiment, variants
from loopbench.loadtests.behaviour.framework.question import NONE, Answer
from loopbench.loadtests.behaviour.framework.raw_client import Wire, get
from loopbench.loadtests.behaviour.framework.servers import App, Live, serve

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextmanager
def warned() -> Iterator[list[str]]:
    """Names of the categories of all warnings meanwhile, of every thread, as they come."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        names: list[str] = []

        def note(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            names.append(category.__name__)

        warnings.showwarning = note
        yield names


MINE, THEIRS = web.AppKey("limit", int), web.AppKey("limit", int)
"""Two parts of a program that chose the same name."""


def strings(app: web.Application) -> Callable[[web.Application], int]:
    app["limit"] = 1
    app["limit"] = 2
    return lambda app: int(app["limit"])


def keys(app: web.Application) -> Callable[[web.Application], int]:
    app[MINE] = 1
    app[THEIRS] = 2
    return lambda app: app[MINE]


def attribute(app: web.Application) -> Callable[[web.Application], int]:
    app.limit = 1
    app.limit = 2
    return lambda app: int(app.limit)  # type: ignore[attr-defined]


def config(app: Quart) -> Callable[[], int]:
    app.config["LIMIT"] = 1
    app.config["LIMIT"] = 2
    return lambda: int(current_app.config["LIMIT"])


def extensions(app: Quart) -> Callable[[], int]:
    app.extensions["mine"] = {"limit": 1}
    app.extensions["theirs"] = {"limit": 2}
    return lambda: int(current_app.extensions["mine"]["limit"])


def quart_attribute(app: Quart) -> Callable[[], int]:
    app.limit = 1  # type: ignore[attr-defined]
    app.limit = 2  # type: ignore[attr-defined]
    return lambda: int(current_app.limit)  # type: ignore[attr-defined]


def aiohttp_storing(
    store: Callable[[web.Application], Callable[[web.Application], int]],
) -> web.Application:
    app = web.Application()
    read = store(app)

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=str(read(request.app)))

    app.router.add_get("/", handler)
    return app


def quart_storing(store: Callable[[Quart], Callable[[], int]]) -> Quart:
    app = Quart(__name__)
    read = store(app)

    @app.get("/")
    async def handler() -> str:
        return str(read())

    return app


STORING: Variants = {
    AIOHTTP: {
        'app["limit"]': partial(aiohttp_storing, strings),
        'web.AppKey("limit", int)': partial(aiohttp_storing, keys),
        "app.limit": partial(aiohttp_storing, attribute),
    },
    QUART: {
        'app.config["LIMIT"]': partial(quart_storing, config),
        'app.extensions["…"]': partial(quart_storing, extensions),
        "app.limit": partial(quart_storing, quart_attribute),
    },
}


@variants("app-keys", STORING)
def ask_same_name(application: Callable[[], App]) -> Answer:
    with warned() as warnings, serve(application()) as server:
        value = get(server.port, "/").text
    kept = {"1": "kept apart", "2": "the later one counts"}[value]
    names = " and ".join(sorted(set(warnings))) or "no warning"
    return Answer(
        f"{kept}, {names}", f"the first of the two found {value}; warnings: {len(warnings)}"
    )


LIMIT, SHARED = web.AppKey("limit", str), web.AppKey("shared", dict[str, str])


def aiohttp_changing() -> web.Application:
    """GET / tells the state: what the key holds, and what the dictionary in it holds."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.app[LIMIT]} {request.app[SHARED].get('limit')}")

    app = web.Application()
    app[LIMIT] = "old"
    app[SHARED] = {}
    app.router.add_get("/", handler)
    return app


async def _new(*_: Any) -> web.Response:
    return web.Response(text="new")


@web.middleware
async def _around(request: web.Request, handler: Handler) -> web.StreamResponse:
    return web.Response(text="new")


def set_key(app: web.Application) -> None:
    app[LIMIT] = "new"


def change_value(app: web.Application) -> None:
    app[SHARED]["limit"] = "new"


def add_route(app: web.Application) -> None:
    app.router.add_get("/new", _new)


def add_middleware(app: web.Application) -> None:
    app.middlewares.append(_around)


def add_signal(app: web.Application) -> None:
    async def note(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-New"] = "new"

    app.on_response_prepare.append(note)


def quart_changing() -> Quart:
    """GET / answers."""
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        return "old"

    return app


def quart_route(app: Quart) -> None:
    async def new() -> str:
        return "new"

    app.add_url_rule("/new", view_func=new)


def quart_hook(app: Quart) -> None:
    async def new() -> str:
        return "new"

    app.before_request(new)


CHANGES_OF_AIOHTTP: dict[str, Callable[[web.Application], None]] = {
    "app[key] = …": set_key,
    "app[key] is changed within": change_value,
    "app.router.add_get": add_route,
    "app.middlewares.append": add_middleware,
    "app.on_response_prepare.append": add_signal,
}
CHANGES_OF_QUART: dict[str, Callable[[Quart], None]] = {
    "app.add_url_rule": quart_route,
    "app.before_request": quart_hook,
}


BEFORE, AFTER = "before the first request", "after the first request"
CHANGES: Variants = {
    AIOHTTP: {
        name: (aiohttp_changing, change, BEFORE) for name, change in CHANGES_OF_AIOHTTP.items()
    },
    QUART: {
        f"{name}, {when}": (quart_changing, change, when)
        for name, change in CHANGES_OF_QUART.items()
        for when in (BEFORE, AFTER)
    },
}


@variants("change-after-start", CHANGES)
def ask_change(changing: tuple[Callable[[], App], Callable[[Any], None], str]) -> Answer:
    """changing: the application, what is done to it while it serves, and when."""
    application, change, when = changing
    app = application()
    with serve(app) as server:
        if when == AFTER:
            get(server.port, "/")

        async def do() -> str:
            try:
                change(app)
            except Exception as error:
                return type(error).__name__
            return ""

        with warned() as names:
            refused = server.call(do())
        replies = [get(server.port, target) for target in ("/", "/new")]
    shown = any("new" in reply.text or reply.header("x-new") for reply in replies)
    effect = "takes effect" if shown else "has no effect"
    said = refused or " and ".join(sorted(set(names))) or "nothing is said"
    statuses = " and ".join(f"{reply.status} {reply.text[:12]!r}" for reply in replies)
    return Answer(f"{said}, it {effect}", f"afterwards / and /new answered {statuses}; {said}")


def _post(port: int) -> int:
    with Wire(port) as wire:
        wire.request("POST", "/", body=b"x" * 100)
        return wire.answer().status


@experiment("config-after-start", QUART, 'app.config["LIMIT"]', "LIMIT", "new")
@experiment(
    "config-after-start", QUART, 'app.config["MAX_CONTENT_LENGTH"]', "MAX_CONTENT_LENGTH", 10
)
def change_config(name: str, value: Any) -> Answer:
    app = Quart(__name__)
    app.config["LIMIT"] = "old"

    @app.get("/")
    async def tell() -> str:
        return str(app.config["LIMIT"])

    @app.post("/")
    async def take() -> str:
        return f"{len(await request.get_data())} bytes"

    with serve(app) as server:
        before = _state(server, name)
        app.config[name] = value
        after = _state(server, name)
    changed = "the next request obeys it" if before != after else "it is not obeyed"
    return Answer(changed, f"before the change the answer was {before}, after it {after}")


def _state(server: Live, name: str) -> str:
    if name == "MAX_CONTENT_LENGTH":
        return f"{_post(server.port)} to 100 bytes"
    return get(server.port, "/").text


@experiment("config-after-start", AIOHTTP, "client_max_size")
def look_for_limits() -> Answer:
    """client_max_size, of all that the constructor takes, would be the counterpart."""

    async def take(request: web.Request) -> web.Response:
        return web.Response(text=f"{len(await request.read())} bytes")

    app = web.Application(client_max_size=1000)
    app.router.add_post("/", take)
    with serve(app) as server:
        status = _post(server.port)
    public = [name for name in dir(app) if "max" in name and not name.startswith("_")]
    if public:
        return Answer("there is a setting", f"an Application has {', '.join(public)}")
    return Answer(
        NONE,
        f"{status} to 100 bytes where 1,000 are allowed; an Application shows no limit that could "
        "be changed: client_max_size is given once, to its constructor",
    )


def in_app(request: web.Request) -> str:
    return request.app[LIMIT]


def in_config_dict(request: web.Request) -> str:
    return request.config_dict[LIMIT]


def aiohttp_nested(look: Callable[[web.Request], str], shadowed: bool = False) -> web.Application:
    """shadowed: the nested application keeps something under the same key."""

    async def handler(request: web.Request) -> web.Response:
        try:
            return web.Response(text=look(request))
        except KeyError:
            return web.Response(text="KeyError")

    outer, inner = web.Application(), web.Application()
    outer[LIMIT] = "the outer one's"
    if shadowed:
        inner[LIMIT] = "the nested one's"
    inner.router.add_get("/", handler)
    outer.add_subapp("/inner", inner)
    return outer


def quart_nested(look: Callable[[], str]) -> Quart:
    inner = Blueprint("inner", __name__, url_prefix="/inner")

    @inner.get("/")
    async def handler() -> str:
        return look()

    app = Quart(__name__)
    app.config["LIMIT"] = "the outer one's"

    @app.before_request
    async def store() -> None:
        g.limit = "the outer one's"

    app.register_blueprint(inner)
    return app


def in_config() -> str:
    return str(current_app.config.get("LIMIT", "nothing"))


def in_g() -> str:
    return str(g.get("limit", "nothing"))


NESTED: Variants = {
    AIOHTTP: {
        "request.app[key]": partial(aiohttp_nested, in_app),
        "request.config_dict[key]": partial(aiohttp_nested, in_config_dict),
        "request.config_dict[key], both have it": partial(aiohttp_nested, in_config_dict, True),
    },
    QUART: {
        'current_app.config["LIMIT"]': partial(quart_nested, in_config),
        "g.limit": partial(quart_nested, in_g),
    },
}


@variants("nested-lookup", NESTED)
def ask_nested(application: Callable[[], App]) -> Answer:
    with serve(application()) as server:
        found = get(server.port, "/inner/").text
    return Answer(found, f"the handler of the nested application got {found!r}")
