"""Handlers as clients of another server: how many requests at once, and over which connections."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import ExitStack
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.applications import aiohttp_answering, aiohttp_app
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiments
from loopbench.loadtests.behaviour.framework.crowd import Crowd
from loopbench.loadtests.behaviour.serving import AIOHTTP, ANSWERING, QUART, App, Build, Work, serve
from loopbench.loadtests.behaviour.talking import get

PAGES = 5
"""As many as the smallest default pool has threads."""


def held(crowd: Crowd) -> dict[str, Work]:
    """An answer that is there when nobody new has asked for a while."""

    async def page() -> str:
        await crowd.hold_async()
        return "page"

    return {"/": page}


Pages = list[Coroutine[Any, Any, int]]
"""Fetchings of pages, each of which gives how many letters the page has."""


async def one_by_one(pages: Pages) -> list[int]:
    return [await page for page in pages]


async def gathered(pages: Pages) -> list[int]:
    return await asyncio.gather(*pages)


async def in_group(pages: Pages) -> list[int]:
    """It cancels the others where one fails."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(page) for page in pages]
    return [task.result() for task in tasks]


async def bounded(pages: Pages) -> list[int]:
    """No more than two at once."""
    gate = asyncio.Semaphore(2)

    async def one(page: Awaitable[int]) -> int:
        async with gate:
            return await page

    return await asyncio.gather(*map(one, pages))


async def page(session: aiohttp.ClientSession, url: str) -> int:
    async with session.get(url) as answer:
        return len(await answer.text())


def blocking(url: str) -> int:
    with urllib.request.urlopen(url) as answer:
        return len(answer.read())


async def blocking_page(_: aiohttp.ClientSession, url: str) -> int:
    """A client that blocks, in a coroutine that looks as if it let others run."""
    return blocking(url)


async def page_in_thread(_: aiohttp.ClientSession, url: str) -> int:
    return await asyncio.to_thread(blocking, url)


FetchAll = tuple[Callable[[Pages], Awaitable[list[int]]], Callable[..., Coroutine[Any, Any, int]]]
"""How a handler waits for all pages; and how it fetches one, given a session and its address."""

WAYS: dict[str, FetchAll] = {
    "await one after another": (one_by_one, page),
    "asyncio.gather": (gathered, page),
    "asyncio.TaskGroup": (in_group, page),
    "asyncio.gather, with a Semaphore(2)": (bounded, page),
    "asyncio.gather of a blocking client": (gathered, blocking_page),
    "asyncio.gather of a blocking client through to_thread": (gathered, page_in_thread),
}


async def letters(ways: FetchAll, url: str) -> int:
    """The work of the handler: how many letters all pages have together."""
    together, fetch = ways
    async with aiohttp.ClientSession() as session:
        return sum(await together([fetch(session, url) for _ in range(PAGES)]))


@experiments("client-gather", ANSWERING, WAYS, sensitive=True)
def ask_gather(application: Build, ways: FetchAll) -> Answer:
    """How many pages were on their way at once, seen by the other server."""
    crowd = Crowd(0.2)
    with serve(aiohttp_answering(held(crowd))) as other:
        work = partial(letters, ways, f"http://127.0.0.1:{other.port}/")
        with serve(application({"/": work})) as server:
            reply = get(server.port, "/")
    if reply.text != str(PAGES * len("page")):
        raise ValueError(f"the handler fetched {reply.text} letters")
    words = {1: "one after another", PAGES: "all at once"}
    return Answer(
        words.get(crowd.most, f"{crowd.most} at a time"),
        f"the other server saw at most {crowd.most} of {PAGES} requests at once; the answer took "
        f"{reply.took_s:.2f} s",
    )


REQUESTS = 5


def noting_ports(ports: list[int]) -> web.Application:
    """The other server: it notes the port that a request comes from."""

    async def page(request: web.Request) -> web.Response:
        peer = request.get_extra_info("peername")
        ports.append(int(peer[1]))
        return web.Response(text="page")

    return aiohttp_app(web.get("/", page))


Fetch = Callable[[aiohttp.ClientSession, str], Awaitable[str]]
"""Fetches a page, given the application's session and the address."""


async def through_shared(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        return await answer.text()


async def through_own(_: aiohttp.ClientSession, url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


def aiohttp_session(fetch: Fetch, url: str) -> web.Application:
    key = web.AppKey("session", aiohttp.ClientSession)

    async def session(app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as app[key]:
            yield

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=await fetch(request.app[key], url))

    app = aiohttp_app(web.get("/", handler))
    app.cleanup_ctx.append(session)
    return app


def quart_session(fetch: Fetch, url: str) -> Quart:
    app = Quart(__name__)

    @app.while_serving
    async def session() -> AsyncGenerator[None, None]:
        async with aiohttp.ClientSession() as app.extensions["session"]:
            yield

    @app.get("/")
    async def handler() -> str:
        return await fetch(app.extensions["session"], url)

    return app


SESSIONS: dict[str, Fetch] = {
    "one ClientSession, made at start-up": through_shared,
    "a ClientSession for each request": through_own,
}


@experiments("client-sessions", {AIOHTTP: aiohttp_session, QUART: quart_session}, SESSIONS)
def ask_sessions(application: Callable[[Fetch, str], App], fetch: Fetch) -> Answer:
    """Over how many connections does the other server get what one request after another needs?"""
    ports: list[int] = []
    with (
        serve(noting_ports(ports)) as other,
        serve(application(fetch, f"http://127.0.0.1:{other.port}/")) as server,
    ):
        texts = [get(server.port, "/").text for _ in range(REQUESTS)]
    if texts != ["page"] * REQUESTS:
        raise ValueError(f"the answers were {', '.join(texts)}")
    count = len(set(ports))
    words = {1: "one connection for all", REQUESTS: "a connection a request"}
    return Answer(
        words.get(count, f"{count} connections"),
        f"{len(ports)} requests reached the other server over {count} connections",
    )


EACH = 150
"""Requests to each server."""


async def _fetch_all(ports: list[int], limits: dict[str, Any]) -> None:
    """Ask every server many times, all at once, through one session."""
    connector = aiohttp.TCPConnector(**limits) if limits else None
    async with aiohttp.ClientSession(connector=connector) as session:
        urls = [f"http://127.0.0.1:{port}/" for port in ports]
        await asyncio.gather(*(page(session, url) for url in urls for _ in range(EACH)))


LIMITS: dict[str, tuple[int, dict[str, int]]] = {
    DEFAULT: (1, {}),
    "two servers": (2, {}),
    "TCPConnector(limit=0)": (1, {"limit": 0}),
    "TCPConnector(limit=40)": (1, {"limit": 40}),
    "TCPConnector(limit_per_host=40)": (1, {"limit_per_host": 40}),
    "two servers, TCPConnector(limit_per_host=40)": (2, {"limit_per_host": 40}),
}


@experiments("connections-limit", ANSWERING, LIMITS, sensitive=True)
def ask_limit(application: Build, limited: tuple[int, dict[str, int]]) -> Answer:
    """limited: how many servers, and the limits of the connector that is not the default one."""
    servers, limits = limited
    crowd = Crowd()
    with ExitStack() as stack:
        others = [serve(application(held(crowd))) for _ in range(servers)]
        ports = [stack.enter_context(other).port for other in others]
        asyncio.run(_fetch_all(ports, limits))
    count = servers * EACH
    return Answer(
        "no limit" if crowd.most == count else f"{crowd.most} at once",
        f"of {count} requests begun at once, to {servers} "
        f"server{'s' * (servers > 1)}, at most {crowd.most} were in handlers side by side",
    )
