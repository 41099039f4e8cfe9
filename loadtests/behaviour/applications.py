"""The stacks that are asked, and applications of both frameworks around the same work.

Where a question is about how a handler is written, its module has applications of its own.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.question import NONE, Answer
from loopbench.loadtests.behaviour.framework.servers import App, Apps, Build, Live, serve

__all__ = ["App", "Apps", "Build", "Live", "serve"]  # of the servers, handed on

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"

Work = Callable[[], Awaitable[object] | AsyncIterator[bytes]]
"""What a handler does: a coroutine function that gives its answer, which is sent as text, or an
async generator function that gives its pieces."""

Plain = Callable[[], object]
"""What plain code does."""

Way = Callable[[Plain], Awaitable[object]]
"""How an async handler has plain code run, such as asyncio.to_thread."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""A handler of aiohttp, and what a middleware is given as one."""

Around = Callable[[], AbstractContextManager[Any]]
"""What a handler has around its work, and around the sending of pieces."""


async def hello() -> str:
    """The work of a handler that is only there to be asked."""
    return "hello"


async def called(plain: Plain) -> object:
    """The way of an async handler that calls plain code on the loop."""
    return plain()


def asynchronous(plain: Plain) -> Callable[..., Any]:
    """A hook that calls it on the loop, whatever the hook is given."""

    async def hook(*_: Any) -> Any:
        return plain()

    return hook


kept: set[asyncio.Task[Any]] = set()
"""References to tasks that are not done yet, as asyncio asks for: those of the loop are weak."""


def begin(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """asyncio.create_task, and keep the task until it is done."""
    task = asyncio.create_task(coroutine)
    kept.add(task)
    task.add_done_callback(kept.discard)
    return task


async def wait_for_kept(*_: object) -> None:
    """A clean-up of either framework."""
    await asyncio.gather(*kept)


async def in_executor(plain: Plain) -> object:
    """The way through the loop's default executor."""
    return await asyncio.get_running_loop().run_in_executor(None, plain)


def aiohttp_app(*routes: web.AbstractRouteDef, **options: Any) -> web.Application:
    """An application of these routes, such as `web.get("/", handler)`. options: its own."""
    app = web.Application(**options)
    app.add_routes(routes)
    return app


def aiohttp_answering(
    works: Mapping[str, Work],
    around: Around = nullcontext,
    headers: Mapping[str, str] | None = None,
    *,
    sync: Mapping[str, Plain] | None = None,
) -> web.Application:
    """GET and POST of each path do its work.

    headers: of answers in pieces. sync: plain code by path, which an async handler has run in a
    thread: what is nearest to a sync route of Quart.
    """
    app = web.Application()

    async def handle(work: Work, request: web.Request) -> web.StreamResponse:
        made = work()
        if not isinstance(made, AsyncIterator):
            with around():
                return web.Response(text=str(await made))
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        with around():
            async for piece in made:
                await response.write(piece)
        return response

    threads = {path: partial(asyncio.to_thread, plain) for path, plain in (sync or {}).items()}
    answers: dict[str, Work] = {**works, **threads}
    for path, work in answers.items():
        handler = partial(handle, work)
        app.add_routes([web.get(path, handler), web.post(path, handler)])
    return app


def quart_answering(
    works: Mapping[str, Work],
    around: Around = nullcontext,
    headers: Mapping[str, str] | None = None,
    *,
    sync: Mapping[str, Plain] | None = None,
    **config: Any,
) -> Quart:
    """The same. sync: plain code by path, in sync routes. config: of the application."""
    app = Quart(__name__)
    app.config.update(config)

    async def handle(work: Work) -> Any:
        made = work()
        if not isinstance(made, AsyncIterator):
            with around():
                return str(await made)

        async def pieces() -> AsyncIterator[bytes]:
            with around():
                async for piece in made:
                    yield piece

        return pieces(), dict(headers or {})

    def handle_in_thread(plain: Plain) -> str:
        with around():
            return str(plain())

    routes: dict[str, Any] = {path: partial(handle, work) for path, work in works.items()}
    routes |= {path: partial(handle_in_thread, plain) for path, plain in (sync or {}).items()}
    for path, handler in routes.items():
        app.add_url_rule(path, path, handler, methods=["GET", "POST"])
    return app


ANSWERING: Apps = {AIOHTTP: aiohttp_answering, QUART: quart_answering}


def each(make: Callable[..., Any], *arguments: Any, **options: Any) -> dict[str, Build]:
    """Of each stack, an application that `make` builds by what answers there, and these."""
    return {
        stack: partial(make, answering, *arguments, **options)
        for stack, answering in ANSWERING.items()
    }


AWAITING = each(lambda answers, work: answers({"/": work}))
"""An async handler of / that does this."""

HELLO = each(lambda answers: answers({"/": hello}))
"""It says hello."""

CALLING = each(lambda answers, plain, way=called: answers({"/": partial(way, plain)}))
"""An async handler that has plain code run in that way."""

SYNC = each(lambda answers, plain: answers({}, sync={"/": plain}))
"""What runs plain code in a thread."""


def counterpart(names: Iterable[str], like: str, nearest: str) -> Answer:
    """What a stack has under names that fit a regular expression; or NONE, and what is nearest."""
    matches = ", ".join(name for name in names if re.fullmatch(like, name))
    return Answer(
        matches or NONE, f"names like {like}: {matches or 'none'}; the nearest is {nearest}"
    )


def asgi(layer: Callable[..., Coroutine[Any, Any, None]]) -> Callable[[Quart], None]:
    """ASGI middleware around a Quart application. layer: is given what was there before it, and
    then what every ASGI application is."""

    def install(app: Quart) -> None:
        app.asgi_app = partial(layer, app.asgi_app)  # type: ignore[method-assign]

    return install


def around_serving(app: App, context: Callable[..., AsyncIterator[None]]) -> None:
    """Have an async generator function run around all requests, with a yield between."""
    add = app.cleanup_ctx.append if isinstance(app, web.Application) else app.while_serving
    add(context)


def at_start(app: App, hook: Callable[..., Any]) -> None:
    """Have a coroutine function called when the application starts."""
    add = app.on_startup.append if isinstance(app, web.Application) else app.before_serving
    add(hook)


def at_end(app: App, hook: Callable[..., Any]) -> None:
    """Have a coroutine function called when the application ends."""
    add = app.on_cleanup.append if isinstance(app, web.Application) else app.after_serving
    add(hook)


PLAIN_CODE = {
    AIOHTTP: {"in a handler": CALLING[AIOHTTP], "through asyncio.to_thread": SYNC[AIOHTTP]},
    QUART: {"in an async route": CALLING[QUART], "in a sync route": SYNC[QUART]},
}
"""By stack, where plain code may be run."""


def named(applications: Apps, aiohttp: str, quart: str) -> dict[str, dict[str, Build]]:
    """By stack and setting, these applications under one setting each."""
    return {AIOHTTP: {aiohttp: applications[AIOHTTP]}, QUART: {quart: applications[QUART]}}


Adds = Mapping[str, Mapping[str, Callable[..., object]]]
"""Stack, setting, and what adds something to an application, such as a hook."""


def added(make: Build, add: Callable[..., object], *arguments: Any) -> App:
    """The application with that added, which is given the arguments, too."""
    app = make()
    add(app, *arguments)
    return app


def adding(table: Adds, applications: Apps = HELLO) -> dict[str, dict[str, Build]]:
    """By stack and setting, the application of that stack to which that was added."""
    return {
        stack: {setting: partial(added, applications[stack], add) for setting, add in adds.items()}
        for stack, adds in table.items()
    }


def answering(handler: Handler, *middlewares: Any) -> web.Application:
    """An aiohttp application whose GET / is that handler."""
    return aiohttp_app(web.get("/", handler), middlewares=middlewares)
