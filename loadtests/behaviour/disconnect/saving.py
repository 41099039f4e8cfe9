"""What the Questions about clients that leave share: a save in two steps, and its fate.

A save writes two lines into a file, a tenth of a second before each. The
client leaves when the first step has begun. What has become of the save is
read from the file after the handler has ended and the save has had ample time.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiojobs
from aiohttp import web
from quart import Quart

from loadtests.behaviour.question import Answer, Claim, Experiment, Question
from loadtests.behaviour.seen import Seen
from loadtests.behaviour.served import Live, aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import Leaving, Wire

STEP_S = 0.1
NOTICED_S = 1.5
"""How long the end of a handler is waited for, and after it the end of a save: many times what
either takes."""


@dataclass(frozen=True, slots=True)
class Saving:
    """One save. file: where its lines go. kept: references to tasks, as asyncio asks for."""

    file: Path
    seen: Seen = field(default_factory=Seen)
    kept: set[asyncio.Task[None]] = field(default_factory=set)

    async def step(self, line: str) -> None:
        """One of the two steps."""
        self.seen(f"{line} step begun")
        await asyncio.sleep(STEP_S)
        self._write(line)

    async def save(self) -> None:
        """Both steps, as one coroutine."""
        await self.step("first")
        await self.step("second")

    def save_blocking(self) -> None:
        """Both steps in plain code, for a thread."""
        for line in ("first", "second"):
            self.seen(f"{line} step begun")
            time.sleep(STEP_S)
            self._write(line)

    def keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """Hold a reference until the task is done: the loop holds a weak one only."""
        self.kept.add(task)
        task.add_done_callback(self.kept.discard)
        return task

    @property
    def lines(self) -> int:
        """How many steps are in the file."""
        return len(self.file.read_text().splitlines()) if self.file.exists() else 0

    def _write(self, line: str) -> None:
        with self.file.open("a") as file:
            file.write(f"{line}\n")
        self.seen(f"{line} step saved")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a handler can reach. background: the framework's own, where it has one."""

    scheduler: aiojobs.Scheduler
    background: Callable[..., None] | None


Way = Callable[[Saving, Scope], Awaitable[None]]
"""What a handler awaits in order to have the save done."""


async def _handled(saving: Saving, scope: Scope, way: Way) -> None:
    """The inside of every handler: the way, and a note of how it ended."""
    try:
        await way(saving, scope)
        saving.seen("handler finished")
    except asyncio.CancelledError:
        saving.seen("handler cancelled")
        raise


def on_aiohttp(saving: Saving, way: Way, **options: Any) -> AbstractContextManager[Live]:
    """POST / saves in that way. options: of AppRunner."""
    key = web.AppKey("scheduler", aiojobs.Scheduler)

    async def handler(request: web.Request) -> web.Response:
        await _handled(saving, Scope(request.app[key], None), way)
        return web.Response(text="saved")

    async def with_scheduler(app: web.Application) -> AsyncIterator[None]:
        app[key] = aiojobs.Scheduler()
        yield
        await app[key].wait_and_close()

    app = web.Application()
    app.cleanup_ctx.append(with_scheduler)
    app.router.add_post("/", handler)
    return aiohttp_server(app, **options)


def on_quart(saving: Saving, way: Way, **options: Any) -> AbstractContextManager[Live]:
    """POST / saves in that way. options: of Hypercorn."""
    app = Quart(__name__)
    held: list[aiojobs.Scheduler] = []

    @app.before_serving
    async def begin() -> None:
        held.append(aiojobs.Scheduler())

    @app.after_serving
    async def end() -> None:
        await held[0].wait_and_close()

    @app.post("/")
    async def handler() -> str:
        await _handled(saving, Scope(held[0], app.add_background_task), way)
        return "saved"

    return hypercorn_server(app, **options)


Serve = Callable[..., AbstractContextManager[Live]]


def fate(serve: Callable[[Saving], AbstractContextManager[Live]], leaving: Leaving) -> Answer:
    """Ask for a save, leave in its first step, and see what became of save and handler."""
    with tempfile.TemporaryDirectory() as folder:
        saving = Saving(Path(folder) / "saves")
        with serve(saving) as server, Wire(server.port) as wire:
            wire.request("POST", "/", [("Content-Length", "0")])
            if not saving.seen.wait("first step begun"):
                raise TimeoutError("the save was never begun")
            wire.leave(leaving)
            cancelled = saving.seen.wait("handler cancelled", NOTICED_S)
            saving.seen.wait("second step saved", NOTICED_S)
            return _answer(saving, cancelled, leaving)


def _answer(saving: Saving, cancelled: bool, leaving: Leaving) -> Answer:
    saved = {0: "lost", 1: "half saved", 2: "saved"}[saving.lines]
    if cancelled:
        handler = "handler cancelled"
    elif "handler finished" in saving.seen:
        handler = "handler finished"
    else:
        handler = "handler never ended"
    return Answer(
        f"{saved}, {handler}",
        f"{saving.lines} of 2 lines in the file after the client left by {leaving.value}; "
        f"{', '.join(saving.seen.events)}",
    )


def experiments(
    way: Way, *, stacks: tuple[str, ...] = ("aiohttp", "quart-hypercorn")
) -> tuple[Experiment, ...]:
    """Each stack, each way of leaving; aiohttp with its cancellation setting on, too."""
    rows: tuple[tuple[str, str, Serve, dict[str, Any]], ...] = (
        ("aiohttp", "", on_aiohttp, {}),
        ("aiohttp", "handler_cancellation=True, ", on_aiohttp, {"handler_cancellation": True}),
        ("quart-hypercorn", "", on_quart, {}),
    )
    return tuple(
        Experiment(
            stack,
            f"{setting}{leaving.value}",
            partial(fate, partial(serve, way=way, **options), leaving),
        )
        for stack, setting, serve, options in rows
        if stack in stacks
        for leaving in Leaving
    )


def question(
    asks: str, way: Way, claims: tuple[Claim, ...] = (), follows: dict[str, str] | None = None
) -> Question:
    """A Question about one way of saving."""
    return Question(asks, experiments(way), claims, follows or {})
