"""A save behind the shield of an aiojobs scheduler."""

from __future__ import annotations

from loopbench.loadtests.behaviour.disconnect.saving import Saving, Scope, question, where_cancelled
from loopbench.loadtests.behaviour.framework.question import Agrees


async def way(saving: Saving, scope: Scope) -> None:
    await scope.scheduler.shield(saving.save())


QUESTION = question(
    "Does a save behind aiojobs' shield survive its client?",
    way,
    where_cancelled(
        "aiojobs' shield protects a save from a client that leaves.",
        {"saved*": Agrees.YES, "*": Agrees.NO},
    ),
    {
        "saved*": "Like `asyncio.shield`, with the reference kept and the end of the application "
        "waiting for it.",
    },
)
