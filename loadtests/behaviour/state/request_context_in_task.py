"""The request, used after its handler has ended, by a task that the handler has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web
from quart import Quart, copy_current_request_context, g, has_request_context, request

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

USER = web.RequestKey("user", str)

Begin = Callable[[Quart, Callable[[], Awaitable[None]]], None]
"""Begins the task, inside the handler."""

_kept: set[asyncio.Task[None]] = set()


def _keep(task: asyncio.Task[None]) -> None:
    _kept.add(task)
    task.add_done_callback(_kept.discard)


def create_task(_: Quart, work: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await work()

    _keep(asyncio.create_task(run()))


def copied(app: Quart, work: Callable[[], Awaitable[None]]) -> None:
    create_task(app, copy_current_request_context(work))


def background(app: Quart, work: Callable[[], Awaitable[None]]) -> None:
    app.add_background_task(work)


def thread(_: Quart, work: Callable[[], Awaitable[None]]) -> None:
    """A thread of the pool: no context variables are handed over."""
    asyncio.get_running_loop().run_in_executor(None, lambda: asyncio.run(_run(work)))


def to_thread(app: Quart, work: Callable[[], Awaitable[None]]) -> None:
    """A thread that is given the context variables."""

    async def run() -> None:
        await asyncio.to_thread(lambda: asyncio.run(_run(work)))

    create_task(app, run)


async def _run(work: Callable[[], Awaitable[None]]) -> None:
    await work()


WAYS: dict[str, Begin] = {
    "asyncio.create_task": create_task,
    "copy_current_request_context": copied,
    "app.add_background_task": background,
    "run_in_executor": thread,
    "asyncio.to_thread": to_thread,
}


def _answer(server: Live, seen: Seen) -> Answer:
    with Wire(server.port) as wire:
        wire.request("POST", "/?user=Ada", body=b"the body")
        wire.answer()
        seen("answered")
        if not seen.wait("looked"):
            return Answer("the task never looked", f"events: {', '.join(seen.events)}")
    found = [event for event in seen.events if event not in ("answered", "looked", "torn down")]
    return Answer(", ".join(found), f"in order: {', '.join(seen.events)}")


def on_quart(begin: Begin) -> Answer:
    app, seen = Quart(__name__), Seen()

    async def look() -> None:
        await asyncio.to_thread(seen.wait, "answered")
        if not has_request_context():
            seen("no request")
        else:
            seen(f"request.args {'there' if request.args.get('user') == 'Ada' else 'empty'}")
        try:
            seen(f"g {'there' if g.get('user') == 'Ada' else 'empty'}")
        except RuntimeError as error:
            seen(f"g raises {type(error).__name__}")
        seen("looked")

    @app.post("/")
    async def handler() -> str:
        g.user = "Ada"
        begin(app, look)
        return ""

    @app.teardown_request
    async def teardown(_: BaseException | None) -> None:
        if "looked" not in seen:
            seen("torn down")

    with hypercorn_server(app) as server:
        return _answer(server, seen)


def on_aiohttp(body_read: bool) -> Answer:
    """The request is passed on; body_read: the handler reads the body first."""
    seen = Seen()

    async def look(request: web.Request) -> None:
        await asyncio.to_thread(seen.wait, "answered")
        seen(f"request.query {'there' if request.query.get('user') == 'Ada' else 'empty'}")
        seen(f"request[key] {'there' if request.get(USER) == 'Ada' else 'empty'}")
        try:
            body = await request.read()
        except Exception as error:
            seen(f"the body raises {type(error).__name__}")
        else:
            seen(f"the body {'there' if body == b'the body' else 'empty'}")
        seen("looked")

    async def handler(request: web.Request) -> web.Response:
        request[USER] = "Ada"
        if body_read:
            await request.read()
        _keep(asyncio.create_task(look(request)))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", handler)
    with aiohttp_server(app) as server:
        return _answer(server, seen)


QUESTION = Question(
    asks="What does a task find of the request when the handler that began it has answered?",
    experiments=(
        Experiment("aiohttp", "the request is passed on", lambda: on_aiohttp(False)),
        Experiment(
            "aiohttp", "the request is passed on, its body read before", lambda: on_aiohttp(True)
        ),
        *(
            Experiment("quart-hypercorn", name, partial(on_quart, begin))
            for name, begin in WAYS.items()
        ),
    ),
    claims=(
        Claim(
            "The request is gone once its handler has answered.",
            {"request.args there*": Agrees.NO, "no request*": Agrees.YES},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "no request, g raises*": "Nothing of the context is there: pass on as arguments what is "
        "needed, which is best in the other cases too.",
        "no request*": "An application context of its own, without a request: pass on as arguments "
        "what is needed.",
        "request.args there*": "The request is still there, torn down as it is: what teardown "
        "closes, such as a database session, is not to be used any more.",
        "*the body raises*": "Read the body in the handler: the answer ends it.",
        "*the body there": "What the handler has read stays with the request.",
        "*the body empty*": "Read the body in the handler: afterwards it looks empty.",
    },
)
