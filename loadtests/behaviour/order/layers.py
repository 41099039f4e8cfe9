"""Which layers see what: what can be put around a handler notes what it sees of a request.

The rest of the topic shares the two applications, and how a WebSocket is asked for.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web
from quart import Quart, abort, request, websocket
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, Apps, Build, Work, serve
from loopbench.loadtests.behaviour.asking import Answer, experiment
from loopbench.loadtests.behaviour.talking import NoAnswer, Reply, get, noting, seen, upgraded

Layer = Callable[[Any], object]
"""Puts itself around the handlers of an application, and reports."""

STOP_S = 15.0
OLD, NEW = "/old", "/new"
_OF_HANDLERS = frozenset(("handler", "first piece", "last piece", "accepted"))


async def hello() -> str:
    seen("handler")
    return "hello"


async def broken() -> str:
    seen("handler")
    raise ValueError("broken")


async def stream() -> AsyncIterator[bytes]:
    seen("first piece")
    yield b"one, "
    yield b"two"
    seen("last piece")


WORKS: dict[str, Work] = {"/": hello, "/raise": broken, "/stream": stream}


def aiohttp_app() -> web.Application:
    """Beside these works /ws is a WebSocket, /old and /new tell which route they are, and two are
    not found, one raised and one returned."""

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

    async def tell(request: web.Request) -> web.Response:
        route = request.match_info.get_info()["path"]
        return web.Response(text=f"{route} route, request.path {request.path}")

    app = apps.aiohttp_answering(WORKS)
    app.add_routes([web.get("/ws", talk), web.get(OLD, tell), web.get(NEW, tell)])
    app.add_routes([web.get("/raised", not_found), web.get("/returned", no_order)])
    return app


def quart_app() -> Quart:
    """The same on Quart."""
    app = apps.quart_answering(WORKS)

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

    @app.get(OLD)
    @app.get(NEW)
    async def tell() -> str:
        return f"{request.url_rule} route, request.path {request.path}"

    return app


APPS: Apps = {AIOHTTP: aiohttp_app, QUART: quart_app}


def layers(table: apps.Adds) -> dict[str, dict[str, Build]]:
    """The table for `variants`, with an application for each layer."""
    return apps.adding(table, APPS)


def middlewares(*all_of_them: Any) -> Layer:
    """These at the end of an aiohttp application's list."""
    return lambda app: app.middlewares.extend(all_of_them)


def report(event: str, words: object = "") -> None:
    """Report an event, with these words in place of {}; nothing where it is blank."""
    if event:
        seen(event.format(words))


def around(before: str = "", after: str = "", raised: str = "", over: str = "") -> Any:
    """A middleware that reports these: before the handler, after it, where it raises, and in
    either case; {} stands for the status of the answer, or for what is raised."""

    @web.middleware
    async def watching(request: web.Request, handler: apps.Handler) -> web.StreamResponse:
        report(before)
        try:
            response = await handler(request)
            report(after, response.status)
        except BaseException as error:
            report(raised, type(error).__name__)
            raise
        finally:
            report(over)
        return response

    return watching


def errorhandler(app: Quart) -> None:
    @app.errorhandler(Exception)
    async def watching(error: Exception) -> ResponseReturnValue:
        seen(f"errorhandler, {type(error).__name__}")
        return "sorry", error.code or 500 if isinstance(error, HTTPException) else 500


def asgi_around(before: str, after: str, raised: str = "", sent: str = "") -> Layer:
    """ASGI middleware that reports the same of requests and WebSockets; sent: as an answer begins,
    where {} stands for its status, or for `accept`."""

    @apps.asgi
    async def watching(inner: Any, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await inner(scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"].endswith((".start", ".accept")):
                report(sent, message.get("status", "accept"))
            await send(message)

        report(before)
        try:
            await inner(scope, receive, sending)
        except Exception as error:
            report(raised, type(error).__name__)
            raise
        report(after)

    return watching


def in_words(reply: Reply) -> str:
    """An answer in a few words."""
    return f"{reply.status} with {reply.text[:60].splitlines()[0] if reply.body else 'no body'!r}"


def raised(error: BaseException | None) -> str:
    """What a teardown is given, in words."""
    return type(error).__name__ if error else "no exception"


def status(response: Any) -> object:
    """Of a response of either framework, or of none."""
    if response is None:
        return "no response"
    return response.status if isinstance(response, web.StreamResponse) else response.status_code


def hooks(kind: str, words: Callable[[Any], object] = str) -> Layer:
    """A hook of Quart of that kind, which reports its name and those words."""
    event = f"{kind}, {{}}" if words is not str else kind
    return lambda app: getattr(app, kind)(noting(event, words))


LAYERS: apps.Adds = {
    AIOHTTP: {
        "middleware": middlewares(around("before", "after, {}", "{} raised")),
        "on_response_prepare": lambda app: app.on_response_prepare.append(
            noting("on_response_prepare, {}", status)
        ),
    },
    QUART: {
        "before_request": hooks("before_request"),
        "after_request": hooks("after_request", status),
        "teardown_request": hooks("teardown_request", raised),
        "errorhandler(Exception)": errorhandler,
        "ASGI middleware": asgi_around("before", "after", "{} raised", "send, {}"),
    },
}
WEBSOCKET_LAYERS: apps.Adds = {
    **LAYERS,
    QUART: {
        **LAYERS[QUART],
        "before_websocket": hooks("before_websocket"),
        "after_websocket": hooks("after_websocket", status),
    },
}


def talked(application: Build, target: str = "/") -> str:
    """GET the target, or open the WebSocket of /ws, and stop the application: what came back."""
    with serve(application()) as server:
        try:
            if target == "/ws":
                head, frames = upgraded(server.port)
                greeting = "and said hello" if b"hello" in frames else "without a word"
                came_back = f"{head.split(b' ')[1].decode()} {greeting}"
            else:
                came_back = in_words(get(server.port, target))
        except NoAnswer as error:
            came_back = f"no answer: {error}"
        server.stop(STOP_S)
    return came_back


def ask_who_sees(application: Build, name: str, target: str) -> Answer:
    """What the layer of that name sees when the application is talked to."""
    came_back = talked(application, target)
    events = "; ".join(seen.events)
    answer = events if set(seen.events) - _OF_HANDLERS else f"{name} sees nothing"
    return Answer(answer, f"in order: {events or 'nothing'}; got {came_back}")


for question, table, target in (
    ("who-sees-404", LAYERS, "/missing"),
    ("who-sees-500", LAYERS, "/raise"),
    ("who-sees-streams", LAYERS, "/stream"),
    ("who-sees-websocket-handshake", WEBSOCKET_LAYERS, "/ws"),
):
    for stack, rows in layers(table).items():
        for name, make in rows.items():
            experiment(question, stack, name, make, name, target)(ask_who_sees)
