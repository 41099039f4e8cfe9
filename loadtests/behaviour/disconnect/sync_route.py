"""A save in a sync route."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager

from quart import Quart

from loopbench.loadtests.behaviour.disconnect.leaving import rows
from loopbench.loadtests.behaviour.disconnect.saving import Saving, Scope, experiments, fate
from loopbench.loadtests.behaviour.framework.question import Agrees, Claim, Question
from loopbench.loadtests.behaviour.framework.servers import Live, hypercorn_server


def on_quart(saving: Saving) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.post("/")
    def handler() -> str:
        with saving.handling():
            saving.save_blocking()
        return "saved"

    return hypercorn_server(app)


async def in_executor(saving: Saving, _: Scope) -> None:
    """aiohttp has no sync routes: the nearest thing."""
    await asyncio.get_running_loop().run_in_executor(None, saving.save_blocking)


QUESTION = Question(
    asks="Does a save in a sync route survive its client?",
    experiments=(
        *experiments(in_executor, stacks=("aiohttp",), also="through run_in_executor"),
        *rows(fate, [("quart-hypercorn", "", on_quart)]),
    ),
    claims=(
        Claim(
            "A sync route runs to its end, whatever the client does.",
            {"saved, handler finished": Agrees.YES, "*": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "saved, handler finished": "The code in the thread runs to its very end.",
        "saved, handler cancelled": "The code in the thread runs to its end; the coroutine that "
        "waits for it does not.",
    },
)
