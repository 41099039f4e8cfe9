"""A save behind the shield of an aiojobs scheduler."""

from __future__ import annotations

from loadtests.behaviour.disconnect.saving import Saving, Scope, question


async def way(saving: Saving, scope: Scope) -> None:
    await scope.scheduler.shield(saving.save())


QUESTION = question(
    "Does a save behind aiojobs' shield survive its client?",
    way,
    follows={
        "saved*": "Like `asyncio.shield`, with the reference kept and the end of the application "
        "waiting for it.",
    },
)
