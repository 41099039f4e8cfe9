"""The contract as a Flask application: plain functions, and coroutines where a route awaits.

Flask runs a coroutine function through asgiref: in a new thread, on a new event loop,
both of which end with the request. So these routes answer, but on no loop that others share.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from flask import Blueprint, Flask, Request, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.formparser import FormDataParser

from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.apps.handlers import Handlers
from loopbench.servers.contract.routes import LAYERS, ROUTES
from loopbench.servers.handlers import basic, data
from loopbench.servers.probe import probe
from loopbench.servers.settings import Settings

Handler = Callable[..., Response] | Callable[..., Awaitable[Response]]

handles: Handlers[Handler] = Handlers()

_DEFAULT_WAIT_MS = "LOOPBENCH_WAIT_MS"


def respond(answer: basic.Answer) -> Response:
    """The Answer as Flask's response."""
    headers = None if answer.allow is None else {"Allow": answer.allow}
    return Response(answer.body, answer.status, headers, content_type=answer.content_type)


@handles
async def index() -> Response:
    wait_ms = request.args.get("wait_ms")
    await basic.pause(current_app.config[_DEFAULT_WAIT_MS] if wait_ms is None else wait_ms)
    return respond(basic.index())


@handles
async def hello(name: str) -> Response:
    wait_ms = request.args.get("wait_ms")
    await basic.pause(current_app.config[_DEFAULT_WAIT_MS] if wait_ms is None else wait_ms)
    return respond(basic.hello(name))


@handles
def plain() -> Response:
    return respond(basic.plain())


@handles
async def async_() -> Response:
    return respond(basic.where_am_i())


@handles
def sync() -> Response:
    return respond(basic.where_am_i())


@handles
async def blocking() -> Response:
    return sync()


@handles
def query() -> Response:
    return respond(basic.echo_query(request.args.items(multi=True)))


@handles
def form() -> Response:
    try:
        fields = request.form
    except ValueError as error:
        raise basic.Refused(400) from error
    return respond(basic.echo_form(fields.items(multi=True)))


@handles
def json() -> Response:
    return respond(basic.echo_json(request.get_data()))


@handles
def routes() -> Response:
    return respond(
        basic.routes(
            (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
            for rule in current_app.url_map.iter_rules()
            for method in rule.methods or ()
        )
    )


@handles
def error() -> Response:
    basic.fail()


@handles
async def sleep_async() -> Response:
    return respond(await basic.sleep_async(request.args.get("ms")))


@handles
def sleep_sync() -> Response:
    return respond(basic.sleep_sync(request.args.get("ms")))


@handles
async def sleep_blocking() -> Response:
    return sleep_sync()


@handles
def burn_sync() -> Response:
    return respond(basic.burn(request.args.get("ms")))


@handles
async def burn_async() -> Response:
    return burn_sync()


@handles
async def save() -> Response:
    return respond(await basic.save(request.args.get("protect")))


@handles
def items() -> Response:
    return respond(data.items(request.args.get("items")))


@handles
def stream() -> Response:
    answer = data.stream(request.args.get("chunks"), request.args.get("size"))
    return Response(answer.chunks, content_type=answer.content_type)


@handles.under(
    *("upload", "fetch", "db-async", "db-sync", "db-save", "db-total", "save-both", "pairs"),
    *("feed", "publish"),
)
def not_here() -> Response:
    return respond(basic.error(501))


def layer() -> None:
    """Increments the count of layers passed."""
    g.passed = g.get("passed", 0) + 1


def layer_back(response: Response) -> Response:
    """The same layer after the handler: hands the response on."""
    return response


@handles.under(*(f"middleware-{layers}" for layers in LAYERS))
def count() -> Response:
    return respond(basic.layers(g.get("passed", 0)))


def _layered(layers: int) -> Blueprint:
    """A blueprint under so many pairs of hooks."""
    blueprint = Blueprint(f"layers-{layers}", __name__)
    for _ in range(layers):
        blueprint.before_request(layer)
        blueprint.after_request(layer_back)
    return blueprint


def _refused(refused: basic.Refused) -> Response:
    return respond(basic.error(refused.status))


def _http_error(refused: HTTPException) -> Response:
    allowed = refused.valid_methods if isinstance(refused, MethodNotAllowed) else None
    return respond(basic.error(refused.code or 500, allowed))


class _StrictForms(FormDataParser):
    """Raises ValueError for a malformed form, which by default would count as empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "silent": False})


class _Request(Request):
    form_data_parser_class = _StrictForms


class App(Flask):
    """A Flask that refuses malformed forms, and logs failures where all stacks do."""

    request_class = _Request

    def log_exception(self, *given: Any) -> None:
        # What sys.exc_info() had comes last; newer frameworks give the request's context before it.
        if given[-1][1] is not None:
            basic.failed(request.method, request.path, given[-1][1])

    def in_force(self) -> InForce:
        """The settings that are the application's."""
        return {
            "body_limit_bytes": self.config["MAX_CONTENT_LENGTH"],
            "debug": self.debug,
            "json": respond(basic.example()).get_data(as_text=True),
        }


def create_app(settings: Settings) -> App:
    """The application, with all routes of the contract."""
    app = App("servers", static_folder=None)
    app.config.update(
        {
            _DEFAULT_WAIT_MS: settings.wait_ms,
            "MAX_CONTENT_LENGTH": settings.body_limit_bytes,
            "MAX_FORM_MEMORY_SIZE": settings.body_limit_bytes,
            "PROVIDE_AUTOMATIC_OPTIONS": False,
            "PROPAGATE_EXCEPTIONS": False,
        }
    )
    app.debug = settings.debug
    app.url_map.merge_slashes = False  # else `//` is answered with a redirect
    app.register_error_handler(basic.Refused, _refused)
    app.register_error_handler(HTTPException, _http_error)
    nested = {f"/middleware/{layers}": _layered(layers) for layers in LAYERS}
    for route, handler in handles.of(ROUTES):
        path = route.path.replace("{", "<").replace("}", ">")
        handler = probe.watch(route.name, handler)
        holder = nested.get(path.rpartition("/")[0], app)
        holder.add_url_rule(path, route.name, handler, methods=[route.method])
    for blueprint in nested.values():
        app.register_blueprint(blueprint)
    return app
