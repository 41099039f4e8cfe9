"""What is kept for one request: with it or its response, in `g`, in a session; in a WebSocket."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import quart
from aiohttp import web
from itsdangerous import BadData, base64_decode, base64_encode
from quart import Quart, Response, current_app, g, request, session, websocket

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, Build, serve
from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments, variants
from loopbench.loadtests.behaviour.framework.events import kinds, warned
from loopbench.loadtests.behaviour.parsing.scene import aiohttp_reader, quart_reader
from loopbench.loadtests.behaviour.talking import Wire, as_seen, noting, reply_of, seen, upgraded

USER: Any = web.RequestKey("user", str) if hasattr(web, "RequestKey") else "user"
"""Before aiohttp 3.14 there are no typed keys of a request; where these are what is asked about,
they are made when the question is asked, so that the others can be asked there all the same."""


def storing(key: Any) -> Any:
    """A middleware that stores, where the request names a user."""

    @web.middleware
    async def store(request: web.Request, handler: apps.Handler) -> web.StreamResponse:
        if "user" in request.query:
            request[key] = request.query["user"]
        return await handler(request)

    return store


def aiohttp_remembering(name: str = "") -> web.Application:
    """name: the key, in place of a typed one."""
    key: Any = name or web.RequestKey("user", str)
    return aiohttp_reader(lambda request: request.get(key, "nothing"), middlewares=[storing(key)])


def quart_remembering(where: Any) -> Quart:
    """where: `g` or `request`."""
    app = quart_reader(lambda: getattr(where, "user", "nothing"))

    @app.before_request
    async def store() -> None:
        if "user" in request.args:
            where.user = request.args["user"]

    return app


@experiment("request-storage", AIOHTTP, 'request["user"]', aiohttp_remembering, "user")
@experiment("request-storage", AIOHTTP, 'web.RequestKey("user", str)', aiohttp_remembering)
@experiment("request-storage", QUART, "g.user", quart_remembering, g)
@experiment("request-storage", QUART, "request.user", quart_remembering, request)
def ask_remembered(application: Build, *where: Any) -> Answer:
    """The same connection carries both requests."""
    with warned() as caught, serve(application(*where)) as server, Wire(server.port) as wire:
        texts = [wire.ask("GET", target).text for target in ("/?user=Ada", "/")]
    here = "found by the handler" if texts[0] == "Ada" else "not found by the handler"
    after = "gone with the request" if texts[1] == "nothing" else "still there for the next one"
    evidence = f"the handler found {texts[0]}, and with the next request {texts[1]}"
    return Answer(", ".join((here, after, *kinds(caught))), f"{evidence}; warnings: {len(caught)}")


def aiohttp_costing(name: str = "") -> web.Application:
    key: Any = name or web.ResponseKey("cost", str)

    async def handler(_: web.Request) -> web.Response:
        response = web.Response()
        response[key] = "9"
        return response

    @web.middleware
    async def read(request: web.Request, handler: apps.Handler) -> web.StreamResponse:
        response = await handler(request)
        seen(f"middleware finds {response.get(key)}")
        return response

    app = apps.answering(handler, read)
    finds = noting("on_response_prepare finds {}", lambda response: response.get(key))
    app.on_response_prepare.append(finds)
    return app


def quart_costing() -> Quart:
    async def handler() -> str:
        g.cost = "9"
        return ""

    app: Quart = apps.AWAITING[QUART](handler)
    app.after_request(noting("after_request finds {}", lambda _: g.get("cost")))
    app.teardown_request(noting("teardown_request finds {}", lambda _: g.get("cost")))
    return app


@experiment("response-storage", AIOHTTP, 'response["cost"]', aiohttp_costing, "cost")
@experiment("response-storage", AIOHTTP, 'web.ResponseKey("cost", str)', aiohttp_costing)
@experiment("response-storage", QUART, "g.cost", quart_costing)
def ask_cost(application: Build, *key: str) -> Answer:
    with warned() as caught:
        reply_of(application(*key))
    finders = [event.partition(" finds 9")[0] for event in seen.events if event.endswith(" 9")]
    finding = f"found by {' and '.join(finders)}" if finders else "found by nobody"
    return as_seen(", ".join((finding, *kinds(caught))), f"warnings: {len(caught)}")


async def store() -> None:
    g.user = "Ada"


async def look() -> None:
    seen(f"found {g.get('user', 'nothing')}")


def set_before_serving() -> Quart:
    app = apps.quart_answering({"/look": look})
    app.before_serving(store)
    return app


def in_teardown() -> Quart:
    app = apps.quart_answering({"/look": store})

    @app.teardown_appcontext
    async def after(_: BaseException | None) -> None:
        if "user" in g:
            await look()

    return app


def in_handler(then: Callable[[], Awaitable[None]]) -> Quart:
    """The handler stores, and does this."""

    async def handler() -> None:
        await store()
        await then()

    return apps.quart_answering({"/look": handler})


async def in_app_context() -> None:
    async with current_app.app_context():
        await look()


in_background = apps.asynchronous(lambda: current_app.add_background_task(look))
PLACES: dict[str, Callable[[], Quart]] = {
    "in a coroutine that the handler awaits": partial(in_handler, look),
    "in teardown_appcontext": in_teardown,
    "in the next request": partial(apps.quart_answering, {"/": store, "/look": look}),
    "set in before_serving": set_before_serving,
    "in app.add_background_task": partial(in_handler, in_background),
    "in a new app_context": partial(in_handler, in_app_context),
}


@variants("g-lifetime", {QUART: PLACES})
def ask_g(application: Build) -> Answer:
    """Whether what was put into g is found in another place."""
    with serve(application()) as server, Wire(server.port) as wire:
        for target in ("/", "/look"):  # on one connection, so that it is not that which ends g
            wire.ask("GET", target)
        if not (seen.wait("found Ada", 0.5) or seen.wait("found nothing")):
            return as_seen("nobody looked")
    return as_seen("found" if "found Ada" in seen else "not found")


@experiment("session-default", QUART)
@experiment("session-default", QUART, "app.secret_key", "not a secret")
def ask_session(secret_key: str | None = None) -> Answer:
    async def store() -> str:
        session["user"] = "Ada"
        return ""

    async def look() -> str:
        return str(session.get("user", "nothing"))

    app = apps.quart_answering({"/store": store, "/look": look})
    app.secret_key = secret_key
    with serve(app) as server, Wire(server.port) as wire:
        stored = wire.ask("GET", "/store")
        cookie = (stored.header("set-cookie") or "").partition(";")[0]
        lines = f"Cookie: {cookie}", f"Cookie: {_forged(cookie)}"
        user, forged_user = (wire.ask("GET", "/look", line).text for line in lines)
    words = [f"{stored.status}", "kept in a cookie" if user == "Ada" else "not kept"]
    if cookie:
        words.append("the client can read it" if "Ada" in _read(cookie) else "unreadable")
        words.append("and change it" if forged_user == "Eve" else "but not change it")
    evidence = f"storing gave {stored.status} and a cookie of {len(cookie)} characters"
    evidence += f"; the next request found {user}, with Eve in place of Ada {forged_user}"
    return Answer(", ".join(words), evidence)


def _read(cookie: str) -> str:
    """What anybody can read in it, without a key."""
    try:
        return base64_decode(cookie.partition("=")[2].partition(".")[0]).decode(errors="replace")
    except BadData:
        return ""


def _forged(cookie: str) -> str:
    """The same signature under another content."""
    name, _, value = cookie.partition("=")
    other = base64_encode(b'{"user":"Eve"}').decode()
    return f"{name}={other}.{value.partition('.')[2]}" if cookie else ""


Work = Callable[[], Coroutine[Any, Any, None]]
BEGINS: dict[str, Callable[[Work], object]] = {
    "asyncio.create_task": lambda work: apps.begin(work()),
    "copy_current_request_context": lambda work: apps.begin(
        quart.copy_current_request_context(work)()
    ),
    "app.add_background_task": lambda work: current_app.add_background_task(work),
    "run_in_executor": lambda work: apps.begin(apps.in_executor(partial(asyncio.run, work()))),
    "asyncio.to_thread": lambda work: apps.begin(asyncio.to_thread(asyncio.run, work())),
}
"""Of the two threads, to_thread alone is given the context variables."""

BODY = b"the body"


def presence(where: str, value: object, stored: object = "Ada") -> str:
    return f"{where} {'there' if value == stored else 'empty'}"


def quart_beginning(begins: Callable[[Work], object]) -> Quart:
    async def look() -> None:
        await asyncio.to_thread(seen.wait, "answered")
        there = quart.has_request_context()
        seen(presence("request.args", request.args.get("user")) if there else "no request")
        try:
            seen(presence("g", g.get("user")))
        except RuntimeError as error:
            seen(f"g raises {type(error).__name__}")
        seen("looked")

    async def handler() -> str:
        g.user = "Ada"
        begins(look)
        return ""

    app: Quart = apps.AWAITING[QUART](handler)

    @app.teardown_request
    async def teardown(_: BaseException | None) -> None:
        if "looked" not in seen:
            seen("torn down")

    return app


def aiohttp_passing_on(body_read: bool) -> web.Application:
    """The request is passed on; body_read: the handler reads the body first."""

    async def look(request: web.Request) -> None:
        await asyncio.to_thread(seen.wait, "answered")
        seen(presence("request.query", request.query.get("user")))
        seen(presence("request[key]", request.get(USER)))
        try:
            seen(presence("the body", await request.read(), BODY))
        except Exception as error:
            seen(f"the body raises {type(error).__name__}")
        seen("looked")

    async def handler(request: web.Request) -> web.Response:
        request[USER] = "Ada"
        if body_read:
            await request.read()
        apps.begin(look(request))
        return web.Response()

    return apps.aiohttp_app(web.post("/", handler))


PASSED, READ = "the request is passed on", "the request is passed on, its body read before"


@experiments("request-context-in-task", {AIOHTTP: aiohttp_passing_on}, {PASSED: False, READ: True})
@experiments("request-context-in-task", {QUART: quart_beginning}, BEGINS)
def ask_in_task(application: Build, how: Any) -> Answer:
    with serve(application(how)) as server, Wire(server.port) as wire:
        wire.ask("POST", "/?user=Ada", body=BODY)
        seen("answered")
        if not seen.wait("looked"):
            return as_seen("the task never looked")
    meant = [event for event in seen.events if event not in ("answered", "looked", "torn down")]
    return as_seen(", ".join(meant))


def aiohttp_talking() -> web.Application:
    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for _ in range(2):
            await socket.send_str(f"found {request[USER]}")
        await socket.close()
        return socket

    return apps.aiohttp_app(web.get("/ws", talk), middlewares=[storing(USER)])


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
    messages = [part[1:].decode() for part in frame.partition(b"\x88")[0].split(b"\x81") if part]
    if len(messages) != 2:
        return Answer("no two messages", f"the WebSocket said {frame!r}")
    same = (
        "the same for the second message"
        if messages[0] == messages[1]
        else "not for the second message"
    )
    return Answer(
        f"{messages[0]}, {same}", f"the two messages were {messages[0]!r} and {messages[1]!r}"
    )


LIKE_G, NEAR_G = "g|(current_)?(app|request)", "request[key], or a context variable of one's own"


@experiment("response-storage", QUART, 'response["cost"]', Response, "__[gs]etitem__", "g")
@experiment("g-lifetime", AIOHTTP, "g", web, LIKE_G, NEAR_G)
@experiments("session-default", {AIOHTTP: web}, (), "(get_)?[Ss]ession", "aiohttp-session")
def look_for_a_counterpart(where: Any, like: str, nearest: str) -> Answer:
    """Whether one framework has what the other one has."""
    return apps.counterpart(dir(where), like, nearest)
