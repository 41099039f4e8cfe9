"""Saves whose client leaves: unprotected, and behind each of the protections that people name.

A save writes two lines into a file, a tenth of a second before each. The
client leaves when the first step has begun. What has become of the save is
read from the file when the handler and all that was begun have come to an end.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiojobs
import aiojobs.aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from quart import current_app

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.asking import NONE, Answer, experiment
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.serving import AIOHTTP, ANSWERING, QUART, App, Build, Live
from loopbench.loadtests.behaviour.talking import Leaving, Wire, as_seen, received, requesting, seen

SETTLED_BOUND_S = 10.0
"""Many times what a save takes."""

SAVED = {0: "lost", 1: "half saved", 2: "saved"}
"""What a number of lines in the file means."""


class Saving:
    """The save of this experiment. step_s: how long each of its two steps takes.

    file: where its lines go.
    """

    step_s = 0.1
    file = Path()

    def __init__(self) -> None:
        self._under_way: list[str] = []

    async def step(self, line: str) -> None:
        """One of the two steps."""
        with self._stepping(line):
            await asyncio.sleep(self.step_s)

    async def save(self) -> None:
        """Both steps, as one coroutine."""
        with self.under_way("save"):
            await self.step("first")
            await self.step("second")

    def save_blocking(self) -> str:
        """Both steps in plain code, for a thread."""
        with self.under_way("save"):
            for line in ("first", "second"):
                with self._stepping(line):
                    time.sleep(self.step_s)
        return "saved"

    @property
    def lines(self) -> int:
        """How many steps are in the file."""
        return len(self.file.read_text().splitlines()) if self.file.exists() else 0

    def settled(self) -> int:
        """The same, when all that was begun has come to an end. Raises TimeoutError."""
        until = time.monotonic() + SETTLED_BOUND_S
        while self._under_way:
            if time.monotonic() > until:
                raise TimeoutError(f"{', '.join(self._under_way)} did not come to an end")
            time.sleep(0.005)
        return self.lines

    @contextmanager
    def under_way(self, what: str) -> Iterator[None]:
        """The inside of what has to come to an end, such as a handler."""
        self._under_way.append(what)
        try:
            yield
        finally:
            self._under_way.remove(what)

    @contextmanager
    def _stepping(self, line: str) -> Iterator[None]:
        """Writes the line where the inside comes to its end."""
        seen(f"{line} step begun")
        with self.under_way(f"{line} step"), seen.ends(f"{line} step"):
            yield
            with self.file.open("a") as file:
                file.write(f"{line}\n")


saving = Saving()
schedulers: list[aiojobs.Scheduler] = []
"""aiojobs' scheduler, once the application has started."""

Way = Callable[[], Awaitable[object]]
"""What a handler awaits in order to have the save done."""


@contextmanager
def handling() -> Iterator[None]:
    """The inside of a handler: notes how it ends."""
    with saving.under_way("handler"), seen.ends("handler"):
        yield


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

    app = answers({"/": handler}, handling, **config)
    apps.around_serving(app, with_scheduler)
    if waiting:
        apps.at_end(app, apps.wait_for_kept)
    return app


@contextmanager
def asked(begin: scene.Begin) -> Iterator[tuple[Live, Wire]]:
    """The server and the client of a save whose first step has begun. Raises TimeoutError."""
    with tempfile.TemporaryDirectory() as folder:
        saving.file = Path(folder) / "saves"
        with requesting(begin(), "POST") as (server, wire):
            seen.expect("first step begun", "the save was never begun")
            yield server, wire


def fate(begin: scene.Begin, leaving: Leaving) -> Answer:
    """Ask for a save, leave in its first step, and see what became of save and handler."""
    with asked(begin) as (_, wire):
        wire.leave(leaving)
        saved = saving.settled()
        client = f", the client {received(wire)}"
    ends = [event for event in seen.events if event.startswith("handler ")]
    told = f"{saved} of 2 lines in the file after {leaving.value}{client}"
    answer = f"{SAVED[saved]}, {' and '.join(ends) or 'handler never ended'}"
    return as_seen(answer, told, scene.shown(scene.console()))


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
        async def and_more() -> None:
            await way()
            await asyncio.sleep(5 * saving.step_s)

        makes = apps.each(application, and_more if more else way)
        rows = scene.begins({stack: makes[stack] for stack in stacks}, also)
        scene.leaves(question, rows, leavings)(fate)
        return way

    return register


AWAITED: dict[str, Way] = {
    "plain-await": saving.save,
    "shield": lambda: asyncio.shield(apps.begin(saving.save())),
    "create-task-with-await": lambda: asyncio.create_task(saving.save()),
    "aiojobs-shield": lambda: schedulers[0].shield(saving.save()),
    "to-thread": lambda: asyncio.to_thread(saving.save_blocking),
}
"""By question, what the handler awaits."""

for question, awaited in AWAITED.items():
    saves(question)(awaited)

PLAIN_AWAIT = apps.each(application, saving.save)
scene.leaves("plain-await", scene.not_told(PLAIN_AWAIT))(fate)

MORE = "more to await after it"


@saves("create-task-without-await")
@saves("create-task-without-await", MORE, leavings=scene.FIN, more=True)
async def task_kept() -> None:
    apps.begin(saving.save())


@saves("aiojobs-spawn")
@saves("aiojobs-spawn", MORE, leavings=scene.FIN, more=True)
async def aiojobs_spawn() -> None:
    await schedulers[0].spawn(saving.save())


@saves("background-task", stacks=(QUART,))
@saves("background-task", MORE, stacks=(QUART,), leavings=scene.FIN, more=True)
async def background_task() -> None:
    current_app.add_background_task(saving.save)


@saves("background-task", "a plain function", stacks=(QUART,), leavings=scene.FIN)
async def background_thread() -> None:
    """Plain code is run in a thread."""
    current_app.add_background_task(saving.save_blocking)


@experiment("background-task", AIOHTTP)
def look_for_background_tasks() -> Answer:
    found = [name for name in dir(web.Application) if "background" in name or "task" in name]
    if found:
        return Answer(", ".join(found), "the application has these")
    return Answer(NONE, "the nearest is aiojobs, or a task of one's own that on_cleanup waits for")


@saves("two-shielded-steps")
async def shield_each() -> None:
    await asyncio.shield(apps.begin(saving.step("first")))
    await asyncio.shield(apps.begin(saving.step("second")))


@saves("two-shielded-steps", "one shield around both", leavings=scene.FIN)
async def shield_both() -> None:
    """The remedy: a coroutine of both steps."""
    await asyncio.shield(apps.begin(saving.save()))


def aiohttp_atomic() -> web.Application:
    """The decorated handler saves; a middleware notes what the framework sees of it."""

    @aiojobs.aiohttp.atomic
    async def handler(_: web.Request) -> web.Response:
        await saving.save()
        seen("body of the handler finished")
        return web.Response(text="saved")

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        with handling():
            return await handler(request)

    app = apps.aiohttp_app(web.post("/", handler), middlewares=[note])
    aiojobs.aiohttp.setup(app)
    return app


@saves("aiojobs-atomic", stacks=(QUART,))
async def as_a_job() -> None:
    """What `atomic` does, written out: it is for aiohttp only."""
    job = await schedulers[0].spawn(saving.save())
    await job.wait()


@saves("sync-route", "through run_in_executor", stacks=(AIOHTTP,))
async def executor() -> None:
    """aiohttp has no sync routes: the nearest thing."""
    await apps.in_executor(saving.save_blocking)


def sync_route() -> App:
    return ANSWERING[QUART]({}, handling, sync={"/": saving.save_blocking})


async def progress() -> AsyncIterator[bytes]:
    for line in ("first", "second"):
        await saving.step(line)
        yield f"{line} step saved\n".encode()


scene.leaves("aiojobs-atomic", scene.begins({AIOHTTP: aiohttp_atomic}))(fate)
scene.leaves("sync-route", scene.begins({QUART: sync_route}))(fate)
scene.leaves("streamed-answer", scene.begins(scene.doing(progress, handling)))(fate)
