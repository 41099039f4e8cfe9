"""Applications of both frameworks around the same work, where a question is not about how it is
written in either."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, starmap
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.servers import App

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"

Work = Callable[[], Awaitable[str] | AsyncIterator[bytes]]
"""What a handler does: a coroutine function that gives the text of its answer, or an async
generator function that gives its pieces."""


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
                    return web.Response(text=await made)
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
                    return await made

            async def pieces() -> AsyncIterator[bytes]:
                with around():
                    async for piece in made:
                        yield piece

            return pieces(), dict(headers or {})

    for path, work in works.items():
        add(path, work)
    return app


ANSWERING: Mapping[str, Callable[..., App]] = {AIOHTTP: aiohttp_answering, QUART: quart_answering}
