"""A plain function registered as a handler."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from aiohttp import web
from quart import Quart

from loadtests.behaviour.dispatch.sync_route import where
from loadtests.behaviour.question import DEFAULT, Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.served import Live, aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import get


def on_aiohttp(seen: list[str]) -> AbstractContextManager[Live]:
    def handler(_: web.Request) -> Any:
        seen.append(where())
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart(seen: list[str]) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        seen.append(where())
        return "hello"

    return hypercorn_server(app)


def ask(begin: Callable[[list[str]], AbstractContextManager[Live]]) -> Answer:
    """Register it, note what is said, and ask for it."""
    seen: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            server = begin(seen)
        except Exception as error:
            return Answer(f"refused with {type(error).__name__}", f"registering raised {error}")
        with server as live:
            reply = get(live.port, "/")
    said = [f"{one.category.__name__}: {one.message}" for one in caught]
    kinds = dict.fromkeys(one.category.__name__ for one in caught)
    warned = f"warns with {' and '.join(kinds)}" if kinds else "without a warning"
    place = seen[0].partition(",")[0] if seen else "nowhere"
    where_run = "on the loop" if place == "loop" else "in a worker thread" if seen else "nowhere"
    return Answer(
        f"registered {warned}, runs {where_run}, answered {reply.status}",
        f"the handler ran on thread {place!r}; the answer was {reply.status}; said: "
        f"{'; '.join(said) or 'nothing'}",
    )


QUESTION = Question(
    asks="Can a plain function be registered as a handler, and where does it then run?",
    experiments=(
        Experiment("aiohttp", DEFAULT, lambda: ask(on_aiohttp)),
        Experiment("quart-hypercorn", DEFAULT, lambda: ask(on_quart)),
    ),
    claims=(
        Claim(
            "aiohttp accepts plain functions, with a DeprecationWarning.",
            {
                "registered warns with DeprecationWarning*answered 200": Agrees.YES,
                "registered warns with DeprecationWarning*": Agrees.PARTLY,
                "*": Agrees.NO,
            },
            ("aiohttp",),
        ),
    ),
    follows={
        "*runs on the loop, answered 200": "It works, and blocks the loop like any plain code: "
        "write `async def`.",
        "*runs on the loop, answered 500": "It is accepted when registered and fails when asked: "
        "write `async def`, and test every route.",
        "*runs in a worker thread*": "A plain function is a sync route: it may block.",
    },
)
