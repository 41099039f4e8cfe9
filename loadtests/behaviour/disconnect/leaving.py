"""What all questions about clients that leave share: their rows, the console, and a remedy."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, Apps, Around, Build, Work
from loopbench.loadtests.behaviour.asking import Answer, experiment
from loopbench.loadtests.behaviour.framework.experiment import Ask, together
from loopbench.loadtests.behaviour.talking import Leaving, Wire, as_seen, requesting, seen

CANCEL: dict[str, Any] = {"handler_cancellation": True}
"""The switch of aiohttp's AppRunner."""

FIN = (Leaving.FIN,)

Begin = Callable[[], AbstractContextManager[apps.Live]]
"""Runs an application on its server."""

Begins = list[tuple[str, str, Begin]]
"""Stack, setting without the way of leaving, and how it is run."""


def serving(make: Build, **options: Any) -> Begin:
    """Run that application; options: of its server."""
    return lambda: apps.serve(make(), **options)


def named(*parts: str) -> str:
    """A setting of these parts, of which some may be blank."""
    return ", ".join(filter(None, parts))


def handling() -> AbstractContextManager[None]:
    """The inside of a handler: notes how it ends, and that it is over."""
    return seen.ends("handler", "over")


def doing(work: Work, around: Around = handling, headers: Mapping[str, str] | None = None) -> Apps:
    """Of each stack, an application whose handler does this. headers: of answers in pieces."""
    return apps.each(lambda answers: answers({"/": work}, around, headers))


def begins(makes: Apps, setting: str = "", **options: Any) -> Begins:
    """Each stack as it is, and aiohttp with its cancellation setting on, too."""
    rows = [(stack, setting, serving(make, **options)) for stack, make in makes.items()]
    if AIOHTTP in makes:
        cancelling = serving(makes[AIOHTTP], **options, **CANCEL)
        rows.insert(1, (AIOHTTP, named("handler_cancellation=True", setting), cancelling))
    return rows


def leaves(
    question: str, begins: Begins, leavings: Iterable[Leaving] = tuple(Leaving)
) -> Callable[[Ask], Ask]:
    """A row for each server and each way of leaving, which the function is given."""
    return together(
        experiment(question, stack, named(setting, how.value), begin, how)
        for stack, setting, begin in begins
        for how in leavings
    )


def leave(wire: Wire, leaving: Leaving) -> None:
    """Go away once the handler has begun. Raises TimeoutError where it does not begin."""
    seen.expect("begun", "the handler was never begun")
    wire.leave(leaving)


def console() -> list[str]:
    """The lines so far on standard output and standard error, of all threads.

    The process of an experiment has both in one file. It is read below Python, so that a handler
    that has kept the stream is heard too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    return os.pread(1, os.fstat(1).st_size, 0).decode(errors="replace").splitlines()


def shown(lines: list[str]) -> str:
    """These lines in a few words: how many, and the last, which names the exception."""
    if not lines:
        return "the console shows nothing"
    if len(lines) == 1:
        return f"the console shows the line {lines[0].strip()!r}"
    return f"the console shows {len(lines)} lines, the last is {lines[-1].strip()!r}"


WITHHELD = "http.disconnect withheld by an ASGI middleware"


@apps.asgi
async def withhold(inner: Any, scope: Any, receive: Any, send: Any) -> None:
    """Hands on everything but `http.disconnect`. In place of it, it sets an event, which handlers
    find in the scope."""
    left = asyncio.Event()

    async def patient() -> Any:
        message = await receive()
        if message["type"] == "http.disconnect":
            left.set()
            # Until whoever waits for messages is cancelled, since the handler is done.
            await asyncio.Event().wait()
        return message

    if scope["type"] == "http":
        scope["extensions"]["client_left"] = {"event": left}
    await inner(scope, patient, send)


def not_told(makes: Apps, setting: str = "") -> Begins:
    """Quart, which is not told; setting: what else is different."""
    return begins({QUART: partial(apps.added, makes[QUART], withhold)}, named(setting, WITHHELD))


def judged(question: str, *rows: Any) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """GET /, leave while the handler works, and have judged what was seen when it was over.

    rows: as `leaves` has them. The function decorated gives the answer.
    """
    written = leaves(question, *rows)

    def register(judge: Callable[[], str]) -> Callable[[], str]:
        def ask(begin: Begin, leaving: Leaving) -> Answer:
            with requesting(begin()) as (_, wire):
                leave(wire, leaving)
                seen.expect("over", "the handler never ended")
            return as_seen(judge(), shown(console()))

        written(ask)
        return judge

    return register
