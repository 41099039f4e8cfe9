"""A save in a thread that the handler waits for."""

from __future__ import annotations

import asyncio

from loopbench.loadtests.behaviour.disconnect.saving import Saving, Scope, question, where_cancelled
from loopbench.loadtests.behaviour.framework.question import Agrees


async def way(saving: Saving, _: Scope) -> None:
    await asyncio.to_thread(saving.save_blocking)


QUESTION = question(
    "Does a save in a thread survive its client?",
    way,
    where_cancelled(
        "Cancelling the handler stops the work in its thread.",
        {"saved, handler cancelled": Agrees.NO, "lost*": Agrees.YES, "half*": Agrees.YES},
    ),
    {
        "saved, handler cancelled": "A thread cannot be cancelled: the save ends, and nothing "
        "after the await is done.",
    },
)
