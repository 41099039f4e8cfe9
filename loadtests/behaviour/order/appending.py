"""A layer that appends a line of text, around answers of all kinds: texts, files and streams."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from aiohttp import web
from quart import jsonify, send_file

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, App, serve
from loopbench.loadtests.behaviour.asking import Answer, variants
from loopbench.loadtests.behaviour.talking import NoAnswer, Wire, seen

LINE = "\nappended"
RELEASED = "the second piece of a stream may be made"
BINARY = bytes(range(256))
OCTETS = "application/octet-stream"
PLAIN = {"Content-Type": "text/plain"}
KINDS = {
    "text": "/text",
    "JSON": "/json",
    "binary body": "/binary",
    "file": "/file",
    "stream": "/stream",
    "404": "/missing",
}


@web.middleware
async def append(request: web.Request, handler: apps.Handler) -> web.StreamResponse:
    """Takes every answer for a text."""
    response: Any = await handler(request)
    response.text += LINE
    return response  # type: ignore[no-any-return]


@web.middleware
async def append_to_text(request: web.Request, handler: apps.Handler) -> web.StreamResponse:
    """Looks first what it has got."""
    response = await handler(request)
    if isinstance(response, web.Response) and response.content_type == "text/plain":
        response.text = (response.text or "") + LINE
    return response


async def append_to(response: Any) -> Any:
    """Takes every answer for one that can be read and replaced."""
    response.set_data(await response.get_data() + LINE.encode())
    return response


async def append_to_text_of(response: Any) -> Any:
    """Looks first what it has got. A stream has no length yet."""
    if response.mimetype == "text/plain" and response.content_length is not None:
        return await append_to(response)
    return response


async def _pieces() -> AsyncIterator[bytes]:
    """The second piece is made when the first has arrived, or was long waited for."""
    yield b"one, "
    await asyncio.to_thread(seen.wait, RELEASED)
    yield b"two"


def aiohttp_kinds(middleware: Any, path: str) -> App:
    """Answers of all kinds; a file is at that path."""
    answers: dict[str, Callable[[], web.StreamResponse]] = {
        "/text": lambda: web.Response(text="hello"),
        "/json": lambda: web.json_response({"hello": "world"}),
        "/binary": lambda: web.Response(body=BINARY, content_type=OCTETS),
        "/file": lambda: web.FileResponse(path),
    }
    app = apps.aiohttp_answering({"/stream": _pieces}, headers=PLAIN)
    app.add_routes([web.get(target, apps.asynchronous(made)) for target, made in answers.items()])
    app.middlewares.append(middleware)
    return app


def quart_kinds(hook: Any, path: str) -> App:
    """The same."""
    answers: dict[str, Callable[[], Any]] = {
        "/text": apps.asynchronous(lambda: ("hello", PLAIN)),
        "/json": apps.asynchronous(lambda: jsonify(hello="world")),
        "/binary": apps.asynchronous(lambda: (BINARY, {"Content-Type": OCTETS})),
        "/file": partial(send_file, path),
    }
    app = apps.quart_answering({"/stream": _pieces}, headers=PLAIN)
    for target, answer in answers.items():
        app.add_url_rule(target, target, answer)
    app.after_request(hook)
    return app


APPENDING = {
    AIOHTTP: {
        "response.text += line": partial(aiohttp_kinds, append),
        "text/plain only": partial(aiohttp_kinds, append_to_text),
    },
    QUART: {
        "response.set_data(… + line)": partial(quart_kinds, append_to),
        "text/plain only": partial(quart_kinds, append_to_text_of),
    },
}


@variants("appending-middleware", APPENDING, each=KINDS, named="{}: {}")
def ask_appended(application: Callable[[str], App], target: str) -> Answer:
    with tempfile.NamedTemporaryFile(suffix=".txt") as stored:
        stored.write(b"hello")
        stored.flush()
        with serve(application(stored.name)) as server, Wire(server.port) as wire:
            return _stream(wire) if target == "/stream" else _whole(wire, target)


def _whole(wire: Wire, target: str) -> Answer:
    wire.request("GET", target)
    try:
        reply = wire.answer()
    except NoAnswer as error:
        return Answer("cut off", f"no whole answer: {error}")
    words = [f"{reply.status}", _appended(reply.body)]
    if (reply.header("content-type") or "").startswith("application/json"):
        try:
            json.loads(reply.body)
        except ValueError:
            words.append("no JSON any more")
    if target == "/binary" and reply.status == 200 and reply.body != BINARY:
        words.append("other bytes than before")
    return Answer(", ".join(words), f"{len(reply.body)} bytes that end with {reply.body[-20:]!r}")


def _stream(wire: Wire) -> Answer:
    """Whether its beginning comes before its end has been made, and whether it has an end."""
    wire.request("GET", "/stream", "Connection: close")
    begun = b""
    with suppress(NoAnswer):
        begun = wire.some(1.0)
    seen(RELEASED)
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
