"""A save spawned on an aiojobs scheduler."""

from __future__ import annotations

from loopbench.loadtests.behaviour.disconnect.saving import (
    Saving,
    Scope,
    and_more,
    experiments,
    question,
    where_cancelled,
)
from loopbench.loadtests.behaviour.framework.question import Agrees
from loopbench.loadtests.behaviour.framework.raw_client import Leaving


async def way(saving: Saving, scope: Scope) -> None:
    await scope.scheduler.spawn(saving.save())


QUESTION = question(
    "Does a save that is spawned with aiojobs survive its client?",
    way,
    where_cancelled(
        "A job that is spawned with aiojobs is not cancelled with the handler.",
        {"saved*": Agrees.YES, "*": Agrees.NO},
    ),
    {
        "saved*": "The scheduler keeps the reference, reports failures, and waits for the job "
        "when the application ends; the answer does not wait for the save.",
    },
    experiments(and_more(way), also="more to await after it", leavings=(Leaving.FIN,)),
)
