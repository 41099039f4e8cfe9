"""Quart on Hypercorn."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

import h11
import hypercorn.asyncio
from hypercorn.config import Config, Sockets
from hypercorn.utils import LifespanFailureError
from quart import (
    Blueprint,
    Quart,
    Request,
    Response,
    current_app,
    g,
    has_request_context,
    request,
)
from quart.formparser import FormDataParser
from quart.wrappers.response import DataBody
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from servers import probe, work
from servers.contract import LAYERS, ROUTES
from servers.settings import Settings
from servers.stacks import InForce

Handler = Callable[..., Response] | Callable[..., Awaitable[Response]]

_DEFAULT_WAIT_MS = "LOOPBENCH_WAIT_MS"

LAST_WORDS_S = 1.0
"""How long a request that was cancelled may take to end its connection properly."""


def respond(answer: work.Answer) -> Response:
    """The Answer as Quart's response."""
    headers = None if answer.allow is None else {"Allow": answer.allow}
    return Response(answer.body, answer.status, headers, content_type=answer.content_type)


async def index() -> Response:
    wait_ms = request.args.get("wait_ms")
    return respond(await work.index(wait_ms, current_app.config[_DEFAULT_WAIT_MS]))


async def hello(name: str) -> Response:
    wait_ms = request.args.get("wait_ms")
    return respond(await work.hello(name, wait_ms, current_app.config[_DEFAULT_WAIT_MS]))


async def plain() -> Response:
    return respond(work.plain())


async def async_() -> Response:
    return respond(work.where_am_i())


def sync() -> Response:
    return respond(work.where_am_i())


async def blocking() -> Response:
    return sync()


async def query() -> Response:
    return respond(work.echo_query(request.args.items(multi=True)))


async def form() -> Response:
    try:
        fields = await request.form
    except ValueError as error:
        raise work.Refused(400) from error
    return respond(work.echo_form(fields.items(multi=True)))


async def json() -> Response:
    body = await request.get_data(cache=True, as_text=False, parse_form_data=False)
    return respond(work.echo_json(body))


async def routes() -> Response:
    return respond(
        work.routes(
            (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
            for rule in current_app.url_map.iter_rules()
            for method in rule.methods or ()
        )
    )


async def error() -> Response:
    work.fail()


async def sleep_async() -> Response:
    return respond(await work.sleep_async(request.args.get("ms")))


def sleep_sync() -> Response:
    return respond(work.sleep_sync(request.args.get("ms")))


async def sleep_blocking() -> Response:
    return sleep_sync()


def burn_sync() -> Response:
    return respond(work.burn(request.args.get("ms")))


async def burn_async() -> Response:
    return burn_sync()


async def save() -> Response:
    return respond(await work.save(request.args.get("protect")))


async def layer() -> None:
    """One of many: counts itself."""
    g.passed = g.get("passed", 0) + 1


async def layer_back(response: Response) -> Response:
    """Its way back."""
    return response


async def count() -> Response:
    return respond(work.layers(g.get("passed", 0)))


def _layered(layers: int) -> Blueprint:
    """A blueprint under so many pairs of hooks."""
    blueprint = Blueprint(f"layers-{layers}", __name__)
    for _ in range(layers):
        blueprint.before_request(layer)
        blueprint.after_request(layer_back)
    return blueprint


HANDLERS: dict[str, Handler] = {
    "index": index,
    "hello": hello,
    "plain": plain,
    "async": async_,
    "sync": sync,  # Quart runs a plain function in the loop's default executor
    "blocking": blocking,
    "query": query,
    "form": form,
    "json": json,
    "routes": routes,
    "error": error,
    "sleep-async": sleep_async,
    "sleep-sync": sleep_sync,
    "sleep-blocking": sleep_blocking,
    "burn-async": burn_async,
    "burn-sync": burn_sync,
    "save": save,
    **{f"middleware-{layers}": count for layers in LAYERS},
}


async def _refused(refused: work.Refused) -> Response:
    return respond(work.error(refused.status))


async def _http_error(refused: HTTPException) -> Response:
    allowed = refused.valid_methods if isinstance(refused, MethodNotAllowed) else None
    return respond(work.error(refused.code or 500, allowed))


class _StrictForms(FormDataParser):
    """Raises ValueError for a malformed form, which by default would count as empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(silent=False, **options)


class _Request(Request):
    form_data_parser_class = _StrictForms


class App(Quart):
    """A Quart that refuses malformed forms, and logs failures where all stacks do.

    Quart's own logger starts a thread that nothing ends. A failed start-up is
    raised to whoever asked for it, and therefore not logged.
    """

    request_class = _Request

    def log_exception(
        self,
        exception_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        cause = exception_info[1]
        if has_request_context() and cause is not None:
            work.failed(request.method, request.path, cause)


def create_app(settings: Settings) -> App:
    """The application, with a route for each of HANDLERS that the contract knows."""
    app = App("servers", static_folder=None)
    app.config.update(
        {
            _DEFAULT_WAIT_MS: settings.wait_ms,
            "MAX_CONTENT_LENGTH": settings.body_limit_bytes,
            "MAX_FORM_MEMORY_SIZE": settings.body_limit_bytes,
            "PROVIDE_AUTOMATIC_OPTIONS": False,
            "PROPAGATE_EXCEPTIONS": False,
            # aiohttp has neither bound.
            "BODY_TIMEOUT": None,
            "RESPONSE_TIMEOUT": None,
        }
    )
    app.debug = settings.debug
    app.url_map.merge_slashes = False  # else `//` is answered with a redirect
    app.register_error_handler(work.Refused, _refused)
    app.register_error_handler(HTTPException, _http_error)
    nested = {f"/middleware/{layers}": _layered(layers) for layers in LAYERS}
    for route in ROUTES:
        if route.name in HANDLERS:
            path = route.path.replace("{", "<").replace("}", ">")
            handler = probe.watch(route.name, HANDLERS[route.name])
            holder = nested.get(path.rpartition("/")[0], app)
            holder.add_url_rule(path, route.name, handler, methods=[route.method])
    for blueprint in nested.values():
        app.register_blueprint(blueprint)
    return app


class _BoundConfig(Config):
    """A Hypercorn configuration that hands over a socket that is bound already.

    Hypercorn can take a descriptor by number, but then nobody knows whether
    to close it after a start-up that failed, and child processes inherit it.
    """

    def __init__(self, listener: socket.socket, settings: Settings) -> None:
        super().__init__()
        self._listener = listener
        self.accesslog = None
        # Without a handler and a level of its own, which would be the process's.
        self.errorlog = logging.getLogger("hypercorn.error")
        self.backlog = settings.backlog
        self.keep_alive_timeout = settings.keep_alive_s
        self.keep_alive_max_requests = sys.maxsize
        # Hypercorn's own end of the grace comes too late to matter: on Python
        # 3.12 and later it first waits for every connection to close, without
        # a bound, and where it does cancel them Quart lets the handlers go on.
        self.graceful_timeout = settings.grace_s + 2 * LAST_WORDS_S

    def create_sockets(self) -> Sockets:
        return Sockets([], [self._listener], [])


class QuartHypercornServing:
    """An application that listens through `hypercorn.asyncio.serve`."""

    def __init__(self, app: Quart, listener: socket.socket, settings: Settings) -> None:
        self.port: int = listener.getsockname()[1]
        self._app = app
        self._config = _BoundConfig(listener, settings)
        self._listener = listener
        self._grace_s = settings.grace_s
        self._listening = asyncio.Event()
        self._asked_to_stop = asyncio.Event()
        self._task = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        try:
            await hypercorn.asyncio.serve(
                self._app, self._config, shutdown_trigger=self._until_asked
            )
        except LifespanFailureError as failure:
            # Quart reports its start-up's exception to Hypercorn as a mere text.
            raise failure.__context__ or failure from None
        finally:
            self._listener.close()

    async def _until_asked(self) -> None:
        self._listening.set()  # Hypercorn calls this once it accepts connections
        await self._asked_to_stop.wait()

    async def listening(self) -> None:
        """Return once connections are accepted; raise what the start-up raised."""
        ready = asyncio.create_task(self._listening.wait())
        try:
            await asyncio.wait({ready, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                self._task.result()
        finally:
            ready.cancel()

    async def stop(self) -> None:
        self._asked_to_stop.set()
        await asyncio.wait({self._task}, timeout=self._grace_s)
        overdue = self._requests()
        for task in overdue:
            task.cancel()
        await asyncio.wait({self._task, *overdue}, timeout=LAST_WORDS_S)
        for transport in self._transports():
            transport.abort()
        await self.ended()

    # Only asyncio itself knows of Hypercorn's connections and of Quart's
    # requests: they are found by the variables of their outermost frames.

    def _requests(self) -> set[asyncio.Task[Any]]:
        """The tasks in which Quart handles a request or receives its body."""
        return {
            task
            for task, names in _frames()
            if getattr(names.get("self"), "app", None) is self._app
        }

    def _transports(self) -> list[asyncio.WriteTransport]:
        """The connections that Hypercorn still serves."""
        return [
            names["writer"].transport
            for _, names in _frames()
            if names.get("config") is self._config and "writer" in names
        ]

    async def ended(self) -> None:
        await asyncio.wait({self._task})
        self._task.result()

    def in_force(self) -> InForce:
        body = respond(work.example()).response
        assert isinstance(body, DataBody)
        return {
            "body_limit_bytes": self._app.config["MAX_CONTENT_LENGTH"],
            "keep_alive_s": self._config.keep_alive_timeout,
            "grace_s": self._grace_s,
            "backlog": self._config.backlog,
            "access_log": self._config.log.access_logger is not None,
            "debug": self._app.debug,
            "http_parser": f"{h11.Connection.__module__}.{h11.Connection.__qualname__}",
            "max_requests_per_connection": self._config.keep_alive_max_requests,
            "json": body.data.decode(),
        }


def _frames() -> Iterator[tuple[asyncio.Task[Any], Mapping[str, Any]]]:
    """Each of the loop's tasks with the variables of its outermost frame."""
    for task in asyncio.all_tasks():
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None:
            yield task, frame.f_locals


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    """Bound and listening, so that a port in use shows before the framework starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only on connections whose
    # listener names it; without it, Hypercorn's separate writes of head and body meet
    # the kernel's delayed acknowledgement, and every answer takes 40 ms longer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    return listener


async def serve(app: Quart, host: str, port: int, settings: Settings) -> QuartHypercornServing:
    """Listen with `app`; see `stacks.Start`."""
    serving = QuartHypercornServing(app, _listen(host, port, settings.backlog), settings)
    try:
        await serving.listening()
    except BaseException:
        # A start-up that was cancelled is stopped as soon as it has come to its end.
        serving._asked_to_stop.set()
        await asyncio.wait({serving._task})
        raise
    return serving


async def start(host: str, port: int, settings: Settings) -> QuartHypercornServing:
    """See `stacks.Start`."""
    return await serve(create_app(settings), host, port, settings)
