"""What layers change: bodies, errors, headers, paths and WebSockets; and how they are made."""

from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, abort, jsonify, make_response, request, websocket
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, Build, serve
from loopbench.loadtests.behaviour.asking import Answer, variants
from loopbench.loadtests.behaviour.framework.events import kinds, warned
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire, get
from loopbench.loadtests.behaviour.order.layers import NEW, OLD, in_words, layers, middlewares
from loopbench.loadtests.behaviour.talking import reply_of, seen, shake_hands, upgraded


@web.middleware
async def of_the_tutorials(request: web.Request, handler: apps.Handler) -> web.StreamResponse:
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
async def with_status(request: web.Request, handler: apps.Handler) -> web.StreamResponse:
    """Raised or returned, a 404 is a 404."""
    try:
        response = await handler(request)
        if response.status != 404 or response.prepared:
            return response
        reason = response.reason
    except web.HTTPNotFound as error:
        reason = error.reason
    return web.json_response({"error": reason or "Not Found"}, status=404)


async def as_json(error: NotFound) -> ResponseReturnValue:
    return jsonify(error=error.name)


async def as_json_404(error: NotFound) -> ResponseReturnValue:
    return jsonify(error=error.name), 404


async def every_404(response: Any) -> Any:
    """As after_request: meets every 404, whoever made it."""
    if response.status_code != 404:
        return response
    return await make_response(jsonify(error="Not Found"), 404)


NOT_FOUND_AS_JSON: apps.Adds = {
    AIOHTTP: {
        "as in the tutorials": middlewares(of_the_tutorials),
        "status=404": middlewares(with_status),
    },
    QUART: {
        "errorhandler(404) without a status": lambda app: app.errorhandler(404)(as_json),
        "errorhandler(404), 404": lambda app: app.errorhandler(404)(as_json_404),
        "after_request": lambda app: app.after_request(every_404),
    },
}
TARGETS = {"no route": "/missing", "raised by a handler": "/raised", "returned": "/returned"}


@variants("error-middleware-404", layers(NOT_FOUND_AS_JSON), each=TARGETS)
def ask_404(application: Build, target: str) -> Answer:
    reply = reply_of(application(), target)
    content_type = reply.header("content-type") or "nothing"
    kind = "JSON" if content_type.startswith("application/json") else "not JSON"
    return Answer(f"{reply.status}, {kind}", f"got {in_words(reply)} as {content_type}")


NAME, NAMES = "X-Everywhere", ("X-One", "X-Two")
ANSWERS = {"an answer": "/", "a stream": "/stream", "404": "/missing", "500": "/raise"}


def tagged(response: Any, name: str = NAME) -> Any:
    response.headers[name] = "1"
    return response


def undecorated(name: str) -> Any:
    """A function that makes the middleware, without the decorator that marks it as new-style."""

    async def tag(request: web.Request, handler: apps.Handler) -> web.StreamResponse:
        return tagged(await handler(request), name)  # type: ignore[no-any-return]

    return tag


def factory(name: str) -> Any:
    """The same with the decorator."""
    return web.middleware(undecorated(name))


def hook(name: str) -> Any:
    """The same for after_request and on_response_prepare, which are given the response last."""

    async def tag(*given: Any) -> Any:
        return tagged(given[-1], name)

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


def asgi_class(app: Quart, names: tuple[str, ...] = NAMES) -> None:
    for name in names:
        app.asgi_app = Asgi(app.asgi_app, name)  # type: ignore[method-assign]


@web.middleware
async def tag_exceptions_too(request: web.Request, handler: apps.Handler) -> web.StreamResponse:
    try:
        return tagged(await handler(request))  # type: ignore[no-any-return]
    except web.HTTPException as error:
        tagged(error)
        raise


TAGGING: apps.Adds = {
    AIOHTTP: {
        "on_response_prepare": lambda app: app.on_response_prepare.append(hook(NAME)),
        "middleware": middlewares(factory(NAME)),
        "middleware, except web.HTTPException": middlewares(tag_exceptions_too),
    },
    QUART: {
        "after_request": lambda app: app.after_request(hook(NAME)),
        "ASGI middleware": partial(asgi_class, names=(NAME,)),
    },
}


@variants("header-on-prepare", layers(TAGGING))
def ask_header(application: Build) -> Answer:
    with serve(application()) as server:
        headers = {kind: get(server.port, path).header(NAME) for kind, path in ANSWERS.items()}
        head = upgraded(server.port)[0].decode().lower()
        headers["a WebSocket's handshake"] = "1" if f"{NAME.lower()}: 1" in head else None
    lacking = [name for name, has in headers.items() if not has]
    on = ", ".join(name for name, has in headers.items() if has) or "none of them"
    answer = f"on all but {', '.join(lacking)}" if lacking else "on all of them"
    return Answer(answer, f"of {len(headers)} kinds of answers it is on {on}")


def old_style(name: str) -> Any:
    """As middlewares were before the decorator: called once a request, they return a handler."""

    async def make(_: web.Application, handler: apps.Handler) -> apps.Handler:
        return partial(undecorated(name), handler=handler)

    return make


@web.middleware
class Tag:
    """A decorated class, whose objects are called."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, request: web.Request, handler: apps.Handler) -> web.StreamResponse:
        return tagged(await handler(request), self.name)  # type: ignore[no-any-return]


FACTORIES: apps.Adds = {
    AIOHTTP: {
        "factory": middlewares(*map(factory, NAMES)),
        "factory, without @web.middleware": middlewares(*map(undecorated, NAMES)),
        "async def make(app, handler)": middlewares(*map(old_style, NAMES)),
        "class under @web.middleware": middlewares(*map(Tag, NAMES)),
    },
    QUART: {
        "after_request(factory(…))": lambda app: [app.after_request(hook(n)) for n in NAMES],
        "ASGI class": asgi_class,
    },
}


@variants("middleware-factory", layers(FACTORIES))
def ask_factory(application: Build) -> Answer:
    with warned() as caught:
        reply = reply_of(application(), "/")
    tags = [name.lower() for name in NAMES if reply.header(name)]
    worked = {0: "neither ran", 1: "one of the two ran", 2: "each with its own parameter"}
    evidence = f"headers {' and '.join(tags) or 'of neither'}; warnings: {len(caught)}"
    return Answer(", ".join((f"{reply.status}", worked[len(tags)], *kinds(caught))), evidence)


@web.middleware
async def clone(request: web.Request, handler: apps.Handler) -> web.StreamResponse:
    """Gives the handler a request with another path."""
    return await handler(request.clone(rel_url=NEW))


@web.middleware
async def redirect(request: web.Request, handler: apps.Handler) -> web.StreamResponse:
    """Lets the client ask again."""
    if request.path == OLD:
        raise web.HTTPPermanentRedirect(NEW)
    return await handler(request)


async def rewrite() -> None:
    request.path = NEW


@apps.asgi
async def rewrite_in_asgi(inner: Any, scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http" and scope["path"] == OLD:
        scope = {**scope, "path": NEW, "raw_path": NEW.encode()}
    await inner(scope, receive, send)


REWRITING: apps.Adds = {
    AIOHTTP: {
        "middleware, request.clone(rel_url=…)": middlewares(clone),
        "middleware redirects": middlewares(redirect),
    },
    QUART: {
        "before_request, request.path = …": lambda app: app.before_request(rewrite),
        "ASGI middleware": rewrite_in_asgi,
    },
}


@variants("rewrite-path", layers(REWRITING))
def ask_rewritten(application: Build) -> Answer:
    reply = reply_of(application(), OLD)
    to = reply.header("location")
    if to:
        return Answer(f"{reply.status} to {to}", f"GET {OLD} gave {reply.status}, Location: {to}")
    return Answer(f"{reply.status}, {reply.text}", f"GET {OLD} gave {reply.status}: {reply.text}")


@web.middleware
async def forbid(request: web.Request, handler: apps.Handler) -> web.StreamResponse:
    raise web.HTTPForbidden


async def accept_first() -> tuple[str, int]:
    await websocket.accept()
    return "no", 403


@apps.asgi
async def refuse_in_asgi(inner: Any, scope: Any, receive: Any, send: Any) -> None:
    """`close` before `accept` is how ASGI refuses."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
    else:
        await inner(scope, receive, send)


refuse, aborting = apps.asynchronous(lambda: ("no", 403)), apps.asynchronous(lambda: abort(403))

REFUSING: apps.Adds = {
    AIOHTTP: {"middleware raises HTTPForbidden": middlewares(forbid)},
    QUART: {
        "before_request returns 403": lambda app: app.before_request(refuse),
        "before_websocket returns 403": lambda app: app.before_websocket(refuse),
        "before_websocket aborts with 403": lambda app: app.before_websocket(aborting),
        "before_websocket returns 403 after accept": lambda app: app.before_websocket(accept_first),
        "ASGI middleware closes": refuse_in_asgi,
    },
}


@variants("refuse-websocket", layers(REFUSING))
def ask_refused(application: Build) -> Answer:
    with serve(application()) as server:
        with Wire(server.port) as wire:
            try:
                status = shake_hands(wire).split(b" ")[1].decode()
                came = f"the handshake was answered {status}"
            except NoAnswer as error:
                status, came = "no answer", f"the handshake had no answer: {error}"
            if status == "101":
                seen.wait("accepted", 1.0)  # to leave earlier could keep the handler from noting it
        server.stop()
    ran = "the handler ran" if "accepted" in seen else "the handler did not run"
    return Answer(f"{status}, {ran}", f"{came}; {ran}")
