"""What a global-looking place for a request's state lives as long as."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web
from quart import Quart, g

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import NONE, Answer, Experiment, Question
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import hypercorn_server

Build = Callable[[Quart, Seen], None]


async def _look(seen: Seen) -> None:
    seen(f"found {g.get('user', 'nothing')}")


def next_request(app: Quart, seen: Seen) -> None:
    @app.get("/")
    async def store() -> str:
        g.user = "Ada"
        return ""

    @app.get("/look")
    async def look() -> str:
        await _look(seen)
        return ""


def before_serving(app: Quart, seen: Seen) -> None:
    @app.before_serving
    async def store() -> None:
        g.user = "Ada"

    @app.get("/look")
    async def look() -> str:
        await _look(seen)
        return ""


def teardown(app: Quart, seen: Seen) -> None:
    @app.get("/look")
    async def store() -> str:
        g.user = "Ada"
        return ""

    @app.teardown_appcontext
    async def after(_: BaseException | None) -> None:
        if "user" in g:
            await _look(seen)


def called_coroutine(app: Quart, seen: Seen) -> None:
    @app.get("/look")
    async def store() -> str:
        g.user = "Ada"
        await _look(seen)
        return ""


def background_task(app: Quart, seen: Seen) -> None:
    @app.get("/look")
    async def store() -> str:
        g.user = "Ada"
        app.add_background_task(_look, seen)
        return ""


def app_context(app: Quart, seen: Seen) -> None:
    @app.get("/look")
    async def store() -> str:
        g.user = "Ada"
        async with app.app_context():
            await _look(seen)
        return ""


PLACES: dict[str, Build] = {
    "in a coroutine that the handler awaits": called_coroutine,
    "in teardown_appcontext": teardown,
    "in the next request": next_request,
    "set in before_serving": before_serving,
    "in app.add_background_task": background_task,
    "in a new app_context": app_context,
}


def on_quart(build: Build) -> Answer:
    """Whether what was put into g is found in another place."""
    app, seen = Quart(__name__), Seen()
    build(app, seen)
    with hypercorn_server(app) as server, Wire(server.port) as wire:
        for target in ("/", "/look"):  # on one connection, so that it is not that which ends g
            wire.request("GET", target)
            wire.answer()
        if not (seen.wait("found Ada", 0.5) or seen.wait("found nothing")):
            return Answer("nobody looked", f"events: {', '.join(seen.events) or 'none'}")
    found = "found" if "found Ada" in seen else "not found"
    return Answer(found, f"where it was looked for: {', '.join(seen.events)}")


def on_aiohttp(find: Callable[[], Awaitable[None]] | None = None) -> Answer:
    """Whether aiohttp has one at all."""
    has = [
        name for name in ("g", "current_app", "request", "current_request") if hasattr(web, name)
    ]
    if has:
        return Answer(f"there is {', '.join(has)}", f"aiohttp.web has {', '.join(has)}")
    return Answer(
        NONE,
        "aiohttp.web has no g, current_app or request; the nearest thing is request[key], or a "
        "context variable of one's own",
    )


QUESTION = Question(
    asks="Where is found what was put into `g`?",
    experiments=(
        Experiment("aiohttp", "g", on_aiohttp),
        *(
            Experiment("quart-hypercorn", name, partial(on_quart, build))
            for name, build in PLACES.items()
        ),
    ),
    follows={
        "found": "Here `g` is the same one as in the handler.",
        "not found": "Here `g` is another, empty one: pass on as an argument what is needed; what "
        "is to last belongs on the application.",
        NONE: "Pass the request on, or set a `contextvars.ContextVar` in a middleware.",
    },
)
