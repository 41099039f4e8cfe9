"""A save in a task that the handler does not wait for."""

from __future__ import annotations

import asyncio

from loadtests.behaviour.disconnect.saving import Saving, Scope, question
from loadtests.behaviour.question import Agrees, Claim


async def way(saving: Saving, _: Scope) -> None:
    saving.keep(asyncio.create_task(saving.save()))


QUESTION = question(
    "Does a save in a task survive its client when the handler does not wait for it?",
    way,
    (
        Claim(
            "A task of its own is not cancelled with the handler.",
            {"saved*": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    {
        "saved*": "It does, but the answer is sent before the save is done, and nobody hears of "
        "its failure. Keep a reference to the task.",
    },
)
