"""How many requests aiohttp's client has under way at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.many.crowd import Crowd

REQUESTS = 150
"""To each server."""

Begin = Callable[[Crowd], AbstractContextManager[Live]]


def on_aiohttp(crowd: Crowd) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        await crowd.hold_async()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart(crowd: Crowd) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        await crowd.hold_async()
        return ""

    return hypercorn_server(app)


async def _fetch_all(ports: list[int], limits: dict[str, Any]) -> None:
    """Ask every server many times, all at once, through one session."""

    async def fetch(session: aiohttp.ClientSession, port: int) -> None:
        async with session.get(f"http://127.0.0.1:{port}/") as answer:
            await answer.read()

    connector = aiohttp.TCPConnector(**limits) if limits else None
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(fetch(session, port) for port in ports for _ in range(REQUESTS)))


def ask(begin: Begin, servers: int = 1, **limits: int) -> Answer:
    """servers: how many there are. limits: of the connector, where it is not the default one."""
    crowd = Crowd()
    with ExitStack() as stack:
        ports = [stack.enter_context(begin(crowd)).port for _ in range(servers)]
        asyncio.run(_fetch_all(ports, limits))
    count = servers * REQUESTS
    return Answer(
        "no limit" if crowd.most == count else f"{crowd.most} at once",
        f"of {count} requests begun at once, to {servers} "
        f"server{'s' * (servers > 1)}, at most {crowd.most} were in handlers side by side",
    )


BEGIN: dict[str, Begin] = {"aiohttp": on_aiohttp, "quart-hypercorn": on_quart}

_LIMITED = (
    ("TCPConnector(limit=0)", {"limit": 0}),
    ("TCPConnector(limit=40)", {"limit": 40}),
    ("TCPConnector(limit_per_host=40)", {"limit_per_host": 40}),
)

QUESTION = Question(
    asks="How many requests does one session of aiohttp's client have under way at once, and does "
    "the server limit them?",
    experiments=tuple(
        Experiment(stack, setting, partial(ask, begin, servers, **limits))
        for stack, begin in BEGIN.items()
        for setting, servers, limits in (
            (DEFAULT, 1, {}),
            ("two servers", 2, {}),
            *((name, 1, limits) for name, limits in _LIMITED),
            ("two servers, TCPConnector(limit_per_host=40)", 2, {"limit_per_host": 40}),
        )
    ),
    claims=(
        Claim(
            "A client session has at most 100 connections.",
            {"100 at once": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
            (DEFAULT, "two servers"),
        ),
    ),
    follows={
        "100 at once": "More requests than that wait inside the client, where no server's log "
        "shows it, and the limit is for all servers together: set `TCPConnector(limit=…)`.",
        "no limit": "Neither side limits them: bound them yourself, for instance with a semaphore.",
    },
)
