"""Where an async route runs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.dispatch.aside import port_aside
from loopbench.loadtests.behaviour.dispatch.places import Places
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.starting.ports import get as get_when_ready

LISTENING_S = 15.0


def aiohttp_app(note: Callable[[], None]) -> web.Application:
    async def handler(_: web.Request) -> web.Response:
        note()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return app


def quart_app(note: Callable[[], None]) -> Quart:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        note()
        return ""

    return app


def on_aiohttp() -> Answer:
    places = Places()
    with aiohttp_server(aiohttp_app(places.note)) as server:
        get(server.port, "/")
        return places.answer(server)


def on_quart() -> Answer:
    places = Places()
    with hypercorn_server(quart_app(places.note)) as server:
        get(server.port, "/")
        return places.answer(server)


def run_app() -> Answer:
    places, started = Places(), Places()

    async def start(_: web.Application) -> None:
        started.note()

    app = aiohttp_app(places.note)
    app.on_startup.append(start)
    return in_the_runner(lambda port: web.run_app(app, port=port, print=None), started, places)


def quart_run() -> Answer:
    places, started = Places(), Places()
    app = quart_app(places.note)

    @app.before_serving
    async def start() -> None:
        started.note()

    return in_the_runner(lambda port: app.run(port=port), started, places)


def in_the_runner(run: Callable[[int], None], started: Places, places: Places) -> Answer:
    """Run the all-in-one runner where a program runs it: in the main thread.

    started: where the start-up hook ran, which is where the application's loop is.
    """
    port = port_aside()

    def client() -> None:
        get_when_ready(port, LISTENING_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=client).start()
    run(port)
    (place,), (start,) = places.seen, started.seen
    where = "main thread" if place.thread is threading.main_thread() else "another thread"
    loop = "on the server's loop" if place.loop is start.loop else "on another loop"
    return Answer(
        f"{where}, {loop}",
        f"it ran on thread {place.thread.name!r}, {loop}; the start-up hook on thread "
        f"{start.thread.name!r}",
    )


QUESTION = Question(
    asks="On which thread and loop does an async route run?",
    experiments=(
        Experiment("aiohttp", "AppRunner, in a loop in a thread", on_aiohttp),
        Experiment("aiohttp", "web.run_app", run_app),
        Experiment("quart-hypercorn", "hypercorn.asyncio.serve, in a loop in a thread", on_quart),
        Experiment("quart-hypercorn", "app.run", quart_run),
    ),
    claims=(
        Claim(
            "aiohttp handles everything on the main thread.",
            {"main thread*": Agrees.YES, "the loop's thread*": Agrees.PARTLY, "*": Agrees.NO},
            ("aiohttp",),
        ),
        Claim(
            "Quart runs async routes on the main thread.",
            {"main thread*": Agrees.YES, "the loop's thread*": Agrees.PARTLY, "*": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "the loop's thread*": "Not the main thread but the thread of its loop: what may be called "
        "there only, such as `signal.signal`, cannot be called in a handler.",
        "main thread*": "All async routes share this one thread: whatever one of them does without "
        "`await` holds up the others.",
    },
)
