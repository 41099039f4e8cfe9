"""Plain functions registered as hooks, and a plain generator as the body of an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.dispatch.places import Places
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

Add = Callable[[Any, Places], None]
"""Registers a plain function with an application."""


def on_startup(app: web.Application, places: Places) -> None:
    def noting(_: web.Application) -> Any:
        places.note()

    app.on_startup.append(noting)


def on_response_prepare(app: web.Application, places: Places) -> None:
    def noting(*_: Any) -> Any:
        places.note()

    app.on_response_prepare.append(noting)


def plain_middleware(app: web.Application, places: Places) -> None:
    """It hands on what the handler gives it: a coroutine, for aiohttp to await."""

    @web.middleware
    def watching(request: web.Request, handler: Any) -> Any:
        places.note()
        return handler(request)

    app.middlewares.append(watching)


def before_serving(app: Quart, places: Places) -> None:
    app.before_serving(places.note)


def before_request(app: Quart, places: Places) -> None:
    app.before_request(places.note)


def after_request(app: Quart, places: Places) -> None:
    @app.after_request
    def noting(response: Any) -> Any:
        places.note()
        return response


def teardown_request(app: Quart, places: Places) -> None:
    app.teardown_request(lambda _: places.note())


def error_handler(app: Quart, places: Places) -> None:
    @app.errorhandler(404)
    def noting(_: Exception) -> tuple[str, int]:
        places.note()
        return "not there", 404


def background_task(app: Quart, places: Places) -> None:
    @app.before_request
    async def begin() -> None:
        app.add_background_task(places.note)


def generator(app: Quart, places: Places) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            places.note()
            yield b"piece"

    @app.get("/stream")
    async def stream() -> Iterator[bytes]:
        return pieces()


def with_aiohttp(add: Add, places: Places) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    add(app, places)
    return aiohttp_server(app)


def with_quart(add: Add, places: Places) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        return ""

    add(app, places)
    return hypercorn_server(app)


def ask(begin: Callable[[Places], AbstractContextManager[Live]], target: str) -> Answer:
    """Have it called, and see where it was and what became of the answer."""
    places = Places()
    try:
        with begin(places) as server:
            got = _got(server.port, target)
            server.stop()  # background tasks are waited for
            ran = places.answer(server)
    except TypeError as error:
        return Answer("the application does not start", f"starting it raised TypeError: {error}")
    spoilt = "" if got in ("200", "404") else f", the client gets {got}"
    return Answer(ran.answer + spoilt, f"{ran.evidence}; the client got {got}")


def _got(port: int, target: str) -> str:
    try:
        return str(get(port, target).status)
    except NoAnswer:
        return "no answer"


QUESTION = Question(
    asks="On which thread does a plain function run that is registered as a hook?",
    experiments=(
        *(
            Experiment("aiohttp", name, partial(ask, partial(with_aiohttp, add), "/"))
            for name, add in (
                ("on_startup", on_startup),
                ("on_response_prepare", on_response_prepare),
                ("a middleware that returns handler(request)", plain_middleware),
            )
        ),
        *(
            Experiment("quart-hypercorn", name, partial(ask, partial(with_quart, add), target))
            for name, add, target in (
                ("before_serving", before_serving, "/"),
                ("before_request", before_request, "/"),
                ("after_request", after_request, "/"),
                ("teardown_request", teardown_request, "/"),
                ("errorhandler", error_handler, "/missing"),
                ("add_background_task", background_task, "/"),
                ("pieces of a generator that a route returns", generator, "/stream"),
            )
        ),
    ),
    claims=(
        Claim(
            "In Quart a plain function will do wherever an asynchronous one does.",
            {"worker thread*": Agrees.YES, "the loop's thread*": Agrees.PARTLY, "*": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "worker thread*": "It may block, costs a hop to a thread at every call, and waits for one "
        "where the pool is full, even if the route itself is async.",
        "the application does not start": "Its result is awaited: write `async def`.",
        "*the client gets*": "Its result is awaited, which fails too late for an error page: write "
        "`async def`, and test every hook.",
        "the loop's thread*": "It is called on the loop and must not block.",
    },
)
