"""Changes to an application that is already serving."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.state.warned import warned

LIMIT, SHARED = web.AppKey("limit", str), web.AppKey("shared", dict[str, str])
BEFORE, AFTER = "before the first request", "after the first request"


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def aiohttp_app() -> web.Application:
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


def quart_app() -> Quart:
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


AIOHTTP: dict[str, Callable[[web.Application], None]] = {
    "app[key] = …": set_key,
    "app[key] is changed within": change_value,
    "app.router.add_get": add_route,
    "app.middlewares.append": add_middleware,
    "app.on_response_prepare.append": add_signal,
}
QUART: dict[str, Callable[[Quart], None]] = {
    "app.add_url_rule": quart_route,
    "app.before_request": quart_hook,
}


def ask(
    serve: Callable[[Any], AbstractContextManager[Live]],
    make: Callable[[], Any],
    change: Callable[[Any], None],
    when: str,
) -> Answer:
    app = make()
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


QUESTION = Question(
    asks="What happens when an application is changed that is already serving?",
    experiments=(
        *(
            Experiment("aiohttp", name, partial(ask, aiohttp_server, aiohttp_app, change, BEFORE))
            for name, change in AIOHTTP.items()
        ),
        *(
            Experiment(
                "quart-hypercorn",
                f"{name}, {when}",
                partial(ask, hypercorn_server, quart_app, change, when),
            )
            for name, change in QUART.items()
            for when in (BEFORE, AFTER)
        ),
    ),
    claims=(
        Claim(
            "The state of an application cannot be changed once it has started.",
            {
                "DeprecationWarning, it takes effect": Agrees.PARTLY,
                "nothing is said, it takes effect": Agrees.NO,
                "RuntimeError, it has no effect": Agrees.YES,
            },
            ("aiohttp",),
        ),
        Claim(
            "Routes and hooks have to be added before the application serves.",
            {"AssertionError*": Agrees.YES, "nothing is said, it takes effect": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "DeprecationWarning, it takes effect": "It works today, and is announced to end: keep a "
        "mutable object in the application, and change that.",
        "nothing is said, it takes effect": "Nobody refuses it; requests under way may see the old "
        "and the new.",
        "*Error, it has no effect": "Set everything up before the server starts.",
        "AssertionError, it takes effect": "It is refused, and done all the same: set everything "
        "up before the server starts.",
    },
)
