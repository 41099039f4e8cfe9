"""A handler that fetches several pages of another server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial

import aiohttp
from aiohttp import web
from quart import Quart

from loadtests.behaviour.many.hundred_handlers import Inside
from loadtests.behaviour.question import Answer, Experiment, Question
from loadtests.behaviour.served import Live, aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import get

PAGES = 8
PAGE_S = 0.1


def _other(inside: Inside) -> AbstractContextManager[Live]:
    """The other server: a page takes PAGE_S."""

    async def page(_: web.Request) -> web.Response:
        with inside:
            await asyncio.sleep(PAGE_S)
        return web.Response(text="page")

    app = web.Application()
    app.router.add_get("/", page)
    return aiohttp_server(app)


async def _page(session: aiohttp.ClientSession, url: str) -> int:
    async with session.get(url) as answer:
        return len(await answer.text())


async def gathered(url: str) -> int:
    """All pages at once, over one session."""
    async with aiohttp.ClientSession() as session:
        return sum(await asyncio.gather(*(_page(session, url) for _ in range(PAGES))))


async def one_by_one(url: str) -> int:
    """One page after another, over one session."""
    async with aiohttp.ClientSession() as session:
        return sum([await _page(session, url) for _ in range(PAGES)])


def on_aiohttp(fetch: Callable[[str], Awaitable[int]], url: str) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=str(await fetch(url)))

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart(fetch: Callable[[str], Awaitable[int]], url: str) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        return str(await fetch(url))

    return hypercorn_server(app)


def ask(begin: Callable[[str], AbstractContextManager[Live]]) -> Answer:
    """How many pages were on their way at once, seen by the other server."""
    inside = Inside()
    with _other(inside) as other, begin(f"http://127.0.0.1:{other.port}/") as server:
        reply = get(server.port, "/")
    if reply.text != str(PAGES * len("page")):
        raise ValueError(f"the handler fetched {reply.text} letters")
    how = "all at once" if inside.most == PAGES else f"{inside.most} at a time"
    return Answer(
        how,
        f"the other server saw at most {inside.most} of {PAGES} requests at once; the answer took "
        f"{reply.took_s:.2f} s, where one page takes {PAGE_S:g} s",
    )


QUESTION = Question(
    asks="How many pages are on their way at once when a handler fetches several?",
    experiments=tuple(
        Experiment(stack, setting, partial(ask, partial(begin, fetch)))
        for stack, begin in (("aiohttp", on_aiohttp), ("quart-hypercorn", on_quart))
        for setting, fetch in (
            ("await one after another", one_by_one),
            ("asyncio.gather", gathered),
        )
    ),
    follows={
        "all at once": "`asyncio.gather`, or a TaskGroup, makes it as slow as the slowest page.",
        "1 at a time": "`await` in a loop adds the pages' times up, however asynchronous the "
        "client is.",
    },
)
