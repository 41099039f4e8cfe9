"""A save in a task that the handler awaits."""

from __future__ import annotations

import asyncio

from loopbench.loadtests.behaviour.disconnect.saving import Saving, Scope, question, where_cancelled
from loopbench.loadtests.behaviour.framework.question import Agrees


async def way(saving: Saving, _: Scope) -> None:
    await asyncio.create_task(saving.save())


ADVICE = (
    "Awaiting a task hands the cancellation on to it. `asyncio.shield` between the two keeps it "
    "off."
)

QUESTION = question(
    "Does a save in a task survive its client when the handler awaits the task?",
    way,
    where_cancelled(
        "Putting the save into a task protects it.",
        {"saved*": Agrees.YES, "*": Agrees.NO},
    ),
    {"lost*": ADVICE, "half saved*": ADVICE},
)
