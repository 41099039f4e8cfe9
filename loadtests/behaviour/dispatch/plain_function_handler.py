"""Handlers that are not coroutine functions, or do not look like it."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial, wraps
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.dispatch.places import Places
from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

Work = Callable[[], Any]
"""What the handler does: it notes where, and returns an answer of the framework."""

Make = Callable[[Work], Callable[..., Any]]


def plain_function(work: Work) -> Callable[..., Any]:
    def handler(*_: Any) -> Any:
        return work()

    return handler


def async_function(work: Work) -> Callable[..., Any]:
    async def handler(*_: Any) -> Any:
        return work()

    return handler


def plain_decorator(work: Work) -> Callable[..., Any]:
    """The wrapper forgot its `async` and its `await`: it hands on a coroutine."""
    handler = async_function(work)

    @wraps(handler)
    def wrapper(*args: Any) -> Any:
        return handler(*args)

    return wrapper


def partial_of_async(work: Work) -> Callable[..., Any]:
    return partial(async_function(work))


class AsyncCallable:
    """An object with an `async def __call__`."""

    __name__ = "handler"

    def __init__(self, work: Work) -> None:
        self._work = work

    async def __call__(self, *_: Any) -> Any:
        return self._work()


def on_aiohttp(make: Make, places: Places) -> AbstractContextManager[Live]:
    def work() -> web.Response:
        places.note()
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", make(work))
    return aiohttp_server(app)


def on_quart(make: Make, places: Places) -> AbstractContextManager[Live]:
    def work() -> str:
        places.note()
        return "hello"

    app = Quart(__name__)
    app.add_url_rule("/", "handler", make(work))
    return hypercorn_server(app)


def ask(begin: Callable[[Places], AbstractContextManager[Live]]) -> Answer:
    """Register it, note what is said, and ask for it."""
    places = Places()
    with warnings.catch_warnings(record=True, action="always") as said:
        try:
            server = begin(places)
        except Exception as error:
            return Answer(f"refused with {type(error).__name__}", f"registering raised {error}")
        at_first = len(said)
        with server as live:
            status = get(live.port, "/").status
            ran = _RAN[places.seen[0].on(live)] if places.seen else "never runs"
        gc.collect()  # what was never awaited says so when it goes
    later = f", and warns with {kinds}" if (kinds := _kinds(said[at_first:])) else ""
    first = f"warns with {kinds}" if (kinds := _kinds(said[:at_first])) else "without a warning"
    words = dict.fromkeys(f"{one.category.__name__}: {one.message}" for one in said)
    threads = dict.fromkeys(place.thread.name for place in places.seen)
    return Answer(
        f"registered {first}, {ran}, answered {status}{later}",
        f"it ran on thread {', '.join(map(repr, threads)) or 'none'}; the answer was {status}; "
        f"said: {'; '.join(words) or 'nothing'}",
    )


def _kinds(said: list[warnings.WarningMessage]) -> str:
    return " and ".join(dict.fromkeys(one.category.__name__ for one in said))


_RAN = {
    "the loop's thread, on the server's loop": "runs on the loop",
    "worker thread, no running loop": "runs in a worker thread",
}


_OTHERS: dict[str, Make] = {
    "a plain wrapper around an async function": plain_decorator,
    "functools.partial of an async function": partial_of_async,
    "an object with an async __call__": AsyncCallable,
}

QUESTION = Question(
    asks="Can a plain function be registered as a handler, or something else that is called and "
    "not `async def`, and where does it then run?",
    experiments=tuple(
        Experiment(stack, name, partial(ask, partial(begin, make)))
        for stack, begin in (("aiohttp", on_aiohttp), ("quart-hypercorn", on_quart))
        for name, make in ({DEFAULT: plain_function} | _OTHERS).items()
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
            (DEFAULT,),
        ),
    ),
    follows={
        "registered without a warning, runs on the loop, answered 200": "It is as good "
        "as an `async def`.",
        "*runs on the loop, answered 200": "It works, and blocks the loop like any plain "
        "code: write `async def`.",
        "*answered 500*": "It is accepted when registered and fails when asked: write `async def`, "
        "and test every route.",
        "*runs in a worker thread*": "A plain function is a sync route: it may block.",
        "refused*": "Write `async def`.",
    },
)
