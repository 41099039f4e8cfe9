"""What an application keeps for all requests: under strings, and under typed keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from aiohttp import web
from quart import Quart, current_app

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.state.warned import warned

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


def _answer(value: str, warnings: list[str]) -> Answer:
    kept = {"1": "kept apart", "2": "the later one counts"}[value]
    names = " and ".join(sorted(set(warnings))) or "no warning"
    return Answer(
        f"{kept}, {names}", f"the first of the two found {value}; warnings: {len(warnings)}"
    )


def on_aiohttp(store: Callable[[web.Application], Callable[[web.Application], int]]) -> Answer:
    with warned() as names:
        app = web.Application()
        read = store(app)

        async def handler(request: web.Request) -> web.Response:
            return web.Response(text=str(read(request.app)))

        app.router.add_get("/", handler)
        with aiohttp_server(app) as server:
            value = get(server.port, "/").text
    return _answer(value, names)


def on_quart(store: Callable[[Quart], Callable[[], int]]) -> Answer:
    with warned() as names:
        app = Quart(__name__)
        read = store(app)

        @app.get("/")
        async def handler() -> str:
            return str(read())

        with hypercorn_server(app) as server:
            value = get(server.port, "/").text
    return _answer(value, names)


QUESTION = Question(
    asks="Two parts of a program keep something of the same name in the application: are they "
    "kept apart, and is there a warning?",
    experiments=(
        Experiment("aiohttp", 'app["limit"]', partial(on_aiohttp, strings)),
        Experiment("aiohttp", 'web.AppKey("limit", int)', partial(on_aiohttp, keys)),
        Experiment("aiohttp", "app.limit", partial(on_aiohttp, attribute)),
        Experiment("quart-hypercorn", 'app.config["LIMIT"]', partial(on_quart, config)),
        Experiment("quart-hypercorn", 'app.extensions["…"]', partial(on_quart, extensions)),
        Experiment("quart-hypercorn", "app.limit", partial(on_quart, quart_attribute)),
    ),
    claims=(
        Claim(
            "An application is a dictionary: strings are its keys.",
            {"the later one counts, *Warning": Agrees.PARTLY},
            ("aiohttp",),
        ),
    ),
    follows={
        "kept apart, no warning": "Two may use the same name without knowing of each other.",
        "the later one counts, NotAppKeyWarning": "Make a `web.AppKey` for each thing: it cannot "
        "collide, and a type checker knows what is under it.",
        "the later one counts, DeprecationWarning": "Attributes of one's own are discouraged: make "
        "a `web.AppKey`.",
        "the later one counts, no warning": "Nobody says that a name is taken: put a prefix of "
        "your own before it.",
    },
)
