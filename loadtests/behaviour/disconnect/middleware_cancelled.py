"""What is around a handler, when the handler's client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from quart import Quart, Response

from loopbench.loadtests.behaviour.disconnect.leaving import CANCEL, Begin, leave, rows
from loopbench.loadtests.behaviour.disconnect.withheld import ASGI
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import Agrees, Answer, Claim, Question
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

HANDLER_S = 0.3


async def noted(seen: Seen, inner: Awaitable[Any]) -> Any:
    """Wait for what is inside, and note how it comes back."""
    try:
        answer = await inner
    except BaseException as error:
        seen(f"around: sees {type(error).__name__}")
        raise
    seen("around: sees an ordinary end")
    return answer


async def handle(seen: Seen) -> str:
    """The inside of every handler."""
    seen("begun")
    try:
        await asyncio.sleep(HANDLER_S)
        seen("handler finished")
    except asyncio.CancelledError:
        seen("handler cancelled")
        raise
    finally:
        seen("handler ended")
    return "done"


def middleware(seen: Seen, **options: Any) -> AbstractContextManager[Live]:
    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer: web.StreamResponse = await noted(seen, handler(request))
        return answer

    return _aiohttp(seen, web.Application(middlewares=[around]), **options)


def on_response_prepare(seen: Seen, **options: Any) -> AbstractContextManager[Live]:
    async def prepare(_: web.Request, __: web.StreamResponse) -> None:
        seen("around: runs")

    app = web.Application()
    app.on_response_prepare.append(prepare)
    return _aiohttp(seen, app, **options)


def _aiohttp(seen: Seen, app: web.Application, **options: Any) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=await handle(seen))

    app.router.add_get("/", handler)
    return aiohttp_server(app, **options)


def after_request(seen: Seen) -> AbstractContextManager[Live]:
    app = _quart(seen)

    @app.after_request
    async def after(response: Response) -> Response:
        seen("around: runs")
        return response

    return hypercorn_server(app)


def teardown_request(seen: Seen) -> AbstractContextManager[Live]:
    app = _quart(seen)

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        seen("around: runs" if error is None else f"around: runs with {type(error).__name__}")

    return hypercorn_server(app)


class Around:
    """An ASGI middleware that notes how the application comes back, and whether it answered."""

    def __init__(self, app: ASGI, seen: Seen) -> None:
        self._app = app
        self._seen = seen

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        async def sending(message: ASGISendEvent) -> None:
            self._seen(f"{message['type']} sent")
            await send(message)

        if scope["type"] == "http":
            await noted(self._seen, self._app(scope, receive, sending))
        else:
            await self._app(scope, receive, send)


def asgi_middleware(seen: Seen) -> AbstractContextManager[Live]:
    app = _quart(seen)
    app.asgi_app = Around(app.asgi_app, seen)  # type: ignore[method-assign]
    return hypercorn_server(app)


def _quart(seen: Seen) -> Quart:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        return await handle(seen)

    return app


def ask(begin: Begin[Seen], leaving: Leaving) -> Answer:
    """Leave while the handler waits, and see what is told to what is around it."""
    seen = Seen()
    with begin(seen) as server, Wire(server.port) as wire:
        wire.request("GET", "/")
        leave(wire, seen, leaving)
        if not seen.wait("handler ended"):
            raise TimeoutError("the handler never ended")
    # The server has stopped: what is around the handler has had its turn.
    told = [event.partition(": ")[2] for event in seen.events if event.startswith("around: ")]
    handler = "handler cancelled" if "handler cancelled" in seen else "handler finished"
    words = " and ".join(told) or "does not run"
    return Answer(f"{words}, {handler}", ", ".join(seen.events))


CANCELLED: tuple[tuple[str, Callable[..., AbstractContextManager[Live]]], ...] = (
    ("@web.middleware", middleware),
    ("on_response_prepare", on_response_prepare),
)

QUESTION = Question(
    asks="Does what is around a handler see that its client has left?",
    experiments=rows(
        ask,
        [
            *(("aiohttp", name, begin) for name, begin in CANCELLED),
            *(
                (
                    "aiohttp",
                    f"handler_cancellation=True, {name}",
                    partial(begin, **CANCEL),
                )
                for name, begin in CANCELLED
            ),
            ("quart-hypercorn", "@app.after_request", after_request),
            ("quart-hypercorn", "@app.teardown_request", teardown_request),
            ("quart-hypercorn", "ASGI middleware", asgi_middleware),
        ],
        (Leaving.FIN,),
    ),
    claims=(
        Claim(
            "teardown_request runs for every request, whatever became of it.",
            {"runs*": Agrees.YES, "does not run*": Agrees.NO},
            ("quart-hypercorn",),
            ("@app.teardown_request, FIN",),
        ),
    ),
    follows={
        "runs with CancelledError*": "It can count and release there, and tell a request that was "
        "given up from one that was served.",
        "sees CancelledError*": "`except Exception` around the handler does not catch it: count "
        "and release in `finally`.",
        "does not run, handler cancelled": "Do not rely on it to count or to release.",
        "sees an ordinary end, handler cancelled": "From there it looks like a request that was "
        "served: what is sent is the only sign, and nothing is.",
    },
)
