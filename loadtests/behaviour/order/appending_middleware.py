"""A layer that appends a line to every answer, and the answers that it was not made for."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, jsonify, send_file

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

LINE = "\nappended"
BINARY = bytes(range(256))
KINDS = ("text", "JSON", "binary body", "file", "stream", "404")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def append(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Takes every answer for a text."""
    response: Any = await handler(request)
    response.text += LINE
    return response  # type: ignore[no-any-return]


@web.middleware
async def append_to_text(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Looks first what it has got."""
    response = await handler(request)
    if isinstance(response, web.Response) and response.content_type == "text/plain":
        response.text = (response.text or "") + LINE
    return response


def on_aiohttp(middleware: Any, kind: str) -> Answer:
    released = threading.Event()

    async def binary(_: web.Request) -> web.Response:
        return web.Response(body=BINARY, content_type="application/octet-stream")

    async def text(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def as_json(_: web.Request) -> web.Response:
        return web.json_response({"hello": "world"})

    async def file(_: web.Request) -> web.FileResponse:
        return web.FileResponse(stored.name)

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_type = "text/plain"
        await response.prepare(request)
        async for piece in _pieces(released):
            await response.write(piece)
        return response

    app = web.Application(middlewares=[middleware])
    handlers = {"text": text, "JSON": as_json, "binary body": binary, "file": file}
    for name, handler in handlers.items():
        app.router.add_get(_target(name), handler)
    app.router.add_get(_target("stream"), stream)
    with tempfile.NamedTemporaryFile(suffix=".txt") as stored:
        stored.write(b"hello")
        stored.flush()
        with aiohttp_server(app) as server:
            return _ask(server, kind, released)


async def append_to(response: Any) -> Any:
    """Takes every answer for one that can be read and replaced."""
    response.set_data(await response.get_data() + LINE.encode())
    return response


async def append_to_text_of(response: Any) -> Any:
    """Looks first what it has got. A stream has no length yet."""
    if response.mimetype == "text/plain" and response.content_length is not None:
        return await append_to(response)
    return response


def on_quart(hook: Callable[[Any], Awaitable[Any]], kind: str) -> Answer:
    released = threading.Event()
    app = Quart(__name__)
    app.after_request(hook)
    plain = {"Content-Type": "text/plain"}

    @app.get(_target("text"))
    async def text() -> Any:
        return "hello", plain

    @app.get(_target("JSON"))
    async def as_json() -> Any:
        return jsonify(hello="world")

    @app.get(_target("binary body"))
    async def binary() -> Any:
        return BINARY, {"Content-Type": "application/octet-stream"}

    @app.get(_target("file"))
    async def file() -> Any:
        return await send_file(stored.name)

    @app.get(_target("stream"))
    async def stream() -> Any:
        return _pieces(released), plain

    with tempfile.NamedTemporaryFile(suffix=".txt") as stored:
        stored.write(b"hello")
        stored.flush()
        with hypercorn_server(app) as server:
            return _ask(server, kind, released)


async def _pieces(released: threading.Event) -> AsyncIterator[bytes]:
    """The second piece is made when the first has arrived, or was long waited for."""
    yield b"one, "
    await asyncio.to_thread(released.wait)
    yield b"two"


def _target(kind: str) -> str:
    return "/" + kind.replace(" ", "-")


def _ask(server: Live, kind: str, released: threading.Event) -> Answer:
    with Wire(server.port) as wire:
        if kind == "stream":
            return _ask_for_stream(wire, released)
        wire.request("GET", _target(kind))
        try:
            reply = wire.answer()
        except NoAnswer as error:
            return Answer("cut off", f"no whole answer: {error}")
    words = [f"{reply.status}", _appended(reply.body)]
    is_json = (reply.header("content-type") or "").startswith("application/json")
    if is_json and not _parses(reply.body):
        words.append("no JSON any more")
    if kind == "binary body" and reply.status == 200 and reply.body != BINARY:
        words.append("other bytes than before")
    return Answer(", ".join(words), f"{len(reply.body)} bytes that end with {reply.body[-20:]!r}")


def _ask_for_stream(wire: Wire, released: threading.Event) -> Answer:
    """Whether its beginning comes before its end has been made, and whether it has an end."""
    wire.request("GET", _target("stream"), [("Connection", "close")])
    try:
        begun = wire.some(1.0)
    except NoAnswer:
        begun = b""
    released.set()
    head, _, body = (begun + wire.rest()).partition(b"\r\n\r\n")
    if b"chunked" in head and not body.endswith(b"0\r\n\r\n"):
        return Answer("cut off", f"of the stream came {body!r}, without its last chunk")
    words = [head.split(b" ")[1].decode(), _appended(body.removesuffix(b"\r\n0\r\n\r\n"))]
    if not begun:
        words.append("held back until its end")
    when = "before" if begun else "not before"
    return Answer(", ".join(words), f"came {when} its end was made, and ended with {body[-20:]!r}")


def _appended(body: bytes) -> str:
    return "appended" if body.endswith(LINE.encode()) else "not appended"


def _parses(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


QUESTION = Question(
    asks="What does a layer that appends a line of text do to the other kinds of answers?",
    experiments=(
        *(
            Experiment("aiohttp", f"{way}: {kind}", partial(on_aiohttp, middleware, kind))
            for way, middleware in (
                ("response.text += line", append),
                ("text/plain only", append_to_text),
            )
            for kind in KINDS
        ),
        *(
            Experiment("quart-hypercorn", f"{way}: {kind}", partial(on_quart, hook, kind))
            for way, hook in (
                ("response.set_data(… + line)", append_to),
                ("text/plain only", append_to_text_of),
            )
            for kind in KINDS
        ),
    ),
    claims=(
        Claim(
            "A middleware can change the body of any response.",
            {
                "200, appended": Agrees.YES,
                "200, appended, *": Agrees.PARTLY,
                "500*": Agrees.NO,
                "cut off": Agrees.NO,
            },
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "500*": "One kind of answer that the layer was not made for, and the request fails: look "
        "at the type of the response before touching its body.",
        "*other bytes than before": "An image or an archive is damaged by this: look at the "
        "content type first.",
        "*no JSON any more": "The client cannot read this: look at the content type first.",
        "*held back until its end": "Reading the body of a stream ends the streaming: all of it is "
        "in memory before the first byte goes.",
        "cut off": "The head of the answer had gone already: what fails now cuts it off.",
    },
)
