"""A slash too many or too few at the end of a path."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from loopbench.loadtests.behaviour.framework.question import Answer, Experiment, Question
from loopbench.loadtests.behaviour.parsing.routes import aiohttp_route, ask, quart_route

CASES = (("/a", "/a/"), ("/a/", "/a"))


def ask_aiohttp(route: str, target: str, normalized: bool = False) -> Answer:
    middlewares = []
    if normalized:
        append = route.endswith("/")
        middleware = web.normalize_path_middleware(append_slash=append, remove_slash=not append)
        middlewares.append(middleware)
    return ask(aiohttp_route(route, middlewares=middlewares), target)


def ask_quart(route: str, target: str, strict: bool = True) -> Answer:
    return ask(quart_route(route, strict_slashes=strict), target)


QUESTION = Question(
    asks="Does a slash at the end of a path matter?",
    experiments=(
        *(
            Experiment(
                "aiohttp",
                f"route {route}, GET {target}{how}",
                partial(ask_aiohttp, route, target, n),
            )
            for route, target in CASES
            for n, how in ((False, ""), (True, ", normalize_path_middleware"))
        ),
        *(
            Experiment(
                "quart-hypercorn",
                f"route {route}, GET {target}{how}",
                partial(ask_quart, route, target, s),
            )
            for route, target in CASES
            for s, how in ((True, ""), (False, ", strict_slashes=False"))
        ),
    ),
    follows={
        "308*": "The client asks twice, and one that does not follow redirects does not arrive; "
        "write the links as the routes are.",
        "404": "One of the two spellings is not there. Redirect it, or register both.",
    },
)
