"""As Quart's documentation writes an application: a decorator a route, and what a function returns
is the answer (https://quart.palletsprojects.com/en/latest/tutorials/quickstart.html)."""

from __future__ import annotations

import asyncio
import threading

from markupsafe import escape
from quart import Quart, request

app = Quart(__name__)


@app.get("/")
async def index() -> str:
    await asyncio.sleep(float(request.args.get("wait_ms", "0")) / 1000)
    return "<h1>Index</h1>"


@app.get("/hello/<name>")
async def hello(name: str) -> str:
    await asyncio.sleep(float(request.args.get("wait_ms", "0")) / 1000)
    return f"<h1>hello, {escape(name)}!</h1>"


@app.get("/plain")
async def plain() -> str:
    return "Hello, world"


@app.get("/async")
async def async_() -> dict[str, str]:
    loop = repr(asyncio.get_running_loop())
    return {"event_loop": loop, "thread": threading.current_thread().name}


@app.get("/sync")
def sync() -> dict[str, str | None]:
    return {"event_loop": None, "thread": threading.current_thread().name}
