"""The contract as a Quart application, for any ASGI server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast
from urllib.parse import urlsplit

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart import Blueprint, Quart, Request, Response, current_app, g, has_request_context, request
from quart.asgi import ASGIHTTPConnection
from quart.formparser import FormDataParser
from werkzeug.exceptions import HTTPException

from loopbench.servers.adapters import asgi
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.apps.handlers import Handlers
from loopbench.servers.apps.quart_websockets import sockets
from loopbench.servers.apps.werkzeug_parts import (
    DEFAULT_WAIT_MS,
    add_routes,
    listing,
    refusal,
    set_up,
)
from loopbench.servers.contract.routes import LAYERS, WS_ROUTES
from loopbench.servers.handlers import basic, data
from loopbench.servers.handlers.resources import WORK, Backing
from loopbench.servers.settings import Settings

Reply = tuple[bytes, int, dict[str, str]]
"""Body, status and headers: how Quart's documentation has a route answer."""

Handler = Callable[..., Reply | Response] | Callable[..., Awaitable[Reply | Response]]

handles: Handlers[Handler] = Handlers()
"""Coroutine functions, and plain functions, which Quart runs in the loop's default executor."""

_UPLOAD_LIMIT = "LOOPBENCH_UPLOAD_LIMIT"


def respond(answer: basic.Answer) -> Reply:
    """The Answer as Quart takes it from a route, which makes a response of it."""
    status, content_type, body, allow = answer
    headers = {"Content-Type": content_type}
    if allow is not None:
        headers["Allow"] = allow
    return body, status, headers


@handles
async def index() -> Reply:
    wait_ms = request.args.get("wait_ms")
    await basic.pause(current_app.config[DEFAULT_WAIT_MS] if wait_ms is None else wait_ms)
    return respond(basic.index())


@handles
async def hello(name: str) -> Reply:
    wait_ms = request.args.get("wait_ms")
    await basic.pause(current_app.config[DEFAULT_WAIT_MS] if wait_ms is None else wait_ms)
    return respond(basic.hello(name))


@handles
async def plain() -> Reply:
    return respond(basic.plain())


@handles
async def async_() -> Reply:
    return respond(basic.where_am_i())


@handles
def sync() -> Reply:
    return respond(basic.where_am_i())


@handles
async def blocking() -> Reply:
    return sync()


@handles
async def query() -> Reply:
    return respond(basic.echo_query(request.args.items(multi=True)))


@handles
async def form() -> Reply:
    try:
        fields = await request.form
    except ValueError as error:
        raise basic.Refused(400) from error
    return respond(basic.echo_form(fields.items(multi=True)))


@handles
async def json() -> Reply:
    body = await request.get_data(cache=True, as_text=False, parse_form_data=False)
    return respond(basic.echo_json(body))


@handles
async def routes() -> Reply:
    return respond(basic.routes(listing(current_app.url_map)))


@handles
async def error() -> Reply:
    basic.fail()


@handles
async def sleep_async() -> Reply:
    return respond(await basic.sleep_async(request.args.get("ms")))


@handles
def sleep_sync() -> Reply:
    return respond(basic.sleep_sync(request.args.get("ms")))


@handles
async def sleep_blocking() -> Reply:
    return sleep_sync()


@handles
def burn_sync() -> Reply:
    return respond(basic.burn(request.args.get("ms")))


@handles
async def burn_async() -> Reply:
    return burn_sync()


@handles
async def save() -> Reply:
    return respond(await basic.save(request.args.get("protect")))


@handles
async def items() -> Reply:
    return respond(data.items(request.args.get("items")))


@handles
async def stream() -> Response:
    answer = data.stream(request.args.get("chunks"), request.args.get("size"))
    return Response(_sent(answer), content_type=answer.content_type)


async def _sent(answer: data.Stream) -> AsyncIterator[bytes]:
    for chunk in answer.chunks:
        yield chunk


@handles
async def upload() -> Reply:
    limit = current_app.config[_UPLOAD_LIMIT]
    arriving = data.Upload(limit, request.content_length)
    if not data.is_form(request.headers.get("Content-Type", "")):
        async for piece in request.body:
            arriving.write(piece)
        return respond(arriving.answer())
    # Quart would spool each file to the disk; given another place for it, it does not.
    parser = _StrictForms(stream_factory=lambda *described: data.Upload(limit))
    try:
        _, files = await parser.parse(
            request.body, request.mimetype, request.content_length, request.mimetype_params
        )
    except ValueError as error:
        raise basic.Refused(400) from error
    if data.FILE_PART not in files:
        raise basic.Refused(400)
    return respond(files[data.FILE_PART].stream.answer())


@handles
async def fetch() -> Reply:
    host, port = request.scope["server"] or ("", None)
    how = request.args.get("how")
    return respond(await _backing().fetch(request.args.get("n"), how, (host, port or 80)))


def _backing() -> Backing:
    return cast(App, current_app).backing


def _working(work: Callable[..., Awaitable[basic.Answer]], parameters: tuple[str, ...]) -> Handler:
    async def backed() -> Reply:
        return respond(await work(_backing(), *map(request.args.get, parameters)))

    return backed


for _name, (_work, _parameters) in WORK.items():
    handles.under(_name)(_working(_work, _parameters))


@handles
def db_sync() -> Reply:
    return respond(_backing().rows_in_thread(request.args.get("n")))


@handles
async def feed() -> Reply:
    return respond(_backing().feed.state())


@handles
async def publish() -> Reply:
    body = await request.get_data(cache=False, as_text=False, parse_form_data=False)
    return respond(await _backing().feed.publish(body))


async def layer() -> None:
    """Increments the count of layers passed."""
    g.passed = g.get("passed", 0) + 1


async def layer_back(response: Response) -> Response:
    """The same layer after the handler: hands the response on."""
    return response


@handles.under(*(f"middleware-{layers}" for layers in LAYERS))
async def count() -> Reply:
    return respond(basic.layers(g.get("passed", 0)))


async def _refused(refused: basic.Refused) -> Reply:
    return respond(basic.refused(refused))


async def _http_error(refused: HTTPException) -> Reply:
    return respond(refusal(refused))


class _StrictForms(FormDataParser):
    """Raises ValueError for a malformed form, which by default would count as empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(silent=False, **options)


class _Request(Request):
    """One whose body may be larger where it is read in pieces: Quart sets the limit before
    it knows the route."""

    form_data_parser_class = _StrictForms
    upload_limit_bytes: int

    def __init__(self, method: str, scheme: str, path: str, *rest: Any, **options: Any) -> None:
        if path == data.UPLOAD_PATH:
            options["max_content_length"] = self.upload_limit_bytes
        super().__init__(method, scheme, path, *rest, **options)


class _Connection(ASGIHTTPConnection):
    """Refuses a target that is no URL, such as `http://[::1`, at which Quart fails (500)."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if self.scope["path"].startswith("/") or _is_url(self.scope["path"]):
            await super().__call__(receive, send)
            return
        refusal = basic.error(400)
        headers = [(b"content-type", refusal.content_type.encode())]
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": refusal.body, "more_body": False})


def _is_url(target: str) -> bool:
    try:
        urlsplit(target)
    except ValueError:
        return False
    return bool(target)


class App(Quart):
    """A Quart that refuses malformed forms, and logs failures where all stacks do.

    Quart's own logger starts a thread that nothing ends. A failed start-up is
    raised to whoever asked for it, and therefore not logged.
    """

    asgi_http_class = _Connection
    startup_failure: BaseException | None = None
    backing: Backing

    async def startup(self) -> None:
        begun = False
        try:
            await super().startup()
            begun = True
        except Exception as error:
            self.startup_failure = error
            raise
        finally:
            if not begun:  # Quart ends nothing of a start-up that failed
                await self.backing.close()

    def log_exception(self, *given: Any) -> None:
        # Quart gives what sys.exc_info() had; from 0.23 on the request's context before it.
        cause = given[-1][1]
        if has_request_context() and cause is not None:
            basic.failed(request.method, request.path, cause)

    def handling(self) -> set[asyncio.Task[Any]]:
        """See `asgi.Application`. Quart starts two tasks of its own for each request."""
        return {
            task
            for task, names in asgi.outermost_frames()
            if getattr(names.get("self"), "app", None) is self
        }

    def in_force(self) -> InForce:
        """See `asgi.Application`."""
        body, _, _ = respond(basic.example())
        return {
            "body_limit_bytes": self.config["MAX_CONTENT_LENGTH"],
            "debug": self.debug,
            **self.backing.pools(),
            "json": body.decode(),
        }


def create_app(settings: Settings) -> App:
    """The application, with all routes of the contract."""
    app = App("servers", static_folder=None)
    limits = {"upload_limit_bytes": settings.upload_limit_bytes}
    app.request_class = cast(type[Request], type("_RequestWithin", (_Request,), limits))
    app.backing = Backing(settings)
    app.before_serving(app.backing.start)
    app.after_serving(app.backing.close)
    # aiohttp has none of the last two bounds.
    unbounded = {"BODY_TIMEOUT": None, "RESPONSE_TIMEOUT": None}
    app.config.update({_UPLOAD_LIMIT: settings.upload_limit_bytes, **unbounded})
    set_up(app, settings, (_refused, _http_error))
    for route, socket in sockets.of(WS_ROUTES):
        app.add_websocket(route.path, route.name, socket)
    add_routes(app, handles, Blueprint, (layer, layer_back))
    return app
