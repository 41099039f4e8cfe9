"""A save spawned on an aiojobs scheduler."""

from __future__ import annotations

from loadtests.behaviour.disconnect.saving import Saving, Scope, question


async def way(saving: Saving, scope: Scope) -> None:
    await scope.scheduler.spawn(saving.save())


QUESTION = question(
    "Does a save that is spawned with aiojobs survive its client?",
    way,
    follows={
        "saved*": "The scheduler keeps the reference, reports failures, and waits for the job "
        "when the application ends; the answer does not wait for the save.",
    },
)
