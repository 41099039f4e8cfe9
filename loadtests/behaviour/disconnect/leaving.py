"""What all questions about clients that leave share: their rows, the console, and a remedy."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

from quart import Quart

from loopbench.loadtests.behaviour.applications import each
from loopbench.loadtests.behaviour.asking import Answer, experiment
from loopbench.loadtests.behaviour.framework.experiment import Ask, together
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, App, Live, Work, serve
from loopbench.loadtests.behaviour.talking import Leaving, NoAnswer, Seen, Wire

CANCEL: dict[str, Any] = {"handler_cancellation": True}
"""The switch of aiohttp's AppRunner."""

EMPTY_BODY = (("Content-Length", "0"),)

FIN = (Leaving.FIN,)

Begin = Callable[[Any], AbstractContextManager[Live]]
"""Runs an application on its server; the application reports to what it is given."""

Begins = list[tuple[str, str, Begin]]
"""Stack, setting without the way of leaving, and how it is run."""


def serving(application: Callable[[Any], App], **options: Any) -> Begin:
    """Run that application; options: of its server."""
    return lambda noting: serve(application(noting), **options)


def named(*parts: str) -> str:
    """A setting of these parts, of which some may be blank."""
    return ", ".join(filter(None, parts))


Make = Callable[[Any], App]


def both(
    works: Callable[[Any], Mapping[str, Work]],
    around: Callable[[Any], AbstractContextManager[Any]] = nullcontext,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Make]:
    """An application of each stack that does the same work.

    works, around: of what the application reports to. headers: of answers in pieces.
    """
    return each(lambda answers, noting: answers(works(noting), partial(around, noting), headers))


def on_aiohttp(make: Make, setting: str = "", **options: Any) -> Begins:
    """As it is, and with its cancellation setting on."""
    on = named("handler_cancellation=True", setting)
    plain, cancelling = serving(make, **options), serving(make, **options, **CANCEL)
    return [(AIOHTTP, setting, plain), (AIOHTTP, on, cancelling)]


def begins(makes: Mapping[str, Make], setting: str = "") -> Begins:
    """aiohttp as it is, aiohttp with its cancellation setting on, and Quart."""
    return [*on_aiohttp(makes[AIOHTTP], setting), (QUART, setting, serving(makes[QUART]))]


def leaves(
    question: str, begins: Begins, leavings: Iterable[Leaving] = tuple(Leaving)
) -> Callable[[Ask], Ask]:
    """A row for each server and each way of leaving, which the function is given."""
    return together(
        experiment(question, stack, named(setting, how.value), begin, how)
        for stack, setting, begin in begins
        for how in leavings
    )


Body = Callable[[Seen], Awaitable[object]]
"""What a handler awaits; it reports `begun` first."""


def handling(seen: Seen) -> AbstractContextManager[None]:
    """The inside of a handler: notes how it ends, and that it is over."""
    return seen.ends("handler", "over")


def awaiting(body: Body) -> dict[str, Make]:
    """An application of each stack whose handler awaits it."""
    return both(lambda seen: {"/": partial(body, seen)}, handling)


def with_body(body: Body, setting: str = "") -> Begins:
    """A row for each of them."""
    return begins(awaiting(body), setting)


def leave(wire: Wire, seen: Seen, leaving: Leaving) -> None:
    """Go away once the handler has begun. Raises TimeoutError where it does not begin."""
    seen.expect("begun", "the handler was never begun")
    wire.leave(leaving)


def received(wire: Wire, bound_s: float = 2.0) -> str:
    """What a client that has only half-closed gets to read."""
    with suppress(NoAnswer, ConnectionError):
        return f"gets {wire.answer(bound_s).status}"
    try:
        rest = wire.rest(bound_s)
    except NoAnswer:
        return "gets nothing, and the connection stays open"
    return f"gets {len(rest)} bytes and the end" if rest else "gets nothing but the end"


@contextmanager
def console() -> Iterator[Callable[[], list[str]]]:
    """Collect standard output and standard error, of all threads; gives the lines so far.

    Below Python, so that a handler that has kept the stream is heard too. What was
    collected is handed on afterwards.
    """
    with tempfile.TemporaryFile() as file:
        kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
        for descriptor in kept:
            os.dup2(file.fileno(), descriptor)

        def lines() -> list[str]:
            sys.stdout.flush()
            sys.stderr.flush()
            size = os.fstat(file.fileno()).st_size
            return os.pread(file.fileno(), size, 0).decode(errors="replace").splitlines()

        try:
            yield lines
        finally:
            written = lines()
            for descriptor, copy in kept.items():
                os.dup2(copy, descriptor)
                os.close(copy)
            for line in written:
                print(line, file=sys.stderr)


def shown(lines: list[str]) -> str:
    """These lines in a few words: how many, and the last, which names the exception."""
    if not lines:
        return "the console shows nothing"
    if len(lines) == 1:
        return f"the console shows the line {lines[0].strip()!r}"
    return f"the console shows {len(lines)} lines, the last is {lines[-1].strip()!r}"


WITHHELD = "http.disconnect withheld by an ASGI middleware"


def withheld(app: Quart) -> Quart:
    """The application in an ASGI middleware that hands on everything but `http.disconnect`.

    In place of it, it sets an event, which handlers find in the scope.
    """
    inner = app.asgi_app

    async def around(scope: Any, receive: Any, send: Any) -> None:
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

    app.asgi_app = around  # type: ignore[method-assign]
    return app


def not_told(makes: Mapping[str, Make], setting: str = "") -> Begins:
    """Quart, which is not told; setting: what else is different."""
    make = makes[QUART]
    return [(QUART, named(setting, WITHHELD), serving(lambda noting: withheld(make(noting))))]


Judge = Callable[[Seen], str]
"""The answer, given what was seen."""


def judged(question: str, *rows: Any) -> Callable[[Judge], Judge]:
    """GET /, leave while the handler works, and have judged what was seen when it was over.

    rows: as `leaves` has them.
    """
    written = leaves(question, *rows)

    def register(judge: Judge) -> Judge:
        def ask(begin: Begin, leaving: Leaving) -> Answer:
            seen = Seen()
            with console() as lines:
                with begin(seen) as server, Wire(server.port) as wire:
                    wire.request("GET", "/")
                    leave(wire, seen, leaving)
                    seen.expect("over", "the handler never ended")
                return Answer(judge(seen), f"{seen.line}; {shown(lines())}")

        written(ask)
        return judge

    return register
