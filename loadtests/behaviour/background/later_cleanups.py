"""Several clean-ups, of which one raises."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager

from loopbench.loadtests.behaviour.background.tasks import aiohttp_app, quart_app
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server


def _broken() -> None:
    raise RuntimeError("this clean-up is broken")


def on_cleanup(seen: Seen) -> AbstractContextManager[Live]:
    app = aiohttp_app()

    async def first(_: object) -> None:
        seen("first")

    async def second(_: object) -> None:
        seen("second")
        _broken()

    async def third(_: object) -> None:
        seen("third")

    app.on_cleanup.extend([first, second, third])
    return aiohttp_server(app)


def cleanup_ctx(seen: Seen) -> AbstractContextManager[Live]:
    app = aiohttp_app()

    async def first(_: object) -> AsyncGenerator[None, None]:
        yield
        seen("first")

    async def second(_: object) -> AsyncGenerator[None, None]:
        yield
        seen("second")
        _broken()

    async def third(_: object) -> AsyncGenerator[None, None]:
        yield
        seen("third")

    app.cleanup_ctx.extend([first, second, third])
    return aiohttp_server(app)


def after_serving(seen: Seen) -> AbstractContextManager[Live]:
    app = quart_app()

    @app.after_serving
    async def first() -> None:
        seen("first")

    @app.after_serving
    async def second() -> None:
        seen("second")
        _broken()

    @app.after_serving
    async def third() -> None:
        seen("third")

    return hypercorn_server(app)


def while_serving(seen: Seen) -> AbstractContextManager[Live]:
    app = quart_app()

    @app.while_serving
    async def first() -> AsyncGenerator[None, None]:
        yield
        seen("first")

    @app.while_serving
    async def second() -> AsyncGenerator[None, None]:
        yield
        seen("second")
        _broken()

    @app.while_serving
    async def third() -> AsyncGenerator[None, None]:
        yield
        seen("third")

    return hypercorn_server(app)


def ask(begin: Callable[[Seen], AbstractContextManager[Live]]) -> Answer:
    """The three clean-ups are registered in this order, and the second one raises."""
    seen = Seen()
    with begin(seen) as server:
        try:
            stopped = server.stop(15.0)
        except BaseException as error:
            raised = f"the stop raises {type(error).__name__}"
        else:
            raised = "the stop hangs" if stopped is None else "the stop raises nothing"
    ran = seen.events
    skipped = [name for name in ("first", "second", "third") if name not in ran]
    told = f"{' and '.join(skipped)} skipped" if skipped else "none skipped"
    return Answer(
        f"{told}, {raised}", f"they ran in the order {', '.join(ran)}; the second raised; {raised}"
    )


QUESTION = Question(
    asks="Are later clean-ups skipped when one of them raises?",
    experiments=(
        Experiment("aiohttp", "on_cleanup", lambda: ask(on_cleanup)),
        Experiment("aiohttp", "cleanup_ctx", lambda: ask(cleanup_ctx)),
        Experiment("quart-hypercorn", "after_serving", lambda: ask(after_serving), bound_s=30),
        Experiment("quart-hypercorn", "while_serving", lambda: ask(while_serving), bound_s=30),
    ),
    claims=(
        Claim(
            "Every clean-up runs, whatever the others do.",
            {"none skipped*": Agrees.YES, "*skipped*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "none skipped*": "Independent clean-ups may stay separate.",
        "*skipped*": "Let no clean-up raise: catch and log inside each, or put all of them into "
        "one `AsyncExitStack`.",
    },
)
