"""A handler that fetches several pages of another server."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial

import aiohttp
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
from loopbench.loadtests.behaviour.many.crowd import Crowd

PAGES = 5
"""As many as the smallest default pool has threads."""
QUIET_S = 0.2


def _other(crowd: Crowd) -> AbstractContextManager[Live]:
    """The other server: it answers when nobody new has asked for a while."""

    async def page(_: web.Request) -> web.Response:
        await crowd.hold_async()
        return web.Response(text="page")

    app = web.Application()
    app.router.add_get("/", page)
    return aiohttp_server(app)


async def _page(session: aiohttp.ClientSession, url: str) -> int:
    async with session.get(url) as answer:
        return len(await answer.text())


def _blocking_page(url: str) -> int:
    with urllib.request.urlopen(url) as answer:
        return len(answer.read())


async def one_by_one(url: str) -> int:
    """One page after another, over one session."""
    async with aiohttp.ClientSession() as session:
        return sum([await _page(session, url) for _ in range(PAGES)])


async def gathered(url: str) -> int:
    """All pages at once, over one session."""
    async with aiohttp.ClientSession() as session:
        return sum(await asyncio.gather(*(_page(session, url) for _ in range(PAGES))))


async def in_group(url: str) -> int:
    """The same with a TaskGroup, which cancels the others where one fails."""
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        tasks = [group.create_task(_page(session, url)) for _ in range(PAGES)]
    return sum(task.result() for task in tasks)


async def bounded(url: str, most: int) -> int:
    """All pages, but no more than so many at once."""
    gate = asyncio.Semaphore(most)

    async def page(session: aiohttp.ClientSession) -> int:
        async with gate:
            return await _page(session, url)

    async with aiohttp.ClientSession() as session:
        return sum(await asyncio.gather(*(page(session) for _ in range(PAGES))))


async def blocking(url: str) -> int:
    """A client that blocks, in coroutines that look as if they ran side by side."""

    async def page() -> int:
        return _blocking_page(url)

    return sum(await asyncio.gather(*(page() for _ in range(PAGES))))


async def in_threads(url: str) -> int:
    """The same client, each call in a thread."""
    calls = (asyncio.to_thread(_blocking_page, url) for _ in range(PAGES))
    return sum(await asyncio.gather(*calls))


Fetch = Callable[[str], Awaitable[int]]
"""Fetches the pages at that address; how many letters they have together."""


def on_aiohttp(fetch: Fetch, url: str) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=str(await fetch(url)))

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart(fetch: Fetch, url: str) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        return str(await fetch(url))

    return hypercorn_server(app)


def ask(begin: Callable[[str], AbstractContextManager[Live]]) -> Answer:
    """How many pages were on their way at once, seen by the other server."""
    crowd = Crowd(QUIET_S)
    with _other(crowd) as other, begin(f"http://127.0.0.1:{other.port}/") as server:
        reply = get(server.port, "/")
    if reply.text != str(PAGES * len("page")):
        raise ValueError(f"the handler fetched {reply.text} letters")
    words = {1: "one after another", PAGES: "all at once"}
    return Answer(
        words.get(crowd.most, f"{crowd.most} at a time"),
        f"the other server saw at most {crowd.most} of {PAGES} requests at once; the answer took "
        f"{reply.took_s:.2f} s",
    )


WAYS: dict[str, Fetch] = {
    "await one after another": one_by_one,
    "asyncio.gather": gathered,
    "asyncio.TaskGroup": in_group,
    "asyncio.gather, with a Semaphore(2)": partial(bounded, most=2),
    "asyncio.gather of a blocking client": blocking,
    "asyncio.gather of a blocking client through to_thread": in_threads,
}

QUESTION = Question(
    asks="How many pages are on their way at once when a handler fetches several?",
    experiments=tuple(
        Experiment(stack, setting, partial(ask, partial(begin, fetch)))
        for stack, begin in (("aiohttp", on_aiohttp), ("quart-hypercorn", on_quart))
        for setting, fetch in WAYS.items()
    ),
    claims=(
        Claim(
            "asyncio.gather runs things side by side.",
            {"all at once": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
            (
                "asyncio.gather",
                "asyncio.gather of a blocking client",
                "asyncio.gather of a blocking client through to_thread",
            ),
        ),
    ),
    follows={
        "all at once": "`asyncio.gather`, or a TaskGroup, makes it as slow as the slowest page.",
        "one after another": "`await` in a loop adds the pages' times up, however asynchronous the "
        "client is; and a client that blocks does so inside `asyncio.gather`, too.",
        "* at a time": "A semaphore bounds what one handler asks of another server at once.",
    },
)
