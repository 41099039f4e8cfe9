"""Applications of both frameworks around the same work.

Where a question is about how a handler is written, its module has applications of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import chain, starmap
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.servers import Apps

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"

Work = Callable[[], Awaitable[object] | AsyncIterator[bytes]]
"""What a handler does: a coroutine function that gives its answer, which is sent as text, or an
async generator function that gives its pieces."""

Plain = Callable[[], object]
"""What plain code does."""

Way = Callable[[Plain], Awaitable[object]]
"""How an async handler has plain code run, such as asyncio.to_thread."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""A handler of aiohttp, and what a middleware is given as one."""


async def hello() -> str:
    """The work of a handler that is only there to be asked."""
    return "hello"


Around = Callable[[], AbstractContextManager[Any]]
"""What a handler has around its work, and around the sending of pieces."""


def aiohttp_app(*routes: web.AbstractRouteDef, **options: Any) -> web.Application:
    """An application of these routes, such as `web.get("/", handler)`. options: its own."""
    app = web.Application(**options)
    app.add_routes(routes)
    return app


def aiohttp_answering(
    works: Mapping[str, Work],
    around: Around = nullcontext,
    headers: Mapping[str, str] | None = None,
) -> web.Application:
    """GET and POST of each path do its work. headers: of answers in pieces."""

    def routes(path: str, work: Work) -> Iterator[web.RouteDef]:
        async def handler(request: web.Request) -> web.StreamResponse:
            made = work()
            if not isinstance(made, AsyncIterator):
                with around():
                    return web.Response(text=str(await made))
            response = web.StreamResponse(headers=headers)
            await response.prepare(request)
            with around():
                async for piece in made:
                    await response.write(piece)
            return response

        yield web.get(path, handler)
        yield web.post(path, handler)

    return aiohttp_app(*chain.from_iterable(starmap(routes, works.items())))


def quart_answering(
    works: Mapping[str, Work],
    around: Around = nullcontext,
    headers: Mapping[str, str] | None = None,
    **config: Any,
) -> Quart:
    """The same. config: of the application."""
    app = Quart(__name__)
    app.config.update(config)

    def add(path: str, work: Work) -> None:
        @app.route(path, endpoint=path, methods=["GET", "POST"])
        async def handler() -> Any:
            made = work()
            if not isinstance(made, AsyncIterator):
                with around():
                    return str(await made)

            async def pieces() -> AsyncIterator[bytes]:
                with around():
                    async for piece in made:
                        yield piece

            return pieces(), dict(headers or {})

    for path, work in works.items():
        add(path, work)
    return app


ANSWERING: Apps = {AIOHTTP: aiohttp_answering, QUART: quart_answering}


def answering(handler: Handler, *middlewares: Any) -> web.Application:
    """An aiohttp application whose GET / is that handler."""
    return aiohttp_app(web.get("/", handler), middlewares=middlewares)


def aiohttp_awaiting(work: Work) -> web.Application:
    """On aiohttp, an async handler of / that does this."""
    return aiohttp_answering({"/": work})


def quart_awaiting(work: Work) -> Quart:
    """On Quart, an async route."""
    return quart_answering({"/": work})


def quart_sync(plain: Plain) -> Quart:
    """On Quart, a sync route, which Quart runs in a thread."""
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        return str(plain())

    return app


async def called(plain: Plain) -> object:
    """The way of an async handler that calls plain code on the loop."""
    return plain()


async def in_executor(plain: Plain) -> object:
    """The way through the loop's default executor."""
    return await asyncio.get_running_loop().run_in_executor(None, plain)


def aiohttp_calling(plain: Plain, way: Way = called) -> web.Application:
    """On aiohttp, plain code run in that way."""
    return aiohttp_awaiting(partial(way, plain))


def quart_calling(plain: Plain, way: Way = called) -> Quart:
    """On Quart, plain code that an async route runs in that way."""
    return quart_awaiting(partial(way, plain))


def aiohttp_in_thread(plain: Plain) -> web.Application:
    """On aiohttp, plain code in a thread: what is nearest to a sync route of Quart."""
    return aiohttp_calling(plain, asyncio.to_thread)


AWAITING: Apps = {AIOHTTP: aiohttp_awaiting, QUART: quart_awaiting}
CALLING: Apps = {AIOHTTP: aiohttp_calling, QUART: quart_calling}
SYNC: Apps = {AIOHTTP: aiohttp_in_thread, QUART: quart_sync}
"""Async handlers, those that call plain code on the loop, and what runs plain code in a thread."""
