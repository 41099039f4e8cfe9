"""Saves whose client leaves: unprotected, and behind each of the protections that people name.

A save writes two lines into a file, three tenths of a second before each: far longer than the
leaving of the client, and its being told, take on a busy machine (with a tenth of a second a
handler that is cancelled once had saved the first line). The
client leaves when the first step has begun. What has become of the save is
read from the file when the handler and all that was begun have come to an end.

Then the same saves when the server is stopped in the middle of them, read from the file when it has
stopped.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiojobs
import aiojobs.aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from quart import current_app

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, App, Build, Live
from loopbench.loadtests.behaviour.asking import Answer, experiment
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.framework.crowd import Inside
from loopbench.loadtests.behaviour.talking import Leaving, Wire, as_seen, received, requesting, seen

SETTLED_BOUND_S, STOP_BOUND_S = 10.0, 15.0
"""Many times what a save takes."""

STEP_S = 0.5
"""Of a save at a stop, which takes far longer than a stop that does not wait for it."""

SHORT_S = 0.1
"""A bound that is set to a wait, far shorter than such a save."""

SAVED = {0: "lost", 1: "half saved", 2: "saved"}
"""What a number of lines in the file means."""


FILE = Path("saves")
"""In a folder of the experiment's own."""

busy = Inside()
"""All that has to come to an end beside the handler: saves and their steps."""


@contextmanager
def stepping(line: str) -> Iterator[None]:
    """Writes the line where the inside comes to its end."""
    seen(f"{line} step begun")
    with busy, seen.ends(f"{line} step"):
        yield
        with FILE.open("a") as file:
            file.write(f"{line}\n")


class Saving:
    """The save of this experiment. step_s: how long each of its two steps takes."""

    step_s = 0.3

    async def step(self, line: str) -> None:
        """One of the two steps."""
        with stepping(line):
            await asyncio.sleep(self.step_s)

    async def save(self) -> None:
        """Both steps, as one coroutine."""
        with busy:
            await self.step("first")
            await self.step("second")

    def save_blocking(self) -> str:
        """Both steps in plain code, for a thread."""
        with busy:
            for line in ("first", "second"):
                with stepping(line):
                    time.sleep(self.step_s)
        return "saved"


def lines() -> int:
    """How many steps are in the file."""
    return len(FILE.read_text().splitlines()) if FILE.exists() else 0


def settled() -> int:
    """The same, when all that was begun has come to an end. Raises TimeoutError."""
    seen.expect("over", "the handler never ended")
    until = time.monotonic() + SETTLED_BOUND_S
    while busy.now:
        if time.monotonic() > until:
            raise TimeoutError("the save did not come to an end")
        time.sleep(0.005)
    return lines()


saving = Saving()
schedulers: list[aiojobs.Scheduler] = []
"""aiojobs' scheduler, once the application has started."""

Way = Callable[[], Awaitable[object]]
"""What a handler awaits in order to have the save done."""


def application(
    answers: Build, way: Way, *, waiting: bool = False, wait_timeout: float = 60, **config: Any
) -> App:
    """POST / saves in that way.

    waiting: a clean-up waits for the tasks that are kept.
    wait_timeout: of aiojobs' scheduler. config: of Quart.
    """

    async def with_scheduler(_: object = None) -> AsyncGenerator[None, None]:
        async with aiojobs.Scheduler(wait_timeout=wait_timeout) as scheduler:
            schedulers.append(scheduler)
            yield

    async def handler() -> str:
        await way()
        return "saved"

    app = answers({"/": handler}, scene.handling, **config)
    apps.around_serving(app, with_scheduler)
    if waiting:
        apps.at_end(app, apps.wait_for_kept)
    return app


@contextmanager
def asked(begin: scene.Begin) -> Iterator[tuple[Live, Wire]]:
    """The server and the client of a save whose first step has begun. Raises TimeoutError."""
    with (
        tempfile.TemporaryDirectory() as folder,
        chdir(folder),
        requesting(begin(), "POST") as (server, wire),
    ):
        seen.expect("first step begun", "the save was never begun")
        yield server, wire


def fate(begin: scene.Begin, leaving: Leaving) -> Answer:
    """Ask for a save, leave in its first step, and see what became of save and handler."""
    with asked(begin) as (_, wire):
        wire.leave(leaving)
        saved = settled()
        client = f", the client {received(wire)}"
    ends = [event for event in seen.events if event.startswith("handler ")]
    evidence = f"{saved} of 2 lines in the file after {leaving.value}{client}"
    answer = f"{SAVED[saved]}, {' and '.join(ends)}"
    return as_seen(answer, evidence, scene.shown(scene.console()))


def saves(
    question: str,
    way: Way,
    also: str = "",
    stacks: Sequence[str] = (AIOHTTP, QUART),
    leavings: Sequence[Leaving] = tuple(Leaving),
) -> None:
    """Ask what becomes of a save in that way. also: what else is different, for the setting."""
    makes = apps.each(application, way)
    begins = scene.begins({stack: makes[stack] for stack in stacks}, also)
    scene.leaves(question, begins, leavings)(fate)


def and_more(way: Way) -> Way:
    """The handler awaits something else after it."""

    async def both() -> None:
        await way()
        await asyncio.sleep(5 * saving.step_s)

    return both


async def shield_each() -> None:
    await asyncio.shield(apps.begin(saving.step("first")))
    await asyncio.shield(apps.begin(saving.step("second")))


async def as_a_job() -> None:
    """What `atomic` does, written out: it is for aiohttp only."""
    job = await schedulers[0].spawn(saving.save())
    await job.wait()


AWAITED: dict[str, Way] = {
    "plain-await": saving.save,
    "shield": lambda: asyncio.shield(apps.begin(saving.save())),
    "create-task-with-await": lambda: asyncio.create_task(saving.save()),
    "aiojobs-shield": lambda: schedulers[0].shield(saving.save()),
    "to-thread": lambda: asyncio.to_thread(saving.save_blocking),
    "two-shielded-steps": shield_each,
}
BEGUN: dict[str, Way] = {
    "create-task-without-await": apps.asynchronous(lambda: apps.begin(saving.save())),
    "aiojobs-spawn": lambda: schedulers[0].spawn(saving.save()),
}
"""By question, what the handler awaits, and what it begins without waiting for it."""


background_task = apps.asynchronous(lambda: current_app.add_background_task(saving.save))
in_background_thread = apps.asynchronous(
    lambda: current_app.add_background_task(saving.save_blocking)
)
ON_AIOHTTP, ON_QUART, FIN = (AIOHTTP,), (QUART,), scene.FIN
MORE = "more to await after it"

for question, way in (AWAITED | BEGUN).items():
    saves(question, way)
for question, way in BEGUN.items():
    saves(question, and_more(way), MORE, leavings=FIN)
saves("background-task", background_task, stacks=ON_QUART)
saves("background-task", and_more(background_task), MORE, ON_QUART, FIN)
saves("background-task", in_background_thread, "a plain function", ON_QUART, FIN)
saves("two-shielded-steps", AWAITED["shield"], "one shield around both", leavings=FIN)
saves("aiojobs-atomic", as_a_job, stacks=ON_QUART)
# aiohttp has no sync routes: the nearest thing.
IN_THREAD = partial(apps.in_executor, saving.save_blocking)
saves("sync-route", IN_THREAD, "through run_in_executor", ON_AIOHTTP)


@experiment("background-task", AIOHTTP)
def look_for_background_tasks() -> Answer:
    nearest = "aiojobs, or a task of one's own that on_cleanup waits for"
    return apps.counterpart(dir(web.Application), ".*(background|task).*", nearest)


def aiohttp_atomic() -> web.Application:
    """The decorated handler saves; a middleware notes what the framework sees of it."""

    @aiojobs.aiohttp.atomic
    async def handler(_: web.Request) -> web.Response:
        await saving.save()
        seen("body of the handler finished")
        return web.Response(text="saved")

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        with scene.handling():
            return await handler(request)

    app = apps.aiohttp_app(web.post("/", handler), middlewares=[note])
    aiojobs.aiohttp.setup(app)
    return app


async def progress() -> AsyncIterator[bytes]:
    for line in ("first", "second"):
        await saving.step(line)
        yield f"{line} step saved\n".encode()


PLAIN_AWAIT, STREAMED = apps.each(application, saving.save), scene.doing(progress)
SYNC_ROUTE = partial(apps.quart_answering, {}, scene.handling, sync={"/": saving.save_blocking})

scene.leaves("plain-await", scene.not_told(PLAIN_AWAIT))(fate)
scene.leaves("aiojobs-atomic", scene.begins({AIOHTTP: aiohttp_atomic}))(fate)
scene.leaves("sync-route", scene.begins({QUART: SYNC_ROUTE}))(fate)
scene.leaves("streamed-answer", scene.begins(STREAMED))(fate)


def stop_meanwhile(begin: scene.Begin, leaves: bool) -> Answer:
    """Ask for a save, leave or stay, stop the server, and look at the file when it has stopped."""
    saving.step_s = STEP_S
    with asked(begin) as (server, wire):
        if leaves:
            wire.leave(Leaving.RST)
            seen.wait("handler cancelled", STEP_S / 5)
        if "second step finished" in seen:
            raise TimeoutError("the save was done before the stop")
        took_s = server.stop(STOP_BOUND_S)
        saved = lines()
    took = "the stop hangs" if took_s is None else f"the stop took {took_s:.2f} s"
    evidence = f"{saved} of 2 lines in the file when the server had stopped; {took}"
    return as_seen(SAVED[saved], evidence, scene.shown(scene.console()))


def row(
    question: str, stack: str, setting: str, way: Way, options: dict[str, Any], **kept: Any
) -> None:
    """Ask of a save in that way. options: of the server. kept: of the application."""
    begin = scene.serving(partial(SAVING[stack], way, **kept), **options)
    experiment(question, stack, setting, begin, leaves=STAYS not in setting)(stop_meanwhile)


SAVING = apps.each(application)
PLAIN, SHIELD, JOB = (AWAITED[way] for way in ("plain-await", "shield", "aiojobs-shield"))
KEPT, SPAWNED = (BEGUN[way] for way in ("create-task-without-await", "aiojobs-spawn"))
GONE, STAYS = "client gone", "client waits"
SHORT = f"wait_timeout={SHORT_S}"
ADDED, BOUND = "app.add_background_task", "BACKGROUND_TASK_SHUTDOWN_TIMEOUT"
IMPATIENT: dict[str, Any] = {BOUND: SHORT_S}

background = partial(row, "background-save-at-shutdown", options={})
shielded = partial(row, "shielded-save-at-shutdown")
for stack, hook, on, cancel, bound in (
    (AIOHTTP, "on_cleanup", "handler_cancellation=True, ", scene.CANCEL, "shutdown_timeout"),
    (QUART, "after_serving", "", {}, "graceful_timeout"),
):
    waits = f"{hook} awaits the tasks"
    background(stack, "create_task", KEPT)
    background(stack, f"create_task, {waits}", KEPT, waiting=True)
    background(stack, "aiojobs spawn", SPAWNED)
    background(stack, f"aiojobs spawn, {SHORT}", SPAWNED, wait_timeout=SHORT_S)
    shielded(stack, f"plain await, {GONE}", PLAIN, {})
    shielded(stack, f"{on}asyncio.shield, {GONE}", SHIELD, cancel)
    shielded(stack, f"{on}asyncio.shield, {GONE}, {waits}", SHIELD, cancel, waiting=True)
    shielded(stack, f"{on}aiojobs shield, {GONE}", JOB, cancel)
    shielded(stack, f"{on}aiojobs shield, {SHORT}, {GONE}", JOB, cancel, wait_timeout=SHORT_S)
    shielded(stack, f"asyncio.shield, {STAYS}", SHIELD, {})
    shielded(stack, f"asyncio.shield, {bound}={SHORT_S}, {STAYS}", SHIELD, {bound: SHORT_S})

background(QUART, ADDED, background_task)
background(QUART, f"{ADDED}, {BOUND}={SHORT_S}", background_task, **IMPATIENT)
shielded(AIOHTTP, f"asyncio.shield, {GONE}", SHIELD, {})
