"""Two steps, each behind a shield of its own."""

from __future__ import annotations

import asyncio

from loopbench.loadtests.behaviour.disconnect.saving import (
    Saving,
    Scope,
    experiments,
    question,
    where_cancelled,
)
from loopbench.loadtests.behaviour.framework.question import Agrees
from loopbench.loadtests.behaviour.framework.raw_client import Leaving


async def way(saving: Saving, _: Scope) -> None:
    await asyncio.shield(saving.keep(asyncio.create_task(saving.step("first"))))
    await asyncio.shield(saving.keep(asyncio.create_task(saving.step("second"))))


async def together(saving: Saving, _: Scope) -> None:
    """The remedy: one shield around both."""

    async def both() -> None:
        await saving.step("first")
        await saving.step("second")

    await asyncio.shield(saving.keep(asyncio.create_task(both())))


QUESTION = question(
    "Are two steps in a row safe when each is shielded?",
    way,
    where_cancelled(
        "Shielding every await makes a handler safe.",
        {"saved*": Agrees.YES, "half saved*": Agrees.NO, "lost*": Agrees.NO},
    ),
    {
        "half saved*": "The cancellation comes out of the first shield, and the second step is "
        "never reached. Shield both steps as one coroutine.",
        "saved, handler cancelled": "Both steps are done: the shield is around both of them.",
    },
    experiments(together, also="one shield around both", leavings=(Leaving.FIN,)),
)
