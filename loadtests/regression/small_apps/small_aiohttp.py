"""With aiohttp. Its command line calls `create`; gunicorn is given `app`."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web


async def whole(request: web.Request) -> web.Response:
    return web.Response(text="abcd")


async def pieces(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    answer.content_length = 4
    await answer.prepare(request)
    await answer.write(b"ab")
    await answer.write(b"cd")
    await answer.write_eof()
    return answer


async def body(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(text="abcd")


async def form(request: web.Request) -> web.Response:
    await request.post()
    return web.Response(text="abcd")


def create(argv: Sequence[str]) -> web.Application:
    application = web.Application()
    application.router.add_get("/whole", whole)
    application.router.add_get("/pieces", pieces)
    application.router.add_post("/body", body)
    application.router.add_post("/form", form)
    return application


app = create(())
