"""A save in a task that the handler does not wait for."""

from __future__ import annotations

import asyncio

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


async def way(saving: Saving, _: Scope) -> None:
    saving.keep(asyncio.create_task(saving.save()))


QUESTION = question(
    "Does a save in a task survive its client when the handler does not wait for it?",
    way,
    where_cancelled(
        "A task of its own is not cancelled with the handler.",
        {"saved*": Agrees.YES, "*": Agrees.NO},
    ),
    {
        "saved, handler cancelled": "The task is not the handler's: it goes on when the handler "
        "is cancelled at something else. Keep a reference to it.",
        "saved, handler finished": "The answer is sent before the save is done, and nobody hears "
        "of its failure. Keep a reference to the task, and wait for it when the server stops.",
    },
    experiments(and_more(way), also="more to await after it", leavings=(Leaving.FIN,)),
)
