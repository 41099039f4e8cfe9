"""One client session for everything, or one for each request."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial

import aiohttp
from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.question import Answer, Experiment, Question
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

REQUESTS = 5


def _other(ports: list[int]) -> AbstractContextManager[Live]:
    """The other server: it notes the port that a request comes from."""

    async def page(request: web.Request) -> web.Response:
        peer = request.get_extra_info("peername")
        ports.append(int(peer[1]))
        return web.Response(text="page")

    app = web.Application()
    app.router.add_get("/", page)
    return aiohttp_server(app)


Fetch = Callable[[aiohttp.ClientSession, str], Awaitable[str]]
"""Fetches a page, given the application's session and the address."""


async def through_shared(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        return await answer.text()


async def through_own(_: aiohttp.ClientSession, url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


def on_aiohttp(fetch: Fetch, url: str) -> AbstractContextManager[Live]:
    key = web.AppKey("session", aiohttp.ClientSession)

    async def session(app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as app[key]:
            yield

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=await fetch(request.app[key], url))

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart(fetch: Fetch, url: str) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.while_serving
    async def session() -> AsyncGenerator[None, None]:
        async with aiohttp.ClientSession() as app.extensions["session"]:
            yield

    @app.get("/")
    async def handler() -> str:
        return await fetch(app.extensions["session"], url)

    return hypercorn_server(app)


def ask(begin: Callable[[str], AbstractContextManager[Live]]) -> Answer:
    """Over how many connections does the other server get what one request after another needs?"""
    ports: list[int] = []
    with _other(ports) as other, begin(f"http://127.0.0.1:{other.port}/") as server:
        texts = [get(server.port, "/").text for _ in range(REQUESTS)]
    if texts != ["page"] * REQUESTS:
        raise ValueError(f"the answers were {', '.join(texts)}")
    count = len(set(ports))
    words = {1: "one connection for all", REQUESTS: "a connection a request"}
    return Answer(
        words.get(count, f"{count} connections"),
        f"{len(ports)} requests reached the other server over {count} connections",
    )


QUESTION = Question(
    asks="Over how many connections does a handler fetch from another server, with one client "
    "session for the application and with one for each request?",
    experiments=tuple(
        Experiment(stack, setting, partial(ask, partial(begin, fetch)))
        for stack, begin in (("aiohttp", on_aiohttp), ("quart-hypercorn", on_quart))
        for setting, fetch in (
            ("one ClientSession, made at start-up", through_shared),
            ("a ClientSession for each request", through_own),
        )
    ),
    follows={
        "one connection for all": "Make the session when the application starts, and close it "
        "when it ends: its connections are used again.",
        "a connection a request": "Each request pays for a connection, and for a handshake of TLS "
        "where there is one.",
    },
)
