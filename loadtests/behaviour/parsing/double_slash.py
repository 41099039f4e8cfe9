"""Two slashes where one should be."""

from __future__ import annotations

from functools import partial

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.question import Answer, Experiment, Question
from loopbench.loadtests.behaviour.parsing.routes import aiohttp_route, ask, quart_route

TARGETS = ("//a/b", "/a//b")


def ask_aiohttp(target: str, merged: bool = False) -> Answer:
    middleware = web.normalize_path_middleware(append_slash=False, merge_slashes=True)
    return ask(aiohttp_route("/a/b", middlewares=[middleware] if merged else []), target)


def ask_quart(target: str, merged: bool = True) -> Answer:
    def change(app: Quart) -> None:
        app.url_map.merge_slashes = merged

    return ask(quart_route("/a/b", change), target)


MERGING = "normalize_path_middleware(merge_slashes=True)"

QUESTION = Question(
    asks="What becomes of two slashes in a row?",
    experiments=(
        *(Experiment("aiohttp", f"GET {one}", partial(ask_aiohttp, one)) for one in TARGETS),
        *(
            Experiment("aiohttp", f"GET {one}, {MERGING}", partial(ask_aiohttp, one, merged=True))
            for one in TARGETS
        ),
        *(Experiment("quart-hypercorn", f"GET {one}", partial(ask_quart, one)) for one in TARGETS),
        *(
            Experiment(
                "quart-hypercorn",
                f"GET {one}, url_map.merge_slashes=False",
                partial(ask_quart, one, merged=False),
            )
            for one in TARGETS
        ),
    ),
    follows={
        "200": "The path is taken as if it had one: a proxy that guards paths by their beginning "
        "must read them in the same way.",
        "308*": "A link that was joined with a slash too many costs a redirect.",
    },
)
