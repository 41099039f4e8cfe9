"""A handler that pushes WebSocket messages without ever sleeping."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial

import aiohttp
from aiohttp import web
from quart import Quart, websocket

from loadtests.behaviour.question import Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.seen import Seen
from loadtests.behaviour.served import Live, aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import NoAnswer, get

PATIENCE_S = 3.0


def on_aiohttp(seen: Seen, sleep_s: float | None) -> AbstractContextManager[Live]:
    async def push(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        seen("pushing")
        while not socket.closed:
            await socket.send_str("hello")
            if sleep_s is not None:
                await asyncio.sleep(sleep_s)
        return socket

    async def innocent(_: web.Request) -> web.Response:
        return web.Response(text="served")

    app = web.Application()
    app.router.add_get("/push", push)
    app.router.add_get("/", innocent)
    return aiohttp_server(app)


def on_quart(seen: Seen, sleep_s: float | None) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.websocket("/push")
    async def push() -> None:
        seen("pushing")
        while True:
            await websocket.send("hello")
            if sleep_s is not None:
                await asyncio.sleep(sleep_s)

    @app.get("/")
    async def innocent() -> str:
        return "served"

    return hypercorn_server(app)


def _reader(port: int, got: list[int], enough: threading.Event) -> None:
    """Reads as fast as it can, as a browser does."""

    async def read() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(f"http://127.0.0.1:{port}/push") as socket:
                async for _ in socket:
                    got[0] += 1
                    if enough.is_set():
                        return

    with suppress(aiohttp.ClientError, OSError):
        asyncio.run(read())


def ask(begin: Callable[[Seen], AbstractContextManager[Live]]) -> Answer:
    """Ask for a page while the messages flow."""
    seen, got, enough = Seen(), [0], threading.Event()
    with begin(seen) as server:
        reader = threading.Thread(target=_reader, args=(server.port, got, enough), daemon=True)
        reader.start()
        seen.wait("pushing")
        seen.wait("never", 0.3)
        before = got[0]
        try:
            took_s = get(server.port, "/", PATIENCE_S).took_s
        except NoAnswer:
            return Answer(
                "others starve",
                f"no answer within {PATIENCE_S:g} s, while {got[0] - before} messages came",
            )
        during = got[0] - before
        enough.set()
    return Answer("others are served", f"served after {took_s:.3f} s, while {during} messages came")


QUESTION = Question(
    asks="Does a loop that pushes WebSocket messages without sleeping starve the others?",
    experiments=tuple(
        Experiment(stack, setting, partial(ask, partial(begin, sleep_s=sleep_s)), alone=True)
        for stack, begin in (("aiohttp", on_aiohttp), ("quart-hypercorn", on_quart))
        for setting, sleep_s in (("no sleep", None), ("await asyncio.sleep(0)", 0.0))
    ),
    claims=(
        Claim(
            "`await` gives the others their turn.",
            {"others are served": Agrees.YES, "others starve": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
            ("no sleep",),
        ),
    ),
    follows={
        "others starve": "An await that never has to wait never yields: put `await "
        "asyncio.sleep(0)` into such a loop.",
        "others are served": "Sending waits for the client now and then, and everybody gets a "
        "turn; how late depends on how fast the client reads.",
    },
)
