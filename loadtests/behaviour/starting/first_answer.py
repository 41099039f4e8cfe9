"""A client that comes while the start-up hooks still run."""

from __future__ import annotations

import asyncio
import threading

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.starting.ports import (
    aiohttp_app,
    get,
    quart_app,
    start_aiohttp,
    start_hypercorn,
)
from loopbench.loadtests.services.free_port import free_port

HOOK_S = 0.5


def _client(port: int, seen: Seen, refused: list[bool]) -> None:
    """Comes in the middle of the hook, then waits until it is answered."""
    seen.wait("hook begun")
    refused.append(get(port, 0.0) is None)
    if get(port) is not None:
        seen("answered")


async def _hook(seen: Seen) -> None:
    seen("hook begun")
    await asyncio.sleep(HOOK_S)
    seen("hook done")


async def _on_aiohttp(port: int, seen: Seen) -> None:
    app = aiohttp_app("hello")

    async def hook(_: object) -> None:
        await _hook(seen)

    app.on_startup.append(hook)
    started = await start_aiohttp(app, port)
    await asyncio.to_thread(seen.wait, "answered")
    await started.stop()


async def _on_quart(port: int, seen: Seen) -> None:
    app = quart_app("hello")

    @app.before_serving
    async def hook() -> None:
        await _hook(seen)

    started = await start_hypercorn(app, port)
    await asyncio.to_thread(seen.wait, "answered")
    await started.stop()


STARTS = {"aiohttp": _on_aiohttp, "quart-hypercorn": _on_quart}


def ask(stack: str) -> Answer:
    seen, port = Seen(), free_port()
    refused: list[bool] = []
    client = threading.Thread(target=_client, args=(port, seen, refused))
    client.start()
    asyncio.run(STARTS[stack](port, seen))
    client.join()
    early = "refused meanwhile" if refused[0] else "accepted meanwhile"
    events = seen.events
    order = (
        "answered after the hook"
        if events.index("answered") > events.index("hook done")
        else "answered before the hook has ended"
    )
    return Answer(f"{early}, {order}", f"a client in the middle of the hook: {early}; {order}")


QUESTION = Question(
    asks="Can a client be served before the start-up hooks have ended?",
    experiments=tuple(
        Experiment(stack, DEFAULT, lambda stack=stack: ask(stack))  # type: ignore[misc]
        for stack in STARTS
    ),
    claims=(
        Claim(
            "No request is served before start-up has ended.",
            {"*answered after the hook": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "refused meanwhile*": "A listening port says that start-up has ended: a health check needs "
        "no more than a connection.",
    },
)
