"""How many connections aiohttp's client opens at once."""

from __future__ import annotations

import asyncio
from functools import partial

import aiohttp
from aiohttp import web
from quart import Quart

from loadtests.behaviour.many.hundred_handlers import Inside
from loadtests.behaviour.question import DEFAULT, Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.served import aiohttp_server, hypercorn_server

REQUESTS = 150
PAGE_S = 0.5


async def _ask_all(port: int, connector: aiohttp.TCPConnector | None) -> None:
    async def one(session: aiohttp.ClientSession) -> None:
        async with session.get(f"http://127.0.0.1:{port}/") as answer:
            await answer.read()

    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(one(session) for _ in range(REQUESTS)))


async def _with_limit(port: int, limit: int | None) -> None:
    connector = None if limit is None else aiohttp.TCPConnector(limit=limit)
    await _ask_all(port, connector)


def _answer(inside: Inside, limit: int | None) -> Answer:
    how = "no limit" if inside.most == REQUESTS else f"{inside.most} at once"
    given = "by default" if limit is None else f"with limit={limit}"
    return Answer(
        how,
        f"of {REQUESTS} requests begun at once {given}, at most {inside.most} were answered "
        "side by side",
    )


def against_aiohttp(limit: int | None = None) -> Answer:
    inside = Inside()

    async def handler(_: web.Request) -> web.Response:
        with inside:
            await asyncio.sleep(PAGE_S)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    with aiohttp_server(app) as server:
        asyncio.run(_with_limit(server.port, limit))
    return _answer(inside, limit)


def against_quart(limit: int | None = None) -> Answer:
    inside = Inside()
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        with inside:
            await asyncio.sleep(PAGE_S)
        return ""

    with hypercorn_server(app) as server:
        asyncio.run(_with_limit(server.port, limit))
    return _answer(inside, limit)


QUESTION = Question(
    asks="How many requests does one session of aiohttp's client have under way at once, and does "
    "the server limit them?",
    experiments=(
        Experiment("aiohttp", DEFAULT, against_aiohttp),
        Experiment("aiohttp", "TCPConnector(limit=0)", partial(against_aiohttp, 0)),
        Experiment("aiohttp", "TCPConnector(limit=10)", partial(against_aiohttp, 10)),
        Experiment("quart-hypercorn", DEFAULT, against_quart),
        Experiment("quart-hypercorn", "TCPConnector(limit=0)", partial(against_quart, 0)),
    ),
    claims=(
        Claim(
            "A client session has at most 100 connections.",
            {"100 at once": Agrees.YES, "*": Agrees.NO},
            ("aiohttp",),
        ),
    ),
    follows={
        "100 at once": "More requests than that wait inside the client, where no server log shows "
        "it: set `TCPConnector(limit=…)`.",
        "no limit": "Neither side limits them: bound them yourself, for instance with a semaphore.",
    },
)
