"""What the Questions about saves share: a save in two steps, and its fate.

A save writes two lines into a file, a tenth of a second before each. The
client leaves when the first step has begun. What has become of the save is
read from the file when the handler and all that was begun have come to an end.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiojobs
from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.disconnect.console import console, shown
from loopbench.loadtests.behaviour.disconnect.leaving import (
    CANCELLING,
    EMPTY_BODY,
    LEAVINGS,
    Begin,
    begins,
    eventually,
    received,
    rows,
)
from loopbench.loadtests.behaviour.disconnect.withheld import ASGI
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

STEP_S = 0.1
SAVED = {0: "lost", 1: "half saved", 2: "saved"}
"""What a number of lines in the file means."""


@dataclass(frozen=True, slots=True)
class Saving:
    """One save. file: where its lines go. step_s: how long each of its two steps takes.

    kept: references to tasks, as asyncio asks for.
    """

    file: Path
    step_s: float = STEP_S
    seen: Seen = field(default_factory=Seen)
    kept: set[asyncio.Task[None]] = field(default_factory=set)
    under_way: list[str] = field(default_factory=list)

    async def step(self, line: str) -> None:
        """One of the two steps."""
        with self._begun(f"{line} step"):
            await asyncio.sleep(self.step_s)
            self._write(line)

    async def save(self) -> None:
        """Both steps, as one coroutine."""
        self.under_way.append("save")
        try:
            await self.step("first")
            await self.step("second")
        finally:
            self.under_way.remove("save")

    def save_blocking(self) -> None:
        """Both steps in plain code, for a thread."""
        self.under_way.append("save")
        try:
            for line in ("first", "second"):
                with self._begun(f"{line} step"):
                    time.sleep(self.step_s)
                    self._write(line)
        finally:
            self.under_way.remove("save")

    def keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """Hold a reference until the task is done: the loop holds a weak one only."""
        self.kept.add(task)
        task.add_done_callback(self.kept.discard)
        return task

    @property
    def lines(self) -> int:
        """How many steps are in the file."""
        return len(self.file.read_text().splitlines()) if self.file.exists() else 0

    @contextmanager
    def handling(self) -> Iterator[None]:
        """The inside of a handler: notes how it ends."""
        self.under_way.append("handler")
        try:
            yield
            self.seen("handler finished")
        except asyncio.CancelledError:
            self.seen("handler cancelled")
            raise
        except Exception as error:
            self.seen(f"handler ended by {type(error).__name__}")
            raise
        finally:
            self.under_way.remove("handler")

    @property
    def handler(self) -> str:
        """How the handler ended."""
        ends = [event for event in self.seen.events if event.startswith("handler ")]
        return " and ".join(ends) or "handler never ended"

    @contextmanager
    def _begun(self, what: str) -> Iterator[None]:
        self.under_way.append(what)
        self.seen(f"{what} begun")
        try:
            yield
        except asyncio.CancelledError:
            self.seen(f"{what} cancelled")
            raise
        finally:
            self.under_way.remove(what)

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


def and_more(way: Way) -> Way:
    """The way, and then something else to await before the answer."""

    async def more(saving: Saving, scope: Scope) -> None:
        await way(saving, scope)
        await asyncio.sleep(5 * saving.step_s)

    return more


def on_aiohttp(
    saving: Saving, way: Way, *, waiting: bool = False, wait_timeout: float = 60, **options: Any
) -> AbstractContextManager[Live]:
    """POST / saves in that way.

    waiting: on_cleanup waits for the tasks that are kept. wait_timeout: of aiojobs' scheduler.
    options: of AppRunner.
    """
    key = web.AppKey("scheduler", aiojobs.Scheduler)

    async def handler(request: web.Request) -> web.Response:
        with saving.handling():
            await way(saving, Scope(request.app[key], None))
        return web.Response(text="saved")

    async def with_scheduler(app: web.Application) -> AsyncIterator[None]:
        async with aiojobs.Scheduler(wait_timeout=wait_timeout) as app[key]:
            yield

    async def wait_for_kept(_: web.Application) -> None:
        await asyncio.gather(*saving.kept)

    app = web.Application()
    app.cleanup_ctx.append(with_scheduler)
    if waiting:
        app.on_cleanup.append(wait_for_kept)
    app.router.add_post("/", handler)
    return aiohttp_server(app, **options)


def on_quart(
    saving: Saving,
    way: Way,
    *,
    asgi: Callable[[ASGI], ASGI] | None = None,
    waiting: bool = False,
    wait_timeout: float = 60,
    config: dict[str, Any] | None = None,
    **options: Any,
) -> AbstractContextManager[Live]:
    """POST / saves in that way.

    asgi: a middleware. waiting: after_serving waits for the tasks that are kept.
    wait_timeout: of aiojobs' scheduler. config: of Quart. options: of Hypercorn's Config.
    """
    app = Quart(__name__)
    app.config.update(config or {})

    @app.while_serving
    async def with_scheduler() -> AsyncGenerator[None, None]:
        async with aiojobs.Scheduler(wait_timeout=wait_timeout) as app.extensions["scheduler"]:
            yield

    @app.post("/")
    async def handler() -> str:
        with saving.handling():
            await way(saving, Scope(app.extensions["scheduler"], app.add_background_task))
        return "saved"

    async def wait_for_kept() -> None:
        await asyncio.gather(*saving.kept)

    if waiting:
        app.after_serving(wait_for_kept)
    if asgi is not None:
        app.asgi_app = asgi(app.asgi_app)  # type: ignore[method-assign, assignment]
    return hypercorn_server(app, **options)


def fate(begin: Begin[Saving], leaving: Leaving) -> Answer:
    """Ask for a save, leave in its first step, and see what became of save and handler."""
    with tempfile.TemporaryDirectory() as folder, console() as lines:
        saving = Saving(Path(folder) / "saves")
        with begin(saving) as server, Wire(server.port) as wire:
            wire.request("POST", "/", EMPTY_BODY)
            if not saving.seen.wait("first step begun"):
                raise TimeoutError("the save was never begun")
            wire.leave(leaving)
            if not eventually(lambda: not saving.under_way):
                raise TimeoutError(f"{', '.join(saving.under_way)} did not come to an end")
            saved = saving.lines
            client = f", the client {received(wire)}" if leaving is Leaving.HALF_CLOSE else ""
        return Answer(
            f"{SAVED[saved]}, {saving.handler}",
            f"{saved} of 2 lines in the file after {leaving.value}{client}; "
            f"{', '.join(saving.seen.events)}; {shown(lines())}",
        )


def experiments(
    way: Way,
    *,
    stacks: tuple[str, ...] = ("aiohttp", "quart-hypercorn"),
    leavings: tuple[Leaving, ...] = tuple(Leaving),
    also: str = "",
) -> tuple[Experiment, ...]:
    """Each stack, each way of leaving; aiohttp with its cancellation setting on, too.

    also: what else is different, for the setting.
    """
    each = begins(partial(on_aiohttp, way=way), partial(on_quart, way=way), also)
    return rows(fate, [one for one in each if one[0] in stacks], leavings)


def where_cancelled(said: str, verdicts: dict[str, Agrees]) -> tuple[Claim, ...]:
    """What is said of a protection, judged where there is something to protect from."""
    return (
        Claim(said, verdicts, ("aiohttp",), CANCELLING),
        Claim(said, verdicts, ("quart-hypercorn",), LEAVINGS),
    )


def question(
    asks: str,
    way: Way,
    claims: tuple[Claim, ...] = (),
    follows: dict[str, str] | None = None,
    more: tuple[Experiment, ...] = (),
) -> Question:
    """A Question about one way of saving."""
    return Question(asks, (*experiments(way), *more), claims, follows or {})
