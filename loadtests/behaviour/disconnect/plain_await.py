"""A handler that awaits its save, and nothing else."""

from __future__ import annotations

from loadtests.behaviour.disconnect.saving import Saving, Scope, question
from loadtests.behaviour.question import Agrees, Claim


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
        ),
        Claim(
            "A Quart handler runs to its end, whatever the client does.",
            {"*handler finished": Agrees.YES, "*": Agrees.NO},
            ("quart-hypercorn",),
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
)
