"""The application without a framework: requests, handlers and the router."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextvars import copy_context
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from typing import cast
from urllib.parse import parse_qsl, unquote

from loopbench.results.schema import Dispatch
from loopbench.servers.adapters.asyncio_websocket import ECHO_PATH
from loopbench.servers.adapters.bare import Handler, Request, answering
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.apps.handlers import Handlers
from loopbench.servers.contract.routes import LAYERS, ROUTES
from loopbench.servers.handlers import basic, data
from loopbench.servers.handlers.basic import Answer, Refused
from loopbench.servers.handlers.data import UPLOAD_PATH, Upload
from loopbench.servers.probe import active
from loopbench.servers.settings import Settings

handles: Handlers[Handler] = Handlers()


@handles
async def index(app: App, request: Request) -> Answer:
    wait_ms = request.argument("wait_ms")
    await basic.pause(app.settings.wait_ms if wait_ms is None else wait_ms)
    return basic.index()


@handles
async def hello(app: App, request: Request) -> Answer:
    wait_ms = request.argument("wait_ms")
    await basic.pause(app.settings.wait_ms if wait_ms is None else wait_ms)
    return basic.hello(request.parameters[0])


@handles
async def sleep_async(app: App, request: Request) -> Answer:
    return await basic.sleep_async(request.argument("ms"))


@handles
async def save(app: App, request: Request) -> Answer:
    return await basic.save(request.argument("protect"))


def in_executor(handler: Handler) -> Handler:
    """Run a plain handler in the loop's default executor, context variables included."""

    def run(app: App, request: Request) -> Awaitable[Answer]:
        loop = asyncio.get_running_loop()
        call = cast(Callable[[App, Request], Answer], handler)
        return loop.run_in_executor(None, copy_context().run, call, app, request)

    return run


@handles
def form(app: App, request: Request) -> Answer:
    content_type = request.headers.get(b"content-type", b"")
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type == b"application/x-www-form-urlencoded":
        try:
            return basic.echo_form(parse_qsl(request.body.decode(), keep_blank_values=True))
        except UnicodeDecodeError as error:
            raise Refused(400) from error
    if media_type == b"multipart/form-data":
        return basic.echo_form(_multipart(content_type, request.body))
    return basic.echo_form(())


def _multipart(content_type: bytes, body: bytes) -> Iterator[tuple[str, str]]:
    document = b"Content-Type: %b\r\n\r\n%b" % (content_type, body)
    message = BytesParser(EmailMessage, policy=HTTP).parsebytes(document)
    if not message.is_multipart():
        raise Refused(400)
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes):
            raise Refused(400)
        if part.get_filename() is None:
            yield name, payload.decode(errors="replace")


def _under(layers: int) -> Handler:
    """A handler under so many layers, each a coroutine that increments the count."""

    async def count(passed: int) -> Answer:
        return basic.layers(passed)

    def layer(inner: Callable[[int], Awaitable[Answer]]) -> Callable[[int], Awaitable[Answer]]:
        async def outer(passed: int) -> Answer:
            return await inner(passed + 1)

        return outer

    whole: Callable[[int], Awaitable[Answer]] = count
    for _ in range(layers):
        whole = layer(whole)
    return lambda app, request: whole(0)


@handles
def upload(app: App, request: Request) -> Answer:
    if data.is_form(request.headers.get(b"content-type", b"").decode("latin-1")):
        return basic.error(501)
    assert request.upload is not None
    return request.upload.answer()


@handles.under(
    *("fetch", "db-async", "db-sync", "db-save", "db-total", "save-both", "pairs"),
    *("feed", "publish"),
)
def not_here(app: App, request: Request) -> Answer:
    return basic.error(501)


_WORK: dict[tuple[str, ...], Handler] = {
    ("plain",): lambda app, request: basic.plain(),
    ("async", "sync", "blocking"): lambda app, request: basic.where_am_i(),
    ("query",): lambda app, request: basic.echo_query(request.pairs()),
    ("json",): lambda app, request: basic.echo_json(request.body),
    ("routes",): lambda app, request: basic.routes(app.listing()),
    ("error",): lambda app, request: basic.fail(),
    ("sleep-sync", "sleep-blocking"): lambda app, request: basic.sleep_sync(request.argument("ms")),
    ("burn-async", "burn-sync"): lambda app, request: basic.burn(request.argument("ms")),
    ("items",): lambda app, request: data.items(request.argument("items")),
    ("stream",): lambda app, request: data.stream(
        request.argument("chunks"), request.argument("size")
    ),
}
"""By the Routes that it is for: what needs no more than the work itself."""

for _names, _handler in _WORK.items():
    handles.under(*_names)(_handler)

for _layers in LAYERS:
    handles.under(f"middleware-{_layers}")(_under(_layers))


class App:
    """The settings and the router.

    readers: the handlers that want the request's body.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.readers: set[Handler] = set()
        self._routes: list[tuple[str, dict[str, Handler]]] = []
        self._fixed: dict[str, dict[str, Handler]] = {}
        for route, handler in handles.of(ROUTES):
            watched = active.watch(route.name, handler)
            if route.dispatch is Dispatch.SYNC:
                watched = in_executor(watched)
            self._add(route.method, route.path, watched)

        # A client that asks for no upgrade. With one, the connection is another protocol's.
        refusal = answering(basic.error(400))
        self._fixed[ECHO_PATH] = {"GET": refusal, "HEAD": refusal}

    def _add(self, method: str, path: str, handler: Handler) -> None:
        known = next((methods for template, methods in self._routes if template == path), None)
        methods = {} if known is None else known
        methods[method] = handler
        if method == "GET":
            methods["HEAD"] = handler
        else:
            self.readers.add(handler)
        if known is None:
            self._routes.append((path, methods))
        if "{" not in path:
            self._fixed[path] = methods

    def arriving(self, method: str, path: str, headers: dict[bytes, bytes]) -> Upload | None:
        """What is to read the body in pieces, where the route wants that. Raises Refused(413)."""
        if method != "POST" or path != UPLOAD_PATH:
            return None
        declared = headers.get(b"content-length")
        return Upload(self.settings.upload_limit_bytes, None if declared is None else int(declared))

    def in_force(self) -> InForce:
        """See `bare.Application`."""
        return {
            "body_limit_bytes": self.settings.body_limit_bytes,
            "json": basic.example().body.decode(),
        }

    def listing(self) -> Iterator[tuple[str, str]]:
        """Method and path of each route."""
        return ((method, path) for path, methods in self._routes for method in methods)

    def find(self, method: str, path: str) -> tuple[Handler, tuple[str, ...]]:
        """The handler, or one that answers 404 or 405, and the path's parameters."""
        fixed = self._fixed.get(path)
        if fixed is not None and method in fixed:
            return fixed[method], ()
        segments = [unquote(segment) for segment in path.split("/")]
        for template, methods in self._routes:
            parameters = _match(template.split("/"), segments)
            if parameters is not None:
                return methods.get(method) or answering(basic.error(405, methods)), parameters
        return answering(basic.error(404)), ()


def _match(template: list[str], segments: list[str]) -> tuple[str, ...] | None:
    """The values for the template's `{…}`, none of them empty; None where it does not fit."""
    if len(template) != len(segments):
        return None
    pairs = list(zip(template, segments, strict=True))
    if all(segment if name.startswith("{") else name == segment for name, segment in pairs):
        return tuple(segment for name, segment in pairs if name.startswith("{"))
    return None


def create_app(settings: Settings) -> App:
    """The application."""
    return App(settings)
