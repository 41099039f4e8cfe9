"""Which layers see what: what can be put around a handler notes what it sees of a request.

The rest of the topic shares the two applications, and how a WebSocket is asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from aiohttp import web
from quart import Quart, abort, request, websocket
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from loopbench.loadtests.behaviour.applications import Handler
from loopbench.loadtests.behaviour.asking import Answer, experiment
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, App, serve
from loopbench.loadtests.behaviour.talking import Reply, Seen, Wire, get, shake_hands, until_closed

Layer = Callable[[Any, Seen], object]
"""Puts itself around the handlers of an application, and reports."""

Talk = Callable[[int], str]
"""Sends something to the application at that port, and says what came back."""

STOP_S = 15.0
_OF_HANDLERS = frozenset(("handler", "first piece", "last piece", "accepted"))


def aiohttp_app(seen: Seen) -> web.Application:
    """GET / answers, /raise raises, /stream streams two pieces, /ws is a WebSocket, /old and /new
    tell which route they are, and two are not found, one raised and one returned."""

    async def hello(_: web.Request) -> web.Response:
        seen("handler")
        return web.Response(text="hello")

    async def broken(_: web.Request) -> web.Response:
        seen("handler")
        raise ValueError("broken")

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        seen("first piece")
        await response.write(b"one, ")
        await response.write(b"two")
        seen("last piece")
        return response

    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        seen("accepted")
        await socket.send_str("hello")
        await socket.close()
        return socket

    async def not_found(_: web.Request) -> web.Response:
        raise web.HTTPNotFound

    async def no_order(_: web.Request) -> web.Response:
        return web.Response(status=404, text="no such order")

    async def old(request: web.Request) -> web.Response:
        return web.Response(text=f"/old route, request.path {request.path}")

    async def new(request: web.Request) -> web.Response:
        return web.Response(text=f"/new route, request.path {request.path}")

    app = web.Application()
    app.add_routes([web.get("/", hello), web.get("/raise", broken), web.get("/stream", stream)])
    app.add_routes([web.get("/ws", talk), web.get("/old", old), web.get("/new", new)])
    app.add_routes([web.get("/raised", not_found), web.get("/returned", no_order)])
    return app


def quart_app(seen: Seen) -> Quart:
    """The same on Quart."""
    app = Quart(__name__)

    @app.get("/")
    async def hello() -> str:
        seen("handler")
        return "hello"

    @app.get("/raise")
    async def broken() -> str:
        seen("handler")
        raise ValueError("broken")

    @app.get("/stream")
    async def stream() -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            seen("first piece")
            yield b"one, "
            yield b"two"
            seen("last piece")

        return pieces()

    @app.websocket("/ws")
    async def talk() -> None:
        await websocket.accept()
        seen("accepted")
        await websocket.send("hello")

    @app.get("/raised")
    async def not_found() -> str:
        abort(404)

    @app.get("/returned")
    async def no_order() -> tuple[str, int]:
        return "no such order", 404

    @app.get("/old")
    async def old() -> str:
        return f"/old route, request.path {request.path}"

    @app.get("/new")
    async def new() -> str:
        return f"/new route, request.path {request.path}"

    return app


Make = Callable[[Seen], App]
"""Makes an application whose layers and handlers report."""

APPS: dict[str, Make] = {AIOHTTP: aiohttp_app, QUART: quart_app}


def layered(stack: str, layer: Layer) -> Make:
    """The application of that stack with the layer around it."""

    def make(seen: Seen) -> App:
        app = APPS[stack](seen)
        layer(app, seen)
        return app

    return make


def layers(table: Mapping[str, Mapping[str, Layer]]) -> dict[str, dict[str, Make]]:
    """The table for `variants`, with an application for each layer."""
    return {
        stack: {setting: layered(stack, layer) for setting, layer in rows.items()}
        for stack, rows in table.items()
    }


def asgi(middleware: Callable[[Any, Seen], Any]) -> Layer:
    """ASGI middleware around a Quart application: it is given what was there before."""

    def install(app: Quart, seen: Seen) -> None:
        app.asgi_app = middleware(app.asgi_app, seen)  # type: ignore[method-assign]

    return install


def noting(seen: Seen, event: str | Callable[[Any], str]) -> Any:
    """A hook that reports this, or what the function makes of the response or error that it is
    given, which it hands on."""

    async def hook(*given: Any, **_: Any) -> Any:
        last = given[-1] if given else None
        seen(event if isinstance(event, str) else event(last))
        return last

    return hook


def middleware(app: web.Application, seen: Seen) -> None:
    @web.middleware
    async def watching(request: web.Request, handler: Handler) -> web.StreamResponse:
        seen("before")
        try:
            response = await handler(request)
        except Exception as error:
            seen(f"{type(error).__name__} raised")
            raise
        seen(f"after, {response.status}")
        return response

    app.middlewares.append(watching)


def after_websocket(app: Quart, seen: Seen) -> None:
    def event(response: Any) -> str:
        return f"after_websocket, {response.status_code if response else 'no response'}"

    app.after_websocket(noting(seen, event))


def teardown_request(app: Quart, seen: Seen) -> None:
    def event(error: BaseException | None) -> str:
        return f"teardown_request, {type(error).__name__ if error else 'no exception'}"

    app.teardown_request(noting(seen, event))


def errorhandler(app: Quart, seen: Seen) -> None:
    @app.errorhandler(Exception)
    async def watching(error: Exception) -> ResponseReturnValue:
        seen(f"errorhandler, {type(error).__name__}")
        return "sorry", error.code or 500 if isinstance(error, HTTPException) else 500


@asgi
def asgi_middleware(inner: Any, seen: Seen) -> Any:
    async def watching(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await inner(scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"].endswith(".start"):
                seen(f"send, {message['status']}")
            elif message["type"] == "websocket.accept":
                seen("send, accept")
            await send(message)

        seen("before")
        try:
            await inner(scope, receive, sending)
        except Exception as error:
            seen(f"{type(error).__name__} raised")
            raise
        seen("after")

    return watching


def reply_of(make: Make, target: str) -> Reply:
    """The answer to GET target. Raises NoAnswer."""
    with serve(make(Seen())) as server:
        return get(server.port, target)


def told(reply: Reply) -> str:
    """An answer in a few words."""
    return f"{reply.status} with {reply.text[:60].splitlines()[0] if reply.body else 'no body'!r}"


def websocket_talk(port: int) -> str:
    """A WebSocket opened, listened to until the server closes it."""
    with Wire(port) as wire:
        head = shake_hands(wire)
        said = "and said hello" if b"hello" in until_closed(wire) else "without a word"
    return f"{head.split(b' ')[1].decode()} {said}"


def fetch(target: str) -> Talk:
    """GET target."""
    return lambda port: told(get(port, target))


LAYERS: dict[str, dict[str, Layer]] = {
    AIOHTTP: {
        "middleware": middleware,
        "on_response_prepare": lambda app, seen: app.on_response_prepare.append(
            noting(seen, lambda response: f"on_response_prepare, {response.status}")
        ),
    },
    QUART: {
        "before_request": lambda app, seen: app.before_request(noting(seen, "before_request")),
        "after_request": lambda app, seen: app.after_request(
            noting(seen, lambda response: f"after_request, {response.status_code}")
        ),
        "teardown_request": teardown_request,
        "errorhandler(Exception)": errorhandler,
        "ASGI middleware": asgi_middleware,
    },
}
OF_WEBSOCKETS: dict[str, Layer] = {
    "before_websocket": lambda app, seen: app.before_websocket(noting(seen, "before_websocket")),
    "after_websocket": after_websocket,
}
WEBSOCKET_LAYERS = {**LAYERS, QUART: LAYERS[QUART] | OF_WEBSOCKETS}


def talked(make: Make, talk: Talk) -> tuple[tuple[str, ...], str]:
    """Talk to the application, and stop it: the events until then, and what came back."""
    seen = Seen()
    with serve(make(seen)) as server:
        came_back = talk(server.port)
        server.stop(STOP_S)
    return seen.events, came_back


def ask_who_sees(make: Make, name: str, talk: Talk) -> Answer:
    """What the layer of that name sees when the application is talked to."""
    events, came_back = talked(make, talk)
    answer = "; ".join(events) if set(events) - _OF_HANDLERS else f"{name} sees nothing"
    return Answer(answer, f"in order: {'; '.join(events) or 'nothing'}; got {came_back}")


for question, table, talk in (
    ("who-sees-404", LAYERS, fetch("/missing")),
    ("who-sees-500", LAYERS, fetch("/raise")),
    ("who-sees-streams", LAYERS, fetch("/stream")),
    ("who-sees-websocket-handshake", WEBSOCKET_LAYERS, websocket_talk),
):
    for stack, rows in table.items():
        for name, layer in rows.items():
            experiment(question, stack, name, layered(stack, layer), name, talk)(ask_who_sees)
