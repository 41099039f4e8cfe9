"""A save in a task that the handler awaits."""

from __future__ import annotations

import asyncio

from loadtests.behaviour.disconnect.saving import Saving, Scope, question
from loadtests.behaviour.question import Agrees, Claim


async def way(saving: Saving, _: Scope) -> None:
    await asyncio.create_task(saving.save())


QUESTION = question(
    "Does a save in a task survive its client when the handler awaits the task?",
    way,
    (
        Claim(
            "Putting the save into a task protects it.",
            {"saved, handler cancelled": Agrees.YES, "saved*": Agrees.PARTLY, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    {
        "lost*": "Awaiting a task hands the cancellation on to it. `asyncio.shield` between the "
        "two keeps it off.",
        "half saved*": "Awaiting a task hands the cancellation on to it. `asyncio.shield` between "
        "the two keeps it off.",
    },
)
