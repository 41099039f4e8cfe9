"""What layers change: bodies, errors, headers, paths and WebSockets; and how they are made."""

from __future__ import annotations

import asyncio
import inspect
import json
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, abort, jsonify, request, send_file, websocket
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from loopbench.loadtests.behaviour.applications import Handler, answering
from loopbench.loadtests.behaviour.asking import Answer, experiment, variants
from loopbench.loadtests.behaviour.framework.events import kinds, warned
from loopbench.loadtests.behaviour.order.layers import (
    Layer,
    Make,
    Talk,
    asgi,
    layered,
    layers,
    reply_of,
    told,
)
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, App, serve
from loopbench.loadtests.behaviour.talking import (
    NoAnswer,
    Seen,
    Wire,
    get,
    shake_hands,
    until_closed,
)

LINE = "\nappended"
BINARY = bytes(range(256))
OCTETS = "application/octet-stream"
PLAIN = {"Content-Type": "text/plain"}
KINDS = ("text", "JSON", "binary body", "file", "stream", "404")


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


async def append_to(response: Any) -> Any:
    """Takes every answer for one that can be read and replaced."""
    response.set_data(await response.get_data() + LINE.encode())
    return response


async def append_to_text_of(response: Any) -> Any:
    """Looks first what it has got. A stream has no length yet."""
    if response.mimetype == "text/plain" and response.content_length is not None:
        return await append_to(response)
    return response


async def _pieces(released: threading.Event) -> AsyncIterator[bytes]:
    """The second piece is made when the first has arrived, or was long waited for."""
    yield b"one, "
    await asyncio.to_thread(released.wait)
    yield b"two"


Kinds = Callable[[str, str, threading.Event], App]
"""An application whose GET / answers in that kind; a file is at that path."""


def aiohttp_kinds(middleware: Any, kind: str, path: str, released: threading.Event) -> App:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=PLAIN)
        await response.prepare(request)
        async for piece in _pieces(released):
            await response.write(piece)
        return response

    answers: dict[str, Callable[[], web.StreamResponse]] = {
        "text": lambda: web.Response(text="hello"),
        "JSON": lambda: web.json_response({"hello": "world"}),
        "binary body": lambda: web.Response(body=BINARY, content_type=OCTETS),
        "file": lambda: web.FileResponse(path),
    }

    async def handler(request: web.Request) -> web.StreamResponse:
        return await stream(request) if kind == "stream" else answers[kind]()

    return answering(handler, middleware)


def quart_kinds(hook: Any, kind: str, path: str, released: threading.Event) -> App:
    answers: dict[str, Callable[[], Any]] = {
        "text": lambda: ("hello", PLAIN),
        "JSON": lambda: jsonify(hello="world"),
        "binary body": lambda: (BINARY, {"Content-Type": OCTETS}),
        "file": lambda: send_file(path),
        "stream": lambda: (_pieces(released), PLAIN),
    }
    app = Quart(__name__)
    app.after_request(hook)

    @app.get("/")
    async def handler() -> Any:
        answer = answers[kind]()
        return await answer if inspect.isawaitable(answer) else answer

    return app


APPENDING: dict[tuple[str, str], Kinds] = {
    (AIOHTTP, "response.text += line"): partial(aiohttp_kinds, append),
    (AIOHTTP, "text/plain only"): partial(aiohttp_kinds, append_to_text),
    (QUART, "response.set_data(… + line)"): partial(quart_kinds, append_to),
    (QUART, "text/plain only"): partial(quart_kinds, append_to_text_of),
}


def ask_appended(application: Kinds, kind: str) -> Answer:
    released = threading.Event()
    with tempfile.NamedTemporaryFile(suffix=".txt") as stored:
        stored.write(b"hello")
        stored.flush()
        app = application(kind, stored.name, released)
        with serve(app) as server, Wire(server.port) as wire:
            return _stream(wire, released) if kind == "stream" else _whole(wire, kind)


for (stack, way), application in APPENDING.items():
    for kind in KINDS:
        experiment("appending-middleware", stack, f"{way}: {kind}", application, kind)(ask_appended)


def _whole(wire: Wire, kind: str) -> Answer:
    wire.request("GET", "/missing" if kind == "404" else "/")
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
    if kind == "binary body" and reply.status == 200 and reply.body != BINARY:
        words.append("other bytes than before")
    return Answer(", ".join(words), f"{len(reply.body)} bytes that end with {reply.body[-20:]!r}")


def _stream(wire: Wire, released: threading.Event) -> Answer:
    """Whether its beginning comes before its end has been made, and whether it has an end."""
    wire.request("GET", "/", [("Connection", "close")])
    begun = b""
    with suppress(NoAnswer):
        begun = wire.some(1.0)
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


NOT_FOUND = {"no route": "/missing", "raised by a handler": "/raised", "returned": "/returned"}


@web.middleware
async def of_the_tutorials(request: web.Request, handler: Handler) -> web.StreamResponse:
    """As it is often shown: without a status, and with a `message` that responses once had."""
    try:
        response: Any = await handler(request)
        if response.status != 404:
            return response  # type: ignore[no-any-return]
        message = response.message
    except web.HTTPException as error:
        if error.status != 404:
            raise
        message = error.reason
    return web.json_response({"error": message})


@web.middleware
async def with_status(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raised or returned, a 404 is a 404."""
    try:
        response = await handler(request)
        if response.status != 404 or response.prepared:
            return response
        reason = response.reason
    except web.HTTPNotFound as error:
        reason = error.reason
    return web.json_response({"error": reason or "Not Found"}, status=404)


def with_errorhandler(app: Quart, status: tuple[int, ...]) -> None:
    @app.errorhandler(404)
    async def not_found(error: NotFound) -> ResponseReturnValue:
        body = jsonify(error=error.name)
        return (body, *status) if status else body  # type: ignore[return-value]


async def every_404(response: Any) -> Any:
    """As after_request: meets every 404, whoever made it."""
    if response.status_code != 404:
        return response
    as_json = jsonify(error="Not Found")
    as_json.status_code = 404
    return as_json


def ask_404(make: Make, target: str) -> Answer:
    reply = reply_of(make, target)
    content_type = reply.header("content-type")
    kind = "JSON" if (content_type or "").startswith("application/json") else "not JSON"
    return Answer(f"{reply.status}, {kind}", f"got {told(reply)} as {content_type}")


NOT_FOUND_AS_JSON: dict[tuple[str, str], Layer] = {
    (AIOHTTP, "as in the tutorials"): lambda app, _: app.middlewares.append(of_the_tutorials),
    (AIOHTTP, "status=404"): lambda app, _: app.middlewares.append(with_status),
    (QUART, "errorhandler(404) without a status"): lambda app, _: with_errorhandler(app, ()),
    (QUART, "errorhandler(404), 404"): lambda app, _: with_errorhandler(app, (404,)),
    (QUART, "after_request"): lambda app, _: app.after_request(every_404),
}
for (stack, way), layer in NOT_FOUND_AS_JSON.items():
    for name, target in NOT_FOUND.items():
        make = layered(stack, layer)
        experiment("error-middleware-404", stack, f"{way}, {name}", make, target)(ask_404)


NAME = "X-Everywhere"


def _get(target: str) -> Talk:
    return lambda port: get(port, target).header(NAME) or ""


def _handshake(port: int) -> str:
    with Wire(port) as wire:
        head = shake_hands(wire).decode().lower()
        until_closed(wire)
    return "1" if f"{NAME.lower()}: 1" in head else ""


TALKS = {
    "an answer": _get("/"),
    "a stream": _get("/stream"),
    "404": _get("/missing"),
    "500": _get("/raise"),
    "a WebSocket's handshake": _handshake,
}


async def tag_prepared(_: web.Request, response: web.StreamResponse) -> None:
    response.headers[NAME] = "1"


def undecorated(name: str) -> Any:
    """A function that makes the middleware, without the decorator that marks it as new-style."""

    async def tag(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        response.headers[name] = "1"
        return response

    return tag


def factory(name: str) -> Any:
    """The same with the decorator."""
    return web.middleware(undecorated(name))


def hook(name: str) -> Any:
    """The same for after_request."""

    async def tag(response: Any) -> Any:
        response.headers[name] = "1"
        return response

    return tag


class Asgi:
    """The same as ASGI middleware, given what was there before."""

    CARRIERS = ("http.response.start", "websocket.accept", "websocket.http.response.start")

    def __init__(self, inner: Any, name: str) -> None:
        self.inner, self.header = inner, (name.lower().encode(), b"1")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def tagging(message: Any) -> None:
            if message["type"] in self.CARRIERS:
                message = {**message, "headers": [*message.get("headers", ()), self.header]}
            await send(message)

        await self.inner(scope, receive, tagging)


@web.middleware
async def tag_exceptions_too(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers[NAME] = "1"
        raise
    response.headers[NAME] = "1"
    return response


TAGGING: dict[str, dict[str, Layer]] = {
    AIOHTTP: {
        "on_response_prepare": lambda app, _: app.on_response_prepare.append(tag_prepared),
        "middleware": lambda app, _: app.middlewares.append(factory(NAME)),
        "middleware, except web.HTTPException": lambda app, _: app.middlewares.append(
            tag_exceptions_too
        ),
    },
    QUART: {
        "after_request": lambda app, _: app.after_request(hook(NAME)),
        "ASGI middleware": asgi(lambda inner, _: Asgi(inner, NAME)),
    },
}


@variants("header-on-prepare", layers(TAGGING))
def ask_header(make: Make) -> Answer:
    with serve(make(Seen())) as server:
        found = {name: talk(server.port) == "1" for name, talk in TALKS.items()}
    lacking = [name for name, has in found.items() if not has]
    on = ", ".join(name for name, has in found.items() if has) or "none of them"
    answer = f"on all but {', '.join(lacking)}" if lacking else "on all of them"
    return Answer(answer, f"of {len(found)} kinds of answers it is on {on}")


def old_style(name: str) -> Any:
    """As middlewares were before the decorator: called once a request, they return a handler."""

    async def make(_: web.Application, handler: Handler) -> Handler:
        async def tag(request: web.Request) -> web.StreamResponse:
            response = await handler(request)
            response.headers[name] = "1"
            return response

        return tag

    return make


@web.middleware
class Tag:
    """A decorated class, whose objects are called."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        response.headers[self.name] = "1"
        return response


def asgi_class(app: Quart, _: Seen) -> None:
    for name in NAMES:
        app.asgi_app = Asgi(app.asgi_app, name)  # type: ignore[method-assign]


NAMES = ("X-One", "X-Two")


def both(make: Callable[[str], Any]) -> Layer:
    return lambda app, _: app.middlewares.extend(map(make, NAMES))


FACTORIES: dict[str, dict[str, Layer]] = {
    AIOHTTP: {
        "factory": both(factory),
        "factory, without @web.middleware": both(undecorated),
        "async def make(app, handler)": both(old_style),
        "class under @web.middleware": both(Tag),
    },
    QUART: {
        "after_request(factory(…))": lambda app, _: [app.after_request(hook(n)) for n in NAMES],
        "ASGI class": asgi_class,
    },
}


@variants("middleware-factory", layers(FACTORIES))
def ask_factory(make: Make) -> Answer:
    with warned() as caught:
        reply = reply_of(make, "/")
    said = " and ".join(kinds(caught))
    tags = [name.lower() for name in NAMES if reply.header(name)]
    worked = {0: "neither ran", 1: "one of the two ran", 2: "each with its own parameter"}
    return Answer(
        f"{reply.status}, {worked[len(tags)]}" + (f", {said}" if said else ""),
        f"headers {' and '.join(tags) or 'of neither'}; warnings: {len(caught)}",
    )


OLD, NEW = "/old", "/new"


@web.middleware
async def clone(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives the handler a request with another path."""
    return await handler(request.clone(rel_url=NEW))


@web.middleware
async def redirect(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets the client ask again."""
    if request.path == OLD:
        raise web.HTTPPermanentRedirect(NEW)
    return await handler(request)


async def rewrite() -> None:
    request.path = NEW


@asgi
def rewrite_in_asgi(inner: Any, _: Seen) -> Any:
    async def rewrite(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == OLD:
            scope = {**scope, "path": NEW, "raw_path": NEW.encode()}
        await inner(scope, receive, send)

    return rewrite


REWRITING = {
    AIOHTTP: {
        "middleware, request.clone(rel_url=…)": lambda app, _: app.middlewares.append(clone),
        "middleware redirects": lambda app, _: app.middlewares.append(redirect),
    },
    QUART: {
        "before_request, request.path = …": lambda app, _: app.before_request(rewrite),
        "ASGI middleware": rewrite_in_asgi,
    },
}


@variants("rewrite-path", layers(REWRITING))
def ask_rewritten(make: Make) -> Answer:
    reply = reply_of(make, OLD)
    to = reply.header("location")
    if to:
        return Answer(f"{reply.status} to {to}", f"GET {OLD} gave {reply.status}, Location: {to}")
    return Answer(f"{reply.status}, {reply.text}", f"GET {OLD} gave {reply.status}: {reply.text}")


@web.middleware
async def forbid(request: web.Request, handler: Handler) -> web.StreamResponse:
    raise web.HTTPForbidden


async def refuse() -> tuple[str, int]:
    return "no", 403


async def refuse_by_abort() -> None:
    abort(403)


async def accept_and_refuse() -> tuple[str, int]:
    await websocket.accept()
    return "no", 403


@asgi
def refuse_in_asgi(inner: Any, _: Seen) -> Any:
    """`close` before `accept` is how ASGI refuses."""

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await inner(scope, receive, send)

    return refuse


REFUSING = {
    AIOHTTP: {"middleware raises HTTPForbidden": lambda app, _: app.middlewares.append(forbid)},
    QUART: {
        "before_request returns 403": lambda app, _: app.before_request(refuse),
        "before_websocket returns 403": lambda app, _: app.before_websocket(refuse),
        "before_websocket aborts with 403": lambda app, _: app.before_websocket(refuse_by_abort),
        "before_websocket returns 403 after accept": lambda app, _: app.before_websocket(
            accept_and_refuse
        ),
        "ASGI middleware closes": refuse_in_asgi,
    },
}


@variants("refuse-websocket", layers(REFUSING))
def ask_refused(make: Make) -> Answer:
    seen = Seen()
    with serve(make(seen)) as server:
        with Wire(server.port) as wire:
            try:
                status = shake_hands(wire).split(b" ")[1].decode()
            except NoAnswer as error:
                status, came = "no answer", f"the handshake had no answer: {error}"
            else:
                came = f"the handshake was answered {status}"
            if status == "101":
                seen.wait("accepted", 1.0)  # to leave earlier could keep the handler from noting it
        server.stop()
    ran = "the handler ran" if "accepted" in seen else "the handler did not run"
    return Answer(f"{status}, {ran}", f"{came}; {ran}")
