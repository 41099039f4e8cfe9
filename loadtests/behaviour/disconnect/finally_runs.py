"""The clean-up of a handler whose client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain

from loopbench.loadtests.behaviour.disconnect.handling import Body, with_body
from loopbench.loadtests.behaviour.disconnect.leaving import Begin, leave, rows
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import Agrees, Answer, Claim, Question
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire


async def work(seen: Seen) -> None:
    """What the client leaves in the middle of."""
    seen("begun")
    await asyncio.sleep(0.3)
    seen("work finished")


async def with_finally(seen: Seen) -> None:
    try:
        await work(seen)
    finally:
        seen("finally begun")
        await asyncio.sleep(0.05)
        seen("finally ended")
        seen("over")


async def with_except_exception(seen: Seen) -> None:
    """What many write: it does not catch a cancellation."""
    try:
        await work(seen)
    except Exception:
        seen("except begun")
    finally:
        seen("over")


async def with_except_cancelled(seen: Seen) -> None:
    try:
        await work(seen)
    except asyncio.CancelledError:
        seen("except begun")
        await asyncio.sleep(0.05)
        seen("except ended")
        raise
    finally:
        seen("over")


async def with_context_manager(seen: Seen) -> None:
    @asynccontextmanager
    async def held() -> AsyncIterator[None]:
        try:
            yield
        finally:
            seen("exit begun")
            await asyncio.sleep(0.05)
            seen("exit ended")

    try:
        async with held():
            await work(seen)
    finally:
        seen("over")


def ask(begin: Begin[Seen], leaving: Leaving) -> Answer:
    """Leave while the handler works, and see which parts of its clean-up are reached."""
    seen = Seen()
    with begin(seen) as server, Wire(server.port) as wire:
        wire.request("GET", "/")
        leave(wire, seen, leaving)
        if not seen.wait("over"):
            raise TimeoutError("the handler never ended")
    begun = any(event.endswith(" begun") for event in seen.events)
    ended = any(event.endswith(" ended") for event in seen.events)
    runs = {(True, True): "runs to its end", (True, False): "runs to its first await"}
    after = "after the work" if "work finished" in seen else "upon cancellation"
    words = runs.get((begun, ended), "does not run")
    return Answer(f"{words}, {after}", ", ".join(seen.events))


BODIES: tuple[tuple[str, Body], ...] = (
    ("finally", with_finally),
    ("async with", with_context_manager),
    ("except CancelledError", with_except_cancelled),
    ("except Exception", with_except_exception),
)

QUESTION = Question(
    asks="Does the clean-up of a handler run when its client leaves, awaits in it included?",
    experiments=rows(
        ask,
        chain.from_iterable(with_body(body, name) for name, body in BODIES),
        (Leaving.FIN,),
    ),
    claims=tuple(
        Claim(
            "`except Exception` catches a cancellation, too.",
            {"does not run, upon cancellation": Agrees.NO, "runs*": Agrees.YES},
            (stack,),
            (setting,),
        )
        for stack, setting in (
            ("aiohttp", "handler_cancellation=True, except Exception, FIN"),
            ("quart-hypercorn", "except Exception, FIN"),
        )
    ),
    follows={
        "runs to its end*": "Release there what must be released; keep it short.",
        "runs to its first await*": "Release without awaiting, or shield what the clean-up awaits.",
        "does not run, upon cancellation": "CancelledError is not an Exception: use `finally`, or "
        "name it.",
    },
)
