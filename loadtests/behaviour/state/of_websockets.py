"""Which of the state of a request there is in the handler of a WebSocket."""

from collections.abc import Callable

from aiohttp import web
from quart import Quart, current_app, g, request, session, websocket

from loopbench.loadtests.behaviour.applications import aiohttp_app
from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, Build, serve
from loopbench.loadtests.behaviour.state.of_requests import USER, storing
from loopbench.loadtests.behaviour.talking import upgraded


def aiohttp_talking() -> web.Application:
    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for _ in range(2):
            await socket.send_str(f"found {request[USER]}")
        await socket.close()
        return socket

    return aiohttp_app(web.get("/ws", talk), middlewares=[storing(USER)])


FOUND_IN: dict[str, Callable[[], object]] = {
    "websocket.args": lambda: websocket.args["user"],
    "request.args": lambda: request.args["user"],
    "g, set in before_websocket": lambda: g.user,
    "current_app.config": lambda: current_app.config["USER"],
    "session": lambda: session.setdefault("user", "Ada"),
}


def quart_talking(look: Callable[[], object]) -> Quart:
    app = Quart(__name__)
    app.config["USER"] = "Ada"
    app.secret_key = "not a secret"

    @app.before_websocket
    async def store() -> None:
        g.user = websocket.args["user"]

    @app.websocket("/ws")
    async def talk() -> None:
        for _ in range(2):
            try:
                await websocket.send(f"found {look()}")
            except Exception as error:
                await websocket.send(type(error).__name__)

    return app


@experiment("state-in-websocket", AIOHTTP, "request[key], set in a middleware", aiohttp_talking)
@experiments("state-in-websocket", {QUART: quart_talking}, FOUND_IN)
def ask_websocket(application: Build, *look: Callable[[], object]) -> Answer:
    with serve(application(*look)) as server:
        _, frame = upgraded(server.port, "/ws?user=Ada")
    # Frames of a short text: a byte of kind, a byte of length, the text; then the closing one.
    said = [part[1:].decode() for part in frame.partition(b"\x88")[0].split(b"\x81") if part]
    if len(said) != 2:
        return Answer("no two messages", f"the WebSocket said {frame!r}")
    same = "the same for the second message" if said[0] == said[1] else "not for the second message"
    return Answer(f"{said[0]}, {same}", f"the two messages were {said[0]!r} and {said[1]!r}")
