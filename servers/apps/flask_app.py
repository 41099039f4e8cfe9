"""The contract as a Flask application: plain functions, and coroutines where a route awaits.

Flask runs a coroutine function through asgiref: in a new thread, on a new event loop,
both of which end with the request. So these routes answer, but on no loop that others share.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from flask import Blueprint, Flask, Request, Response, current_app, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser

from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.apps.handlers import Handlers
from loopbench.servers.apps.werkzeug_parts import (
    DEFAULT_WAIT_MS,
    add_routes,
    listing,
    refusal,
    set_up,
)
from loopbench.servers.contract.routes import LAYERS
from loopbench.servers.handlers import basic, data
from loopbench.servers.settings import Settings

Handler = Callable[..., Response] | Callable[..., Awaitable[Response]]

handles: Handlers[Handler] = Handlers()


def respond(answer: basic.Answer) -> Response:
    """The Answer as Flask's response."""
    headers = None if answer.allow is None else {"Allow": answer.allow}
    return Response(answer.body, answer.status, headers, content_type=answer.content_type)


@handles
async def index() -> Response:
    wait_ms = request.args.get("wait_ms")
    await basic.pause(current_app.config[DEFAULT_WAIT_MS] if wait_ms is None else wait_ms)
    return respond(basic.index())


@handles
async def hello(name: str) -> Response:
    wait_ms = request.args.get("wait_ms")
    await basic.pause(current_app.config[DEFAULT_WAIT_MS] if wait_ms is None else wait_ms)
    return respond(basic.hello(name))


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
def form() -> Response:
    try:
        fields = request.form
    except ValueError as error:
        raise basic.Refused(400) from error
    return respond(basic.echo_form(fields.items(multi=True)))


@handles
def routes() -> Response:
    return respond(basic.routes(listing(current_app.url_map)))


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
def stream() -> Response:
    answer = data.stream(request.args.get("chunks"), request.args.get("size"))
    return Response(answer.chunks, content_type=answer.content_type)


_WORK: dict[str, Callable[[], basic.Answer]] = {
    "plain": basic.plain,
    "query": lambda: basic.echo_query(request.args.items(multi=True)),
    "json": lambda: basic.echo_json(request.get_data()),
    "items": lambda: data.items(request.args.get("items")),
    **dict.fromkeys(
        (
            *("upload", "fetch", "db-async", "db-sync", "db-save", "db-total", "save-both"),
            *("pairs", "feed", "publish"),
        ),
        lambda: basic.error(501),
    ),
}
"""By Route: what needs no more than the work itself; the last ones are not written for Flask."""


def _answering(work: Callable[[], basic.Answer]) -> Handler:
    return lambda: respond(work())


for _name, _work in _WORK.items():
    handles.under(_name)(_answering(_work))


def layer() -> None:
    """Increments the count of layers passed."""
    g.passed = g.get("passed", 0) + 1


def layer_back(response: Response) -> Response:
    """The same layer after the handler: hands the response on."""
    return response


@handles.under(*(f"middleware-{layers}" for layers in LAYERS))
def count() -> Response:
    return respond(basic.layers(g.get("passed", 0)))


def _refused(refused: basic.Refused) -> Response:
    return respond(basic.error(refused.status))


def _http_error(refused: HTTPException) -> Response:
    return respond(refusal(refused))


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
    set_up(app, settings, (_refused, _http_error))
    add_routes(app, handles, Blueprint, (layer, layer_back))
    return app
