"""A handler that awaits its save, and nothing else."""

from __future__ import annotations

from functools import partial

from loopbench.loadtests.behaviour.disconnect.leaving import LEAVINGS, rows
from loopbench.loadtests.behaviour.disconnect.saving import Saving, Scope, fate, on_quart, question
from loopbench.loadtests.behaviour.disconnect.withheld import DisconnectWithheld
from loopbench.loadtests.behaviour.framework.question import Agrees, Claim


async def way(saving: Saving, _: Scope) -> None:
    await saving.save()


QUESTION = question(
    "Is the handler cancelled when its client leaves, and what becomes of a save that it awaits?",
    way,
    (
        Claim(
            "aiohttp cancels the handler when the client disconnects.",
            {"*handler cancelled": Agrees.YES, "*": Agrees.NO},
            ("aiohttp",),
            LEAVINGS,
        ),
        Claim(
            "ASGI servers do not cancel a handler whose client has left.",
            {"*handler finished": Agrees.YES, "*": Agrees.NO},
            ("quart-hypercorn",),
            LEAVINGS,
        ),
    ),
    {
        "lost, handler cancelled": "What must not be lost needs protection: see the questions "
        "about shield, aiojobs and background tasks.",
        "half saved*": "A cancellation may come between two steps: protect them together, or use "
        "a transaction.",
        "saved, handler finished": "The handler does not notice that nobody waits for it. That "
        "keeps saves, and costs the work of answers that nobody reads.",
    },
    rows(
        fate,
        [
            (
                "quart-hypercorn",
                "http.disconnect withheld by an ASGI middleware",
                partial(on_quart, way=way, asgi=DisconnectWithheld),
            )
        ],
    ),
)
