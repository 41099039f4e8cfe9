"""Saves whose client leaves: unprotected, and behind each of the protections that people name.

A save writes two lines into a file, a tenth of a second before each. The
client leaves when the first step has begun. What has become of the save is
read from the file when the handler and all that was begun have come to an end.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiojobs
import aiojobs.aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from quart import current_app

from loopbench.loadtests.behaviour.applications import aiohttp_app, around_serving, at_end, each
from loopbench.loadtests.behaviour.asking import NONE, Answer, experiment
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.serving import AIOHTTP, ANSWERING, QUART, App, Build, Live
from loopbench.loadtests.behaviour.talking import Leaving, Seen, Wire

STEP_S = 0.1
SETTLED_BOUND_S = 10.0
"""Many times what a save takes."""

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
        with self._stepping(line):
            await asyncio.sleep(self.step_s)

    async def save(self) -> None:
        """Both steps, as one coroutine."""
        with self._under_way("save"):
            await self.step("first")
            await self.step("second")

    def save_blocking(self) -> str:
        """Both steps in plain code, for a thread."""
        with self._under_way("save"):
            for line in ("first", "second"):
                with self._stepping(line):
                    time.sleep(self.step_s)
        return "saved"

    def keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """Hold a reference until the task is done: the loop holds a weak one only."""
        self.kept.add(task)
        task.add_done_callback(self.kept.discard)
        return task

    async def wait_for_kept(self, _: object = None) -> None:
        """A clean-up of either framework."""
        await asyncio.gather(*self.kept)

    @property
    def lines(self) -> int:
        """How many steps are in the file."""
        return len(self.file.read_text().splitlines()) if self.file.exists() else 0

    def settled(self) -> int:
        """The same, when all that was begun has come to an end. Raises TimeoutError."""
        until = time.monotonic() + SETTLED_BOUND_S
        while self.under_way:
            if time.monotonic() > until:
                raise TimeoutError(f"{', '.join(self.under_way)} did not come to an end")
            time.sleep(0.005)
        return self.lines

    @contextmanager
    def handling(self) -> Iterator[None]:
        """The inside of a handler: notes how it ends."""
        with self._under_way("handler"), self.seen.ends("handler"):
            yield

    @property
    def handler(self) -> str:
        """How the handler ended."""
        ends = [event for event in self.seen.events if event.startswith("handler ")]
        return " and ".join(ends) or "handler never ended"

    @contextmanager
    def _under_way(self, what: str) -> Iterator[None]:
        self.under_way.append(what)
        try:
            yield
        finally:
            self.under_way.remove(what)

    @contextmanager
    def _stepping(self, line: str) -> Iterator[None]:
        """Writes the line where the inside comes to its end."""
        with self._under_way(f"{line} step"):
            self.seen(f"{line} step begun")
            try:
                yield
            except asyncio.CancelledError:
                self.seen(f"{line} step cancelled")
                raise
            with self.file.open("a") as file:
                file.write(f"{line}\n")
            self.seen(f"{line} step saved")


Way = Callable[[Saving, aiojobs.Scheduler], Awaitable[None]]
"""What a handler awaits in order to have the save done; it can reach the scheduler."""


def application(
    answers: Build,
    way: Way,
    saving: Saving,
    *,
    waiting: bool = False,
    wait_timeout: float = 60,
    **config: Any,
) -> App:
    """POST / saves in that way.

    waiting: a clean-up waits for the tasks that are kept.
    wait_timeout: of aiojobs' scheduler. config: of Quart.
    """
    schedulers: list[aiojobs.Scheduler] = []

    async def with_scheduler(_: object = None) -> AsyncGenerator[None, None]:
        async with aiojobs.Scheduler(wait_timeout=wait_timeout) as scheduler:
            schedulers.append(scheduler)
            yield

    async def handler() -> str:
        await way(saving, schedulers[0])
        return "saved"

    app = answers({"/": handler}, saving.handling, **config)
    around_serving(app, with_scheduler)
    if waiting:
        at_end(app, saving.wait_for_kept)
    return app


@contextmanager
def asked(begin: scene.Begin, step_s: float = STEP_S) -> Iterator[tuple[Saving, Live, Wire]]:
    """A save whose first step has begun, its server and its client. Raises TimeoutError."""
    with tempfile.TemporaryDirectory() as folder:
        saving = Saving(Path(folder) / "saves", step_s)
        with begin(saving) as server, Wire(server.port) as wire:
            wire.request("POST", "/", scene.EMPTY_BODY)
            saving.seen.expect("first step begun", "the save was never begun")
            yield saving, server, wire


def fate(begin: scene.Begin, leaving: Leaving) -> Answer:
    """Ask for a save, leave in its first step, and see what became of save and handler."""
    with scene.console() as lines:
        with asked(begin) as (saving, _, wire):
            wire.leave(leaving)
            saved = saving.settled()
            half = leaving is Leaving.HALF_CLOSE
            client = f", the client {scene.received(wire)}" if half else ""
        return Answer(
            f"{SAVED[saved]}, {saving.handler}",
            f"{saved} of 2 lines in the file after {leaving.value}{client}; "
            f"{saving.seen.line}; {scene.shown(lines())}",
        )


def saves(
    question: str,
    also: str = "",
    *,
    stacks: tuple[str, ...] = (AIOHTTP, QUART),
    leavings: tuple[Leaving, ...] = tuple(Leaving),
    more: bool = False,
) -> Callable[[Way], Way]:
    """Ask what becomes of a save in the decorated way.

    Each stack, each way of leaving; aiohttp with its cancellation setting on, too. also: what
    else is different, for the setting. more: the handler awaits something else after the way.
    """

    def register(way: Way) -> Way:
        async def and_more(saving: Saving, scheduler: aiojobs.Scheduler) -> None:
            await way(saving, scheduler)
            await asyncio.sleep(5 * saving.step_s)

        rows = scene.begins(each(application, and_more if more else way), also)
        scene.leaves(question, [row for row in rows if row[0] in stacks], leavings)(fate)
        return way

    return register


MORE = "more to await after it"


@saves("plain-await")
async def plain_await(saving: Saving, _: aiojobs.Scheduler) -> None:
    await saving.save()


scene.leaves("plain-await", scene.not_told(each(application, plain_await)))(fate)


@saves("shield")
async def shield(saving: Saving, _: aiojobs.Scheduler) -> None:
    await asyncio.shield(saving.keep(asyncio.create_task(saving.save())))


@saves("two-shielded-steps")
async def shield_each(saving: Saving, _: aiojobs.Scheduler) -> None:
    await asyncio.shield(saving.keep(asyncio.create_task(saving.step("first"))))
    await asyncio.shield(saving.keep(asyncio.create_task(saving.step("second"))))


@saves("two-shielded-steps", "one shield around both", leavings=scene.FIN)
async def shield_both(saving: Saving, _: aiojobs.Scheduler) -> None:
    """The remedy."""

    async def both() -> None:
        await saving.step("first")
        await saving.step("second")

    await asyncio.shield(saving.keep(asyncio.create_task(both())))


@saves("create-task-with-await")
async def task_awaited(saving: Saving, _: aiojobs.Scheduler) -> None:
    await asyncio.create_task(saving.save())


@saves("create-task-without-await")
@saves("create-task-without-await", MORE, leavings=scene.FIN, more=True)
async def task_kept(saving: Saving, _: aiojobs.Scheduler) -> None:
    saving.keep(asyncio.create_task(saving.save()))


@saves("aiojobs-shield")
async def aiojobs_shield(saving: Saving, scheduler: aiojobs.Scheduler) -> None:
    await scheduler.shield(saving.save())


@saves("aiojobs-spawn")
@saves("aiojobs-spawn", MORE, leavings=scene.FIN, more=True)
async def aiojobs_spawn(saving: Saving, scheduler: aiojobs.Scheduler) -> None:
    await scheduler.spawn(saving.save())


def aiohttp_atomic(saving: Saving) -> web.Application:
    """The decorated handler saves; a middleware notes what the framework sees of it."""

    @aiojobs.aiohttp.atomic
    async def handler(_: web.Request) -> web.Response:
        await saving.save()
        saving.seen("body of the handler finished")
        return web.Response(text="saved")

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        with saving.handling():
            return await handler(request)

    app = aiohttp_app(web.post("/", handler), middlewares=[note])
    aiojobs.aiohttp.setup(app)
    return app


scene.leaves("aiojobs-atomic", scene.on_aiohttp(aiohttp_atomic))(fate)


@saves("aiojobs-atomic", stacks=(QUART,))
async def as_a_job(saving: Saving, scheduler: aiojobs.Scheduler) -> None:
    """What `atomic` does, written out: it is for aiohttp only."""
    job = await scheduler.spawn(saving.save())
    await job.wait()


@experiment("background-task", AIOHTTP)
def look_for_background_tasks() -> Answer:
    found = [name for name in dir(web.Application) if "background" in name or "task" in name]
    if found:
        return Answer(", ".join(found), "the application has these")
    return Answer(
        NONE,
        "web.Application has no such method; the nearest thing is aiojobs, or a task of one's "
        "own that on_cleanup waits for",
    )


@saves("background-task", stacks=(QUART,))
@saves("background-task", MORE, stacks=(QUART,), leavings=scene.FIN, more=True)
async def background_task(saving: Saving, _: aiojobs.Scheduler) -> None:
    current_app.add_background_task(saving.save)


@saves("background-task", "a plain function", stacks=(QUART,), leavings=scene.FIN)
async def background_thread(saving: Saving, _: aiojobs.Scheduler) -> None:
    """Plain code is run in a thread."""
    current_app.add_background_task(saving.save_blocking)


@saves("to-thread")
async def to_thread(saving: Saving, _: aiojobs.Scheduler) -> None:
    await asyncio.to_thread(saving.save_blocking)


@saves("sync-route", "through run_in_executor", stacks=(AIOHTTP,))
async def in_executor(saving: Saving, _: aiojobs.Scheduler) -> None:
    """aiohttp has no sync routes: the nearest thing."""
    await asyncio.get_running_loop().run_in_executor(None, saving.save_blocking)


def sync_route(saving: Saving) -> App:
    return ANSWERING[QUART]({}, saving.handling, sync={"/": saving.save_blocking})


scene.leaves("sync-route", [(QUART, "", scene.serving(sync_route))])(fate)


async def progress(saving: Saving) -> AsyncIterator[bytes]:
    for line in ("first", "second"):
        await saving.step(line)
        yield f"{line} step saved\n".encode()


STREAMED = scene.both(lambda saving: {"/": partial(progress, saving)}, Saving.handling)
scene.leaves("streamed-answer", scene.begins(STREAMED))(fate)
