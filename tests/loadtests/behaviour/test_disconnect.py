"""What becomes of a request whose client leaves: with the setting the answer turns round."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator

import pytest

from loopbench.loadtests.behaviour.applications import each
from loopbench.loadtests.behaviour.disconnect.detection import kinds
from loopbench.loadtests.behaviour.disconnect.leaving import console, serving, shown
from loopbench.loadtests.behaviour.disconnect.saving import application, fate, saving
from loopbench.loadtests.behaviour.framework.process import Nursery
from loopbench.loadtests.behaviour.framework.question import Answer, Key
from loopbench.loadtests.behaviour.framework.raw_client import Leaving

Said = Callable[..., str]

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"
FIN, RST, HALF_CLOSE = (leaving.value for leaving in Leaving)
ON = "handler_cancellation=True"
WITHHELD = "http.disconnect withheld by an ASGI middleware"
GRACE = "for ever, grace time 1 s"

EACH_WAY = ("plain-await", "shield", "is-disconnected-check", "request-body-unread")
"""Questions that are asked here with each way of leaving; the others with FIN."""


async def _half() -> None:
    """Ends happily after the first step."""
    await saving.step("first")


async def _fails() -> None:
    await saving.step("first")
    raise ValueError("no second step")


async def _swallows() -> None:
    try:
        await saving.step("first")
    finally:
        await saving.step("second")


WAYS = {"half": _half, "fails": _fails, "swallows": _swallows}


def ask_odd(key: Key) -> Answer:
    """The fate of a save that goes another way than those of the Questions."""
    way, server, _ = key
    makes = each(application, WAYS[way])
    if server == QUART:
        return fate(serving(makes[QUART]), Leaving.FIN)
    return fate(serving(makes[AIOHTTP], handler_cancellation=server == ON), Leaving.FIN)


@pytest.fixture(scope="module")
def odd() -> Iterator[Nursery]:
    """Asks for saves in odd ways."""
    with Nursery(ask_odd) as asker:
        yield asker


@pytest.mark.parametrize(
    ("way", "server", "answer", "on_console"),
    [
        ("half", AIOHTTP, "half saved, handler finished", False),
        ("fails", AIOHTTP, "half saved, handler ended by ValueError", True),
        ("swallows", ON, "half saved, handler cancelled", False),
        ("swallows", QUART, "half saved, handler cancelled", False),
    ],
)
def test_a_fate_is_read_from_the_file_and_the_console(
    odd: Nursery, way: str, server: str, answer: str, on_console: bool
) -> None:
    """Not from what the handler says of itself."""
    outcome = odd.ask((way, server, ""), 20.0)
    assert outcome.answer is not None, outcome.problem
    assert outcome.answer.answer == answer
    assert "1 of 2 lines in the file" in outcome.answer.evidence
    assert ("the console shows nothing" in outcome.answer.evidence) is not on_console


def ask_console(_: Key) -> Answer:
    """Write below Python, in a thread and by a handler that keeps the stream; and read it."""
    os.write(1, b"one\n")
    thread = threading.Thread(target=os.write, args=(2, b"two\n"))
    thread.start()
    thread.join()
    with os.fdopen(2, "w", closefd=False) as kept:
        record = logging.LogRecord("x", logging.WARNING, "", 0, "three", (), None)
        logging.StreamHandler(kept).emit(record)
    return Answer(", ".join(console()), "was read")


def test_the_console_is_heard_below_python() -> None:
    """Of threads and of handlers that keep the stream; it is handed on afterwards."""
    with Nursery(ask_console) as asker:
        outcome = asker.ask(("console", "", ""), 20.0)
    assert outcome.answer is not None, outcome.problem
    assert outcome.answer.answer == "one, two, three"
    assert outcome.output.splitlines() == ["one", "two", "three"]


def test_the_console_in_words() -> None:
    """The last line names the exception."""
    assert shown([]) == "the console shows nothing"
    assert shown([" a "]) == "the console shows the line 'a'"
    assert shown(["a", " b "]) == "the console shows 2 lines, the last is 'b'"


def test_lines_of_a_log_are_told_apart() -> None:
    """What asyncio says of itself is left out, and each kind is told once."""
    access = '127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] "POST / HTTP/1.1" 200 0 "-" "-"'
    hypercorn = '[INFO] 127.0.0.1:1 - - [01/Jan/2026:00:00:00 +0000] "POST / 1.1" - - "-" "-"'
    assert kinds([f"INFO:aiohttp.access:{access}"]) == ["access line, status 200"]
    assert kinds([hypercorn]) == ["access line, status -"]
    assert kinds(["DEBUG:asyncio:x", "DEBUG:aiohttp.server:x", "DEBUG:aiohttp.server:y"]) == [
        "DEBUG of aiohttp.server"
    ]
    assert kinds(["Traceback (most recent call last):"]) == ["a line beside the log"]
