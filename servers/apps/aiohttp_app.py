"""The contract as an aiohttp application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextvars import copy_context
from functools import cache, partial
from inspect import iscoroutinefunction
from typing import Any

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict

from loopbench.servers.adapters.aiohttp_server import IN_FORCE
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.apps.aiohttp_websockets import BACKING, sockets
from loopbench.servers.apps.handlers import Handlers
from loopbench.servers.contract.routes import LAYERS, ROUTES, WS_ROUTES
from loopbench.servers.handlers import basic, data
from loopbench.servers.handlers.resources import WORK, Backing
from loopbench.servers.probe import active
from loopbench.servers.settings import Settings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

handles: Handlers[Callable[[web.Request], Any]] = Handlers()
"""Coroutine functions, and plain functions, which run in the executor."""

_UPLOAD_LIMIT: web.AppKey[int] = web.AppKey("upload_limit", int)
_DEFAULT_WAIT_MS: web.AppKey[int] = web.AppKey("default_wait_ms", int)

MALFORMED = (ValueError, LookupError, HttpProcessingError, RuntimeError)
"""What `Request.post` raises for a form that it cannot read: its syntax, its charset, the head of
a part, and (RuntimeError) an encoding of a part that it does not know."""


@cache
def _headers(content_type: str, allow: str | None) -> CIMultiDict[str]:
    """Headers of an answer, of which aiohttp makes each response a copy."""
    headers = CIMultiDict({"Content-Type": content_type})
    if allow is not None:
        headers["Allow"] = allow
    return headers


def respond(answer: basic.Answer) -> web.Response:
    """The Answer as aiohttp's response."""
    status, content_type, body, allow = answer
    return web.Response(status=status, body=body, headers=_headers(content_type, allow))


def in_executor(handler: Callable[[web.Request], web.Response]) -> Handler:
    """Run a plain function in the loop's default executor, context variables included.

    aiohttp has no synchronous handlers; this does for one what Quart does for
    every handler that is a plain function.
    """

    async def run(request: web.Request) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, copy_context().run, handler, request)

    return run


@handles
async def index(request: web.Request) -> web.Response:
    wait_ms = request.query.get("wait_ms")
    await basic.pause(request.app[_DEFAULT_WAIT_MS] if wait_ms is None else wait_ms)
    return respond(basic.index())


@handles
async def hello(request: web.Request) -> web.Response:
    wait_ms = request.query.get("wait_ms")
    await basic.pause(request.app[_DEFAULT_WAIT_MS] if wait_ms is None else wait_ms)
    return respond(basic.hello(request.match_info["name"]))


@handles
async def plain(request: web.Request) -> web.Response:
    return respond(basic.plain())


@handles
async def async_(request: web.Request) -> web.Response:
    return respond(basic.where_am_i())


@handles
def sync(request: web.Request) -> web.Response:
    return respond(basic.where_am_i())


@handles
async def blocking(request: web.Request) -> web.Response:
    return sync(request)


@handles
async def query(request: web.Request) -> web.Response:
    return respond(basic.echo_query(request.query.items()))


@handles
async def form(request: web.Request) -> web.Response:
    try:
        fields = await request.post()
    except MALFORMED as error:
        raise basic.Refused(400) from error
    return respond(basic.echo_form(_texts(fields)))


def _texts(
    fields: Mapping[str, str | bytes | bytearray | web.FileField],
) -> Iterator[tuple[str, str]]:
    """The fields without the files. A part of another type than text comes as bytes."""
    for key, value in fields.items():
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, bytes | bytearray):
            yield key, value.decode(errors="replace")


@handles
async def json(request: web.Request) -> web.Response:
    return respond(basic.echo_json(await request.read()))


@handles
async def routes(request: web.Request) -> web.Response:
    web_sockets = {route.path for route in WS_ROUTES}
    return respond(
        basic.routes(
            (route.method, resource.canonical)
            for resource in _resources(request)
            if resource.canonical not in web_sockets
            for route in resource
        )
    )


@handles
async def error(request: web.Request) -> web.Response:
    basic.fail()


@handles
async def sleep_async(request: web.Request) -> web.Response:
    return respond(await basic.sleep_async(request.query.get("ms")))


@handles
def sleep_sync(request: web.Request) -> web.Response:
    return respond(basic.sleep_sync(request.query.get("ms")))


@handles
async def sleep_blocking(request: web.Request) -> web.Response:
    return sleep_sync(request)


@handles
def burn_sync(request: web.Request) -> web.Response:
    return respond(basic.burn(request.query.get("ms")))


@handles
async def burn_async(request: web.Request) -> web.Response:
    return burn_sync(request)


@handles
async def save(request: web.Request) -> web.Response:
    return respond(await basic.save(request.query.get("protect")))


@handles
async def items(request: web.Request) -> web.Response:
    return respond(data.items(request.query.get("items")))


@handles
async def stream(request: web.Request) -> web.StreamResponse:
    answer = data.stream(request.query.get("chunks"), request.query.get("size"))
    response = web.StreamResponse(headers={"Content-Type": answer.content_type})
    await response.prepare(request)
    for chunk in answer.chunks:
        await response.write(chunk)
    await response.write_eof()
    return response


@handles
async def upload(request: web.Request) -> web.Response:
    arriving = data.Upload(request.app[_UPLOAD_LIMIT], request.content_length)
    if not data.is_form(request.headers.get("Content-Type", "")):
        async for piece in request.content.iter_any():
            arriving.write(piece)
        return respond(arriving.answer())
    try:
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name == data.FILE_PART:
                while piece := await part.read_chunk(data.PIECE_BYTES):
                    arriving.write(piece)
                await part.release()
                return respond(arriving.answer())
    except (*MALFORMED, AssertionError) as error:
        raise basic.Refused(400) from error
    raise basic.Refused(400)


@handles
async def fetch(request: web.Request) -> web.Response:
    assert request.transport is not None
    own = request.transport.get_extra_info("sockname")
    query = request.query
    return respond(await request.app[BACKING].fetch(query.get("n"), query.get("how"), own[:2]))


def _working(work: Callable[..., Awaitable[basic.Answer]], parameters: tuple[str, ...]) -> Handler:
    async def backed(request: web.Request) -> web.Response:
        return respond(await work(request.app[BACKING], *map(request.query.get, parameters)))

    return backed


for _name, (_work, _parameters) in WORK.items():
    handles.under(_name)(_working(_work, _parameters))


@handles
def db_sync(request: web.Request) -> web.Response:
    return respond(request.app[BACKING].rows_in_thread(request.query.get("n")))


@handles
async def feed(request: web.Request) -> web.Response:
    return respond(request.app[BACKING].feed.state())


@handles
async def publish(request: web.Request) -> web.Response:
    return respond(await request.app[BACKING].feed.publish(await request.read()))


# aiohttp before 3.14, which a regression check may start, has no keys of this kind.
_PASSED: Any = web.RequestKey("passed", int) if hasattr(web, "RequestKey") else "passed"


@web.middleware
async def layer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Increments the count of layers passed."""
    request[_PASSED] = request.get(_PASSED, 0) + 1
    return await handler(request)


@handles.under(*(f"middleware-{layers}" for layers in LAYERS))
async def count(request: web.Request) -> web.Response:
    return respond(basic.layers(request.get(_PASSED, 0)))


_TAKE_NOTHING = frozenset(
    {"plain", "async", "sync", "blocking", *(f"middleware-{layers}" for layers in LAYERS)}
)
"""Routes that take nothing from the request, so that they can neither refuse it nor fail."""


def guarded(handler: Handler) -> Handler:
    """Answer a failure of `handler` with the contract's JSON.

    Each route that can fail has this around its handler: a middleware would be in the way of
    those, too, that cannot, and any middleware brings one of aiohttp's own with it.
    """

    async def guard(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except basic.Refused as refused:
            return respond(basic.refused(refused))
        except web.HTTPError as refused:
            return respond(basic.error(refused.status))
        except web.HTTPException:
            raise
        except Exception as cause:
            return respond(basic.failed(request.method, request.path, cause))

    return guard


class _Anything(web.PlainResource):
    """Where a request arrives that no other route is for, whatever its target."""

    def _match(self, path: str) -> dict[str, str]:
        return {}


def _resources(request: web.Request) -> Iterator[web.AbstractResource]:
    """All but that one."""
    resources = request.app.router.resources()
    return (resource for resource in resources if not isinstance(resource, _Anything))


async def unmatched(request: web.Request) -> web.Response:
    """405 where the path has a route of another method, else 404."""
    allowed: set[str] = set()
    for resource in _resources(request):
        allowed |= (await resource.resolve(request))[1]
    return respond(basic.error(405, allowed) if allowed else basic.error(404))


def _layered(handler: Handler, layers: int) -> Handler:
    """Under so many layers of middleware, put together as aiohttp does it (`web_app.py`,
    `_build_middlewares`). An application that has a middleware, or a nested one with it, would
    prepare every request for it."""
    for _ in range(layers):
        handler = partial(layer, handler=handler)
    return handler


def _whole(handler: Callable[..., Any], *, waits: bool, fails: bool, layers: int) -> Handler:
    """What aiohttp calls for a handler. waits: whether that is a coroutine function. fails: see
    `guarded`."""
    handler = handler if waits else in_executor(handler)
    return _layered(guarded(handler) if fails else handler, layers)


def _put(routes: list[web.AbstractRoute], handler: Any) -> None:
    """Have aiohttp call another handler for some routes. It keeps theirs in an attribute of its
    own: one that decides at each request which to call would cost every request."""
    for route in routes:
        route._handler = handler


async def _backed(app: web.Application) -> AsyncIterator[None]:
    await app[BACKING].start()
    yield
    await app[BACKING].close()


def _in_force(app: web.Application) -> InForce:
    body = respond(basic.example()).body
    assert isinstance(body, bytes)
    return {**app[BACKING].pools(), "json": body.decode()}


def create_app(settings: Settings) -> web.Application:
    """The application, with all routes of the contract."""
    app = web.Application(client_max_size=settings.body_limit_bytes)
    app[_DEFAULT_WAIT_MS] = settings.wait_ms
    app[_UPLOAD_LIMIT] = settings.upload_limit_bytes
    app[BACKING] = Backing(settings)
    app[IN_FORCE] = lambda: _in_force(app)
    app.cleanup_ctx.append(_backed)
    under = {f"middleware-{layers}": layers for layers in LAYERS}
    for route, handler in handles.of(ROUTES):
        # Without the pattern a parameter would stop at a brace, too.
        path = route.path.replace("}", ":[^/]+}")
        whole = partial(
            _whole,
            waits=iscoroutinefunction(handler),
            fails=route.name not in _TAKE_NOTHING,
            layers=under.get(route.name, 0),
        )
        methods = ("GET", "HEAD") if route.method == "GET" else (route.method,)
        added = [app.router.add_route(method, path, whole(handler)) for method in methods]
        active.watch_by_turns(route.name, handler, whole, partial(_put, added))
    for route, socket in sockets.of(WS_ROUTES):
        app.router.add_route(route.method, route.path, guarded(socket))
    anything = _Anything("/")
    app.router.register_resource(anything)
    anything.add_route("*", unmatched)
    return app
