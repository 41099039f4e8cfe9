"""A save whose client has left, when the server is stopped meanwhile."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from loadtests.behaviour.disconnect.saving import Saving, Scope, on_aiohttp, on_quart
from loadtests.behaviour.question import Answer, Experiment, Question
from loadtests.behaviour.served import Live
from loadtests.behaviour.wire import Leaving, Wire


async def shielded(saving: Saving, _: Scope) -> None:
    await asyncio.shield(saving.keep(asyncio.create_task(saving.save())))


async def spawned(saving: Saving, scope: Scope) -> None:
    await scope.scheduler.spawn(saving.save())


async def in_background(saving: Saving, scope: Scope) -> None:
    assert scope.background is not None
    scope.background(saving.save)


def ask(begin: Callable[[Saving], AbstractContextManager[Live]]) -> Answer:
    """Leave in the first step, stop the server in it too, and look at the file when both the
    server and its loop have ended."""
    with tempfile.TemporaryDirectory() as folder:
        saving = Saving(Path(folder) / "saves")
        with begin(saving) as server, Wire(server.port) as wire:
            wire.request("POST", "/", [("Content-Length", "0")])
            saving.seen.wait("first step begun")
            wire.leave(Leaving.RST)
            took_s = server.stop(15.0)
            lines = saving.lines
    saved = {0: "lost", 1: "half saved", 2: "saved"}[lines]
    waited = "the stop hangs" if took_s is None else f"the stop took {took_s:.2f} s"
    return Answer(saved, f"{lines} of 2 lines were in the file when the loop had ended; {waited}")


QUESTION = Question(
    asks="Does a stop wait for a protected save whose client has left?",
    experiments=(
        Experiment(
            "aiohttp",
            "asyncio.shield, handler_cancellation=True",
            partial(ask, partial(on_aiohttp, way=shielded, handler_cancellation=True)),
        ),
        Experiment(
            "aiohttp",
            "aiojobs spawn, handler_cancellation=True",
            partial(ask, partial(on_aiohttp, way=spawned, handler_cancellation=True)),
        ),
        Experiment(
            "quart-hypercorn", "asyncio.shield", partial(ask, partial(on_quart, way=shielded)), 30
        ),
        Experiment(
            "quart-hypercorn", "aiojobs spawn", partial(ask, partial(on_quart, way=spawned)), 30
        ),
        Experiment(
            "quart-hypercorn",
            "app.add_background_task",
            partial(ask, partial(on_quart, way=in_background)),
            30,
        ),
    ),
    follows={
        "saved": "This protection holds through a deploy, within the time that the stop may take.",
        "half saved": "This protects from the client, not from the stop: keep the tasks, and wait "
        "for them in a clean-up.",
        "lost": "This protects from the client, not from the stop: keep the tasks, and wait for "
        "them in a clean-up.",
    },
)
