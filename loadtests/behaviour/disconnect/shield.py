"""A save behind `asyncio.shield`."""

from __future__ import annotations

import asyncio

from loopbench.loadtests.behaviour.disconnect.saving import Saving, Scope, question, where_cancelled
from loopbench.loadtests.behaviour.framework.question import Agrees


async def way(saving: Saving, _: Scope) -> None:
    await asyncio.shield(saving.keep(asyncio.create_task(saving.save())))


QUESTION = question(
    "Does `asyncio.shield` keep a save that a leaving client would take with it?",
    way,
    where_cancelled(
        "asyncio.shield protects a save from a client that leaves.",
        {"saved*": Agrees.YES, "*": Agrees.NO},
    ),
    {
        "saved, handler cancelled": "The save goes on, but nothing after the shielded line does. "
        "Keep a reference to its task, and wait for it when the server stops: see the question "
        "about a shielded save at shutdown.",
        "saved, handler finished": "It was not needed here, and does no harm.",
    },
)
