"""A task beside the requests that raises."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.background.tasks import AIOHTTP, QUART, Work
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server


class _Errors(logging.Handler):
    """Notes by which logger an error is said."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(record.name)


def loggers(said: list[str]) -> str:
    """The loggers' names; Quart's own has that of the application's module."""
    named = ("the application's logger" if "behaviour" in name else name for name in said)
    return " and ".join(dict.fromkeys(named)) or "nobody"


@contextmanager
def listening() -> Iterator[list[str]]:
    """The names of the loggers that say something at the level of an error meanwhile."""
    said: list[str] = []
    handler = _Errors(said)
    logging.getLogger().addHandler(handler)
    try:
        yield said
    finally:
        logging.getLogger().removeHandler(handler)


def work(seen: Seen) -> Work:
    async def fail() -> None:
        await asyncio.sleep(0.05)
        seen("raised")
        raise RuntimeError("the task is broken")

    return fail


def _ask(begin: Callable[[Seen], AbstractContextManager[Live]]) -> Answer:
    seen = Seen()
    with listening() as said:
        with begin(seen) as server:
            seen.wait("raised")
            try:
                served = get(server.port, "/").text == "hello"
            except (NoAnswer, OSError):
                served = False
            at_once = len(said)
            try:
                stop = "the stop is clean" if server.stop(15.0) is not None else "the stop hangs"
            except Exception as error:
                stop = f"the stop raises {type(error).__name__}"
        gc.collect()
    when = "said at once" if at_once else "said at the end" if said else "never said"
    requests = "requests go on" if served else "requests stop"
    return Answer(
        f"{requests}, {when}, {stop}",
        f"errors in the log: {at_once} before the stop, {len(said)} in all, by {loggers(said)}; "
        f"{stop}",
    )


def on_aiohttp(begin: Callable[[Work], web.Application]) -> Answer:
    return _ask(lambda seen: aiohttp_server(begin(work(seen))))


def on_quart(begin: Callable[[Work], Quart]) -> Answer:
    return _ask(lambda seen: hypercorn_server(begin(work(seen))))


QUESTION = Question(
    asks="What happens when a task that runs beside the requests raises?",
    experiments=(
        *(
            Experiment("aiohttp", setting, partial(on_aiohttp, begin))
            for setting, begin in AIOHTTP.items()
        ),
        *(
            Experiment("quart-hypercorn", setting, partial(on_quart, begin), bound_s=30)
            for setting, begin in QUART.items()
        ),
    ),
    claims=(
        Claim(
            "An exception in a background task takes the server down.",
            {"requests stop*": Agrees.YES, "requests go on*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "*never said*": "The task is gone and nobody says so: watch it, for instance with "
        "`add_done_callback`, and log what it raised.",
        "*said at the end*": "The failure shows only when the application ends: watch the task, "
        "for instance with `add_done_callback`.",
        "*said at once*": "The log tells of it at once; nothing starts the task again.",
    },
)
