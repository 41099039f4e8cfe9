"""Many requests at once, on many connections or on one: how many handlers work side by side; and
handlers as clients of another server: how many requests at once, over which connections."""

import asyncio
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, ANSWERING, QUART, Build, Work, serve
from loopbench.loadtests.behaviour.asking import DEFAULT, NONE, Answer, experiment, experiments
from loopbench.loadtests.behaviour.dispatch.pools import all_ask, connected, in_words, set_pool
from loopbench.loadtests.behaviour.framework.crowd import Crowd, Inside
from loopbench.loadtests.behaviour.framework.http2_client import in_streams, pipelined
from loopbench.loadtests.behaviour.talking import NoAnswer, Wire, as_seen, get, reply_of, seen

REQUESTS = 100
WAIT_S = 0.5
SHORT_S = 0.02
"""Instead, where a hundred of them add up."""
LARGER = 50
"""Threads; more than any machine's default."""
PAGES = 5
"""As many as the smallest default pool has threads."""
EACH = 150
"""Requests to each server."""
RETRIED_S = 1.5
"""A server that is slow to accept holds 100 (Hypercorn) or 128 (aiohttp) connections that wait for
it; the kernel drops what comes beyond that, and the client's tries again after a second."""


async def sleeping(inside: Inside) -> None:
    with inside:
        await asyncio.sleep(WAIT_S)


def plain(inside: Inside, wait_s: float = WAIT_S) -> None:
    with inside:
        time.sleep(wait_s)


SLEEPING = {"await asyncio.sleep(0.5)": sleeping}
BLOCKING = {f"time.sleep({SHORT_S}) in an async route": partial(plain, wait_s=SHORT_S)}
IN_A_THREAD = "time.sleep(0.5) through asyncio.to_thread"
IN_A_ROUTE = "time.sleep(0.5) in a sync route"
hundred = partial(experiment, "hundred-handlers", bound_s=60, sensitive=True)


@experiments("hundred-handlers", apps.AWAITING, SLEEPING, alone=True)
@experiments("hundred-handlers", apps.CALLING, BLOCKING, SHORT_S, sensitive=True)
@hundred(AIOHTTP, IN_A_THREAD, apps.SYNC[AIOHTTP], plain)
@hundred(AIOHTTP, f"{IN_A_THREAD}, {LARGER} threads", apps.SYNC[AIOHTTP], plain, threads=LARGER)
@hundred(QUART, IN_A_ROUTE, apps.SYNC[QUART], plain)
@hundred(QUART, f"{IN_A_ROUTE}, {LARGER} threads", apps.SYNC[QUART], plain, threads=LARGER)
def ask_hundred(
    application: Build,
    wait: Callable[[Inside], Any],
    wait_s: float = WAIT_S,
    threads: int | None = None,
) -> Answer:
    """How many of the hundred were inside at once, and how long all of them took.

    wait: what the handler does, a coroutine function, or a plain one that it calls or has run.
    """
    inside = Inside()
    work = partial(wait, inside)
    with serve(application(work)) as server, connected(server.port, REQUESTS) as wires:
        server.call(set_pool(threads))
        # All is connected before anything is asked: a handler may wait for as short a time as
        # a hundred clients take to connect on a busy machine.
        took_s = max(reply.took_s for reply in all_ask(wires))
    words = {1: "one after another", REQUESTS: "all at once"}
    evidence = f"at most {inside.most} of {REQUESTS} were inside the handler at once"
    evidence += f"; all were answered after {took_s:.2f} s, where one waits {wait_s:g} s"
    return Answer(words.get(inside.most, f"{in_words(inside.most)} at a time"), evidence)


ON_ONE = 5
STEP_S = 0.1
Talk = Callable[[Wire, Sequence[str]], list[str]]


def on_one_connection(
    application: Build, talk: Talk, requests: int = ON_ONE
) -> tuple[int, list[int]]:
    """Send so many at once, the first to take the longest: how many were in their handlers at the
    same time, and the numbers of the answers as they came. Raises NoAnswer."""
    inside = Inside()

    async def answer(number: int) -> int:
        with inside:
            await asyncio.sleep(STEP_S * (requests - number))
        return number

    works: dict[str, Work] = {f"/{number}": partial(answer, number) for number in range(requests)}
    with serve(application(works)) as server, Wire(server.port) as wire:
        answers = [int(text) for text in talk(wire, list(works))]
    if sorted(answers) != [*range(requests)]:
        raise ValueError(f"the answers were {answers}")
    return inside.most, answers


@experiments("same-connection", ANSWERING, (), pipelined)
@experiments("same-connection", ANSWERING, {"HTTP/2": in_streams})
def ask_on_one(application: Build, talk: Talk) -> Answer:
    try:
        most, answers = on_one_connection(application, talk)
    except NoAnswer as error:
        return Answer(NONE, f"to HTTP/2 it says {error}; the nearest thing is more connections")
    order = "in the order of the requests" if answers == sorted(answers) else "as they are ready"
    words = {1: "one after another", ON_ONE: "side by side"}
    evidence = (
        f"{ON_ONE} requests were sent at once on one connection, the first to take the longest"
    )
    evidence += (
        f"; at most {most} were in their handlers at the same time; answers came as {answers}"
    )
    return Answer(f"{words.get(most, f'{most} at once')}, answered {order}", evidence)


async def fails() -> None:
    await asyncio.sleep(0.05)
    seen("failed")
    raise ValueError("one of the two")


async def sibling() -> None:
    with seen.ends("sibling"):
        await asyncio.sleep(1.0)


async def grouped() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(fails())
        group.create_task(sibling())


async def waited() -> None:
    pair = {asyncio.create_task(fails()), asyncio.create_task(sibling())}
    await asyncio.wait(pair, return_when=asyncio.FIRST_EXCEPTION)


async def gathered(return_exceptions: bool = False) -> None:
    pair = fails(), sibling()
    await asyncio.gather(*pair, return_exceptions=return_exceptions)


TOGETHER: dict[str, Work] = {
    "asyncio.gather": gathered,
    "asyncio.gather(…, return_exceptions=True)": partial(gathered, return_exceptions=True),
    "asyncio.TaskGroup": grouped,
    "asyncio.wait(…, return_when=FIRST_EXCEPTION)": waited,
}


@experiments("failing-sibling", apps.AWAITING, TOGETHER, sensitive=True)
def ask_sibling(application: Build, body: Work) -> Answer:
    """One of two things that a handler does together fails: what becomes of the other."""
    with serve(application(body)) as server:
        reply = get(server.port, "/")
        answered = seen.events
        if not any(event.startswith("sibling") for event in answered):
            seen.wait("sibling finished", 3.0)
    ends = [event for event in seen.events if event.startswith("sibling")]
    when = "before" if any(end in answered for end in ends) else "after"
    return as_seen(f"{reply.status}, {ends[0]} {when} the answer")


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


def all_at_once(pages: Pages) -> Awaitable[list[int]]:
    return asyncio.gather(*pages)


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


def fetch_blocking(url: str) -> int:
    with urllib.request.urlopen(url) as answer:
        return len(answer.read())


async def blocking_page(_: aiohttp.ClientSession, url: str) -> int:
    """A client that blocks, in a coroutine that looks as if it let others run."""
    return fetch_blocking(url)


async def page_in_thread(_: aiohttp.ClientSession, url: str) -> int:
    return await asyncio.to_thread(fetch_blocking, url)


Fetch = Callable[[aiohttp.ClientSession, str], Coroutine[Any, Any, int]]
"""Fetches a page, given a session and the address: how many letters it has."""

FetchAll = tuple[Callable[[Pages], Awaitable[list[int]]], Fetch]
"""How a handler waits for all pages; and how it fetches one."""

WAYS: dict[str, FetchAll] = {
    "await one after another": (one_by_one, page),
    "asyncio.gather": (all_at_once, page),
    "asyncio.TaskGroup": (in_group, page),
    "asyncio.gather, with a Semaphore(2)": (bounded, page),
    "asyncio.gather of a blocking client": (all_at_once, blocking_page),
    "asyncio.gather of a blocking client through to_thread": (all_at_once, page_in_thread),
}


async def letters(ways: FetchAll, url: str) -> int:
    """The work of the handler: how many letters all pages have together."""
    together, fetch = ways
    async with aiohttp.ClientSession() as session:
        return sum(await together([fetch(session, url) for _ in range(PAGES)]))


@experiments("client-gather", ANSWERING, WAYS, sensitive=True)
def ask_gather(application: Build, ways: FetchAll) -> Answer:
    """How many pages were on their way at once, seen by the other server."""
    crowd = Crowd(0.5, PAGES)
    with serve(ANSWERING[AIOHTTP](held(crowd))) as other:
        work = partial(letters, ways, f"http://127.0.0.1:{other.port}/")
        reply = reply_of(application({"/": work}))
    if reply.text != str(PAGES * len("page")):
        raise ValueError(f"the handler fetched {reply.text} letters")
    words = {1: "one after another", PAGES: "all at once"}
    evidence = f"the other server saw at most {crowd.most} of {PAGES} requests at once"
    evidence += f"; the answer took {reply.took_s:.2f} s"
    return Answer(words.get(crowd.most, f"{crowd.most} at a time"), evidence)


async def noting_port(request: web.Request) -> web.Response:
    """A page of the other server, which notes the port that the request comes from."""
    seen(f"port {request.get_extra_info('peername')[1]}")
    return web.Response(text="page")


async def page_of_its_own(_: aiohttp.ClientSession, url: str) -> int:
    async with aiohttp.ClientSession() as session:
        return await page(session, url)


def fetching(answering: Build, fetch: Fetch, url: str) -> apps.App:
    """An application with a session for as long as it serves."""
    sessions: list[aiohttp.ClientSession] = []

    async def session(*_: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as made:
            sessions.append(made)
            yield

    app = answering({"/": lambda: fetch(sessions[0], url)})
    apps.around_serving(app, session)
    return app


SESSIONS: dict[str, Fetch] = {
    "one ClientSession, made at start-up": page,
    "a ClientSession for each request": page_of_its_own,
}


@experiments("client-sessions", apps.each(fetching), SESSIONS)
def ask_sessions(application: Build, fetch: Fetch) -> Answer:
    """Over how many connections does the other server get what one request after another needs?"""
    with (
        serve(apps.answering(noting_port)) as other,
        serve(application(fetch, f"http://127.0.0.1:{other.port}/")) as server,
    ):
        texts = [get(server.port, "/").text for _ in range(PAGES)]
    if texts != [str(len("page"))] * PAGES:
        raise ValueError(f"the answers were {', '.join(texts)}")
    ports = seen.events
    count = len(set(ports))
    words = {1: "one connection for all", PAGES: "a connection a request"}
    evidence = f"{len(ports)} requests reached the other server over {count} connections"
    return Answer(words.get(count, f"{count} connections"), evidence)


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
    count = servers * EACH
    crowd = Crowd(RETRIED_S, count)
    with ExitStack() as stack:
        others = [serve(application(held(crowd))) for _ in range(servers)]
        ports = [stack.enter_context(other).port for other in others]
        asyncio.run(_fetch_all(ports, limits))
    evidence = f"of {count} requests begun at once, to {servers} server{'s' * (servers > 1)}"
    evidence += f", at most {crowd.most} were in handlers side by side"
    return Answer("no limit" if crowd.most == count else f"{crowd.most} at once", evidence)
