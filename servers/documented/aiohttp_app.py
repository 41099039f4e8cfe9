"""As aiohttp's documentation writes an application: a table of routes, and `json_response`
(https://docs.aiohttp.org/en/stable/web_quickstart.html)."""

from __future__ import annotations

import asyncio
import html
import threading

from aiohttp import web

routes = web.RouteTableDef()


@routes.get("/")
async def index(request: web.Request) -> web.Response:
    await asyncio.sleep(float(request.query.get("wait_ms", "0")) / 1000)
    return web.Response(text="<h1>Index</h1>", content_type="text/html")


@routes.get("/hello/{name}")
async def hello(request: web.Request) -> web.Response:
    await asyncio.sleep(float(request.query.get("wait_ms", "0")) / 1000)
    name = html.escape(request.match_info["name"])
    return web.Response(text=f"<h1>hello, {name}!</h1>", content_type="text/html")


@routes.get("/plain")
async def plain(request: web.Request) -> web.Response:
    return web.Response(text="Hello, world")


@routes.get("/async")
async def async_(request: web.Request) -> web.Response:
    loop = repr(asyncio.get_running_loop())
    return web.json_response({"event_loop": loop, "thread": threading.current_thread().name})


def _in_thread() -> dict[str, str | None]:
    return {"event_loop": None, "thread": threading.current_thread().name}


@routes.get("/sync")
async def sync(request: web.Request) -> web.Response:
    return web.json_response(await asyncio.to_thread(_in_thread))


def create_app() -> web.Application:
    app = web.Application()
    app.add_routes(routes)
    return app
