"""Two steps, each behind a shield of its own."""

from __future__ import annotations

import asyncio

from loadtests.behaviour.disconnect.saving import Saving, Scope, question
from loadtests.behaviour.question import Agrees, Claim


async def way(saving: Saving, _: Scope) -> None:
    await asyncio.shield(saving.keep(asyncio.create_task(saving.step("first"))))
    await asyncio.shield(saving.keep(asyncio.create_task(saving.step("second"))))


QUESTION = question(
    "Are two steps in a row safe when each is shielded?",
    way,
    (
        Claim(
            "Shielding every await makes a handler safe.",
            {"saved*": Agrees.YES, "half saved*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    {
        "half saved*": "The cancellation comes out of the first shield, and the second step is "
        "never reached. Shield both steps as one coroutine.",
    },
)
