"""The work behind the routes, the same code for every stack. Imports no framework.

A stack takes the pieces of a request out of its framework's objects, calls a
function here and turns the Answer into its framework's response.
"""

from __future__ import annotations

import asyncio
import html
import itertools
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import cache
from http import HTTPStatus
from typing import Any, NamedTuple, NoReturn

from loopbench.servers.contract.content import (
    ERROR_PHRASES,
    HTML,
    JSON,
    TEXT,
    dumps,
    error_body,
)
from loopbench.servers.contract.limits import (
    WAIT_MS_LIMIT,
    WORK_MS_LIMIT,
)

LOG = logging.getLogger("servers")
"""Where the traceback of a failed request goes, whatever the stack."""


class Answer(NamedTuple):
    """What a route answers. `allow` is the value of the Allow header, where there is one.

    One is made for every request, and a frozen dataclass sets its fields one by one, at several
    times the cost.
    """

    status: int
    content_type: str
    body: bytes
    allow: str | None = None


class Refused(Exception):
    """The request cannot be answered as it asks; `status` is what it is answered with.

    reason: goes into the answer, where the status alone does not say what is wrong.
    """

    def __init__(self, status: int, reason: str | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.reason = reason


_BURN_STEPS = 200
"""Loop steps between two looks at the clock, which is a system call."""

_INDEX = Answer(200, HTML, b"<h1>Index</h1>")
_PLAIN = Answer(200, TEXT, b"Hello, world")

_BY_ITSELF = frozenset({"HEAD", "OPTIONS"})
"""Methods that a framework adds to a route; OPTIONS by Flask before 3.1, whatever it is told."""


def pause(wait_ms: str | int) -> Awaitable[None]:
    """What the routes that wait have to await before they answer: the query parameter as it was
    sent, or the application's default as a number. Raises Refused(400).

    No coroutine function: one more coroutine would cost a fast framework's request one per cent.
    """
    duration_ms = wait_ms if isinstance(wait_ms, int) else _milliseconds(wait_ms, WAIT_MS_LIMIT)
    return asyncio.sleep(duration_ms / 1000)


def index() -> Answer:
    """The same answer every time."""
    return _INDEX


def hello(name: str) -> Answer:
    """`name` is the decoded path parameter."""
    return Answer(200, HTML, f"<h1>hello, {html.escape(name)}!</h1>".encode())


def plain() -> Answer:
    """The same answer every time."""
    return _PLAIN


def where_am_i() -> Answer:
    """The loop and the thread that this very call runs on."""
    try:
        loop: str | None = repr(asyncio.get_running_loop())
    except RuntimeError:
        loop = None
    return as_json({"event_loop": loop, "thread": threading.current_thread().name})


def echo_query(pairs: Iterable[tuple[str, str]]) -> Answer:
    """All values of each key; keys in the order of their first appearance."""
    return as_json({"query": _grouped(pairs)})


def echo_form(pairs: Iterable[tuple[str, str]]) -> Answer:
    """As `echo_query`. Uploaded files are left out by the caller."""
    return as_json({"form": _grouped(pairs)})


def echo_json(body: bytes) -> Answer:
    """The document that was sent, written again.

    Raises Refused(400) for what is not JSON in UTF-8, and for what cannot be
    represented here: a too deep nesting, an integer of too many digits, a
    number beyond a float's range.
    """
    try:
        return as_json({"json": _STRICT.decode(body.decode())})
    except (ValueError, RecursionError) as error:
        raise Refused(400) from error


def routes(listing: Iterable[tuple[str, str]]) -> Answer:
    """`listing`: method and path (parameters as `{name}`) of each route in the router."""
    rows = sorted((path, method) for method, path in listing if method not in _BY_ITSELF)
    return as_json([{"method": method, "path": path} for path, method in rows])


def fail() -> NoReturn:
    """What goes wrong in `GET /error`."""
    raise RuntimeError("this route always fails")


def refused(refusal: Refused) -> Answer:
    """The answer to a request that was refused."""
    if refusal.reason is None:
        return error(refusal.status)
    body = {"error": ERROR_PHRASES[refusal.status], "reason": refusal.reason}
    return Answer(refusal.status, JSON, dumps(body))


def error(status: int, allowed: Iterable[str] | None = None) -> Answer:
    """The answer to a request that failed; `allowed` are the methods of a 405."""
    allow = None if allowed is None else ", ".join(sorted(allowed))
    if status in ERROR_PHRASES:
        return Answer(status, JSON, error_body(status), allow)
    # Beyond the contract, where a framework refuses for reasons of its own.
    return Answer(status, JSON, dumps({"error": HTTPStatus(status).phrase}), allow)


def failed(method: str, path: str, cause: BaseException) -> Answer:
    """The answer to a request whose handler raised; the traceback is logged, once."""
    LOG.error("%s %s failed", method, path, exc_info=cause)
    return error(500)


async def sleep_async(ms: str | None) -> Answer:
    """Await for `ms`, the query parameter as it was sent. Raises Refused(400)."""
    duration_ms = _milliseconds(ms, WORK_MS_LIMIT)
    await asyncio.sleep(duration_ms / 1000)
    return as_json({"ms": duration_ms})


def sleep_sync(ms: str | None) -> Answer:
    """Hold the calling thread for `ms` without using the CPU. Raises Refused(400)."""
    duration_ms = _milliseconds(ms, WORK_MS_LIMIT)
    time.sleep(duration_ms / 1000)
    return as_json({"ms": duration_ms})


def burn(ms: str | None) -> Answer:
    """Use `ms` of the calling thread's CPU time in pure Python, which holds the GIL.

    CPU time and not wall time, so that the work is the same however many
    threads want the GIL meanwhile. Raises Refused(400).
    """
    duration_ms = _milliseconds(ms, WORK_MS_LIMIT)
    until = time.thread_time_ns() + duration_ms * 1_000_000
    while time.thread_time_ns() < until:
        for _ in range(_BURN_STEPS):
            pass
    return as_json({"ms": duration_ms})


def layers(count: int) -> Answer:
    """How many layers a request has passed."""
    return as_json({"layers": count})


async def save(protect: str | None) -> Answer:
    """Save in two steps with a turn of the loop between them, protected in the way that the
    query parameter names. Raises Refused(400) for a way that there is none of."""
    if protect not in _WAYS_TO_SAVE:
        raise Refused(400)
    await _WAYS_TO_SAVE[protect]()
    return as_json({"saved": protect})


async def _both_steps() -> None:
    _write(b"first\n")
    await asyncio.sleep(0)
    _write(b"second\n")


def _both_steps_blocking() -> None:
    _write(b"first\n")
    _write(b"second\n")


async def _shielded() -> None:
    await asyncio.shield(_kept(_both_steps()))


async def _in_a_task() -> None:
    _kept(_both_steps())


async def _in_a_thread() -> None:
    await asyncio.to_thread(_both_steps_blocking)


_WAYS_TO_SAVE: dict[str | None, Callable[[], Awaitable[None]]] = {
    "none": _both_steps,
    "shield": _shielded,
    "task": _in_a_task,
    "thread": _in_a_thread,
}
_tasks: set[asyncio.Task[None]] = set()


def _kept(save: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task, with the reference to it that asyncio asks for."""
    task = asyncio.get_running_loop().create_task(save)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


_SAVES_BYTES = 1 << 20


@cache
def _saves() -> int:
    """A file without a name, for as long as the process lives."""
    descriptor, name = tempfile.mkstemp()
    os.unlink(name)
    return descriptor


_places = itertools.count()


def _write(line: bytes) -> None:
    """A real write, at a place that comes round, so that the file stays small under load."""
    os.pwrite(_saves(), line, next(_places) * 8 % _SAVES_BYTES)


EXAMPLE = {"a": [1, "é"]}
"""Written by each stack for `Serving.in_force`, to see that they write JSON alike."""


def example() -> Answer:
    """EXAMPLE as a route would answer it."""
    return as_json(EXAMPLE)


def as_json(value: Any) -> Answer:
    """The value as JSON, status 200."""
    return Answer(200, JSON, dumps(value))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_STRICT = json.JSONDecoder(parse_constant=_refuse_constant)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return values


_DIGITS = {limit: len(str(limit)) for limit in (WAIT_MS_LIMIT, WORK_MS_LIMIT)}


def _milliseconds(text: str | None, limit: int) -> int:
    """A query parameter as a whole number from 0 to `limit`. Raises Refused(400), also for None."""
    # int() alone would take signs, spaces, underscores and other scripts' digits.
    if text is None or not (text.isascii() and text.isdecimal()):
        raise Refused(400)
    if len(text) > _DIGITS[limit] or (milliseconds := int(text)) > limit:
        raise Refused(400)
    return milliseconds
