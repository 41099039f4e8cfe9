"""What was made on the server's loop, used by a coroutine that runs on another one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

PATIENCE_S = 3.0
LATER_S = 0.3


@dataclass(frozen=True, slots=True)
class Owned:
    """What an application makes at start-up, on its loop."""

    loop: asyncio.AbstractEventLoop
    session: aiohttp.ClientSession
    lock: asyncio.Lock
    queue: asyncio.Queue[str]

    @classmethod
    @asynccontextmanager
    async def made(cls) -> AsyncIterator[Owned]:
        """Make it all, and close what is to be closed."""
        async with aiohttp.ClientSession() as session:
            loop = asyncio.get_running_loop()
            yield cls(loop, session, asyncio.Lock(), asyncio.Queue())

    async def hold(self, waiting: threading.Event) -> None:
        """What other requests do: keep the lock until somebody has waited for it for a while."""
        async with self.lock:
            await asyncio.to_thread(waiting.wait)
            await asyncio.sleep(LATER_S)

    async def put(self, waiting: threading.Event) -> None:
        """Put an item when somebody has waited for it for a while."""
        await asyncio.to_thread(waiting.wait)
        await asyncio.sleep(LATER_S)
        self.queue.put_nowait("item")


Use = Callable[[Owned, str], Coroutine[Any, Any, None]]
"""Uses one of these; the other argument is the address of a page."""


async def fetch(owned: Owned, page: str) -> None:
    async with owned.session.get(page) as answer:
        await answer.read()


async def wait_for_lock(owned: Owned, _: str) -> None:
    async with owned.lock:
        pass


async def wait_for_item(owned: Owned, _: str) -> None:
    await owned.queue.get()


Way = Callable[[Coroutine[Any, Any, None], asyncio.AbstractEventLoop], None]
"""Runs a coroutine from plain code, given the server's loop."""


def asyncio_run(coroutine: Coroutine[Any, Any, None], _: asyncio.AbstractEventLoop) -> None:
    asyncio.run(coroutine)


def threadsafe(coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> None:
    asyncio.run_coroutine_threadsafe(coroutine, loop).result()


class Attempt:
    """Plain code in a thread that uses what is owned."""

    def __init__(self, way: Way, use: Use) -> None:
        self._way = way
        self._use = use
        self._waiting = threading.Event()
        self._said = f"hangs: not done after {PATIENCE_S:g} s"

    async def become(self, owned: Owned, page: str) -> str:
        """What becomes of it. The thread is one of its own, since it may never end."""
        async with asyncio.TaskGroup() as others:
            # Two want the lock, so that it belongs to this loop.
            for other in (owned.hold, owned.hold, owned.put):
                others.create_task(other(self._waiting))
            await asyncio.sleep(0)
            thread = threading.Thread(target=self._try, args=(owned, page), daemon=True)
            thread.start()
            await asyncio.to_thread(thread.join, PATIENCE_S)
        return self._said

    def _try(self, owned: Owned, page: str) -> None:
        try:
            self._way(self._run(owned, page), owned.loop)
        except RuntimeError as error:
            # Before that it names tasks and addresses, which differ each time.
            self._said = f"raises RuntimeError: … {str(error).rpartition('> ')[2]}"
        else:
            self._said = "works: done"

    async def _run(self, owned: Owned, page: str) -> None:
        self._waiting.set()
        await self._use(owned, page)


def on_aiohttp(attempt: Attempt) -> AbstractContextManager[Live]:
    key = web.AppKey("owned", Owned)

    async def own(app: web.Application) -> AsyncIterator[None]:
        async with Owned.made() as app[key]:
            yield

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="page")

    async def handler(request: web.Request) -> web.Response:
        address = str(request.url.with_path("/page"))
        return web.Response(text=await attempt.become(request.app[key], address))

    app = web.Application()
    app.cleanup_ctx.append(own)
    app.router.add_get("/page", page)
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart(attempt: Attempt) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.while_serving
    async def own() -> AsyncGenerator[None, None]:
        async with Owned.made() as app.extensions["owned"]:
            yield

    @app.get("/page")
    async def page() -> str:
        return "page"

    @app.get("/")
    async def handler() -> str:
        return await attempt.become(app.extensions["owned"], f"{request.host_url}page")

    return hypercorn_server(app)


def ask(begin: Callable[[Attempt], AbstractContextManager[Live]], way: Way, use: Use) -> Answer:
    with begin(Attempt(way, use)) as server, Wire(server.port) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port)
        text = wire.answer().text
    return Answer(text.partition(":")[0], text)


_WAYS: dict[str, Way] = {"asyncio.run": asyncio_run, "run_coroutine_threadsafe": threadsafe}
_USES: dict[str, Use] = {
    "a request of the application's ClientSession": fetch,
    "an asyncio.Lock that others want": wait_for_lock,
    "an asyncio.Queue that others fill": wait_for_item,
}

QUESTION = Question(
    asks="Can a coroutine that runs on a loop of its own, in a thread, use what was made on the "
    "server's loop?",
    experiments=tuple(
        Experiment(stack, f"{way_name}, {use_name}", partial(ask, begin, way, use))
        for stack, begin in (("aiohttp", on_aiohttp), ("quart-hypercorn", on_quart))
        for way_name, way in _WAYS.items()
        for use_name, use in _USES.items()
    ),
    claims=(
        Claim(
            "asyncio.run in a sync route is all that it takes to call asynchronous code.",
            {"works": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
            tuple(f"asyncio.run, {name}" for name in _USES),
        ),
    ),
    follows={
        "works": "The coroutine runs where what it uses belongs.",
        "raises*": "It belongs to the other loop: `run_coroutine_threadsafe` to that one.",
        "hangs": "Nothing warns: what the server's loop does wakes no other loop. Use "
        "`run_coroutine_threadsafe`.",
    },
)
