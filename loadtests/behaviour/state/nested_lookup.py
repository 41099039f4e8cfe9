"""Something kept in the outer application, looked up by a handler of the nested one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from aiohttp import web
from quart import Blueprint, Quart, current_app, g

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import aiohttp_server, hypercorn_server

LIMIT = web.AppKey("limit", str)

Look = Callable[[web.Request], str]


def in_app(request: web.Request) -> str:
    return request.app[LIMIT]


def in_config_dict(request: web.Request) -> str:
    return request.config_dict[LIMIT]


def on_aiohttp(look: Look, shadowed: bool = False) -> Answer:
    """shadowed: the nested application keeps something under the same key."""

    async def handler(request: web.Request) -> web.Response:
        try:
            return web.Response(text=look(request))
        except KeyError:
            return web.Response(text="KeyError")

    outer, inner = web.Application(), web.Application()
    outer[LIMIT] = "the outer one's"
    if shadowed:
        inner[LIMIT] = "the nested one's"
    inner.router.add_get("/", handler)
    outer.add_subapp("/inner", inner)
    with aiohttp_server(outer) as server:
        found = get(server.port, "/inner/").text
    return Answer(found, f"the handler of the nested application got {found!r}")


def on_quart(look: Callable[[], str]) -> Answer:
    inner = Blueprint("inner", __name__, url_prefix="/inner")

    @inner.get("/")
    async def handler() -> str:
        return look()

    app = Quart(__name__)
    app.config["LIMIT"] = "the outer one's"

    @app.before_request
    async def store() -> None:
        g.limit = "the outer one's"

    app.register_blueprint(inner)
    with hypercorn_server(app) as server:
        found = get(server.port, "/inner/").text
    return Answer(found, f"the handler of the blueprint got {found!r}")


QUESTION = Question(
    asks="Does a handler of a nested application find what the outer one keeps?",
    experiments=(
        Experiment("aiohttp", "request.app[key]", partial(on_aiohttp, in_app)),
        Experiment("aiohttp", "request.config_dict[key]", partial(on_aiohttp, in_config_dict)),
        Experiment(
            "aiohttp",
            "request.config_dict[key], both have it",
            partial(on_aiohttp, in_config_dict, True),
        ),
        Experiment(
            "quart-hypercorn",
            'current_app.config["LIMIT"]',
            partial(on_quart, lambda: str(current_app.config.get("LIMIT", "nothing"))),
        ),
        Experiment(
            "quart-hypercorn", "g.limit", partial(on_quart, lambda: str(g.get("limit", "nothing")))
        ),
    ),
    claims=(
        Claim(
            "A sub-application finds in request.app what its parent keeps.",
            {"KeyError": Agrees.NO},
            ("aiohttp",),
        ),
        Claim(
            "A blueprint shares what the application keeps.",
            {"the outer one's": Agrees.YES, "*": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "KeyError": "`request.app` is the nested application: use `request.config_dict`, which "
        "looks outwards from there.",
        "the nested one's": "The nearest application that has it counts, so that a nested one can "
        "have its own.",
        "the outer one's": "Keep what all parts share in the outer application.",
    },
)
