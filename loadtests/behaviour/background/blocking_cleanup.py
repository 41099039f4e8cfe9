"""A clean-up that takes long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from loopbench.loadtests.behaviour.background.tasks import aiohttp_app, quart_app
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import DEFAULT, Answer, Experiment, Question
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

LONG_S = 4.0


def on_aiohttp(seen: Seen, *, awaits: bool) -> AbstractContextManager[Live]:
    app = aiohttp_app()

    async def slow(_: object) -> None:
        await _take_long(seen, awaits)

    app.on_cleanup.append(slow)
    return aiohttp_server(app, shutdown_timeout=1)


def on_quart(seen: Seen, *, awaits: bool, **options: float) -> AbstractContextManager[Live]:
    app = quart_app()

    @app.after_serving
    async def slow() -> None:
        await _take_long(seen, awaits)

    return hypercorn_server(app, **options)


async def _take_long(seen: Seen, awaits: bool) -> None:
    seen("began")
    if awaits:
        await asyncio.sleep(LONG_S)
    else:
        time.sleep(LONG_S)  # noqa: ASYNC251  that is the question
    seen("done")


def ask(begin: Callable[[Seen], AbstractContextManager[Live]]) -> Answer:
    seen = Seen()
    with begin(seen) as server:
        try:
            took_s = server.stop(3 * LONG_S)
            how = "the stop hangs" if took_s is None else "the stop is clean"
        except Exception as error:
            took_s, how = None, f"the stop raises {type(error).__name__}"
    done = "finished" if "done" in seen else "cut off"
    said = "" if took_s is None else f" after {took_s:.2f} s"
    return Answer(f"{done}, {how}", f"a clean-up of {LONG_S:g} s was {done}; {how}{said}")


QUESTION = Question(
    asks="Is a clean-up that takes long cut off?",
    experiments=(
        Experiment("aiohttp", "shutdown_timeout=1", lambda: ask(partial(on_aiohttp, awaits=True))),
        Experiment(
            "aiohttp",
            "shutdown_timeout=1, it blocks the loop",
            lambda: ask(partial(on_aiohttp, awaits=False)),
        ),
        Experiment("quart-hypercorn", DEFAULT, lambda: ask(partial(on_quart, awaits=True))),
        Experiment(
            "quart-hypercorn",
            "shutdown_timeout=1",
            lambda: ask(partial(on_quart, awaits=True, shutdown_timeout=1)),
        ),
        Experiment(
            "quart-hypercorn",
            "shutdown_timeout=1, it blocks the loop",
            lambda: ask(partial(on_quart, awaits=False, shutdown_timeout=1)),
        ),
    ),
    follows={
        "finished*": "Nothing bounds a clean-up here: bound what may hang in it yourself.",
        "cut off*": "Set the bound longer than the longest clean-up.",
    },
)
