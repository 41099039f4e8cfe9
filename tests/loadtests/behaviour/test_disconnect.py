"""What becomes of a request whose client leaves: with the setting the answer turns round."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest

from loopbench.loadtests.behaviour.disconnect.console import console, shown
from loopbench.loadtests.behaviour.disconnect.left_in_log import told
from loopbench.loadtests.behaviour.disconnect.saving import (
    Saving,
    Scope,
    fate,
    on_aiohttp,
    on_quart,
)
from loopbench.loadtests.behaviour.framework.catalogue import experiments
from loopbench.loadtests.behaviour.framework.process import Nursery, Outcome, nursery
from loopbench.loadtests.behaviour.framework.question import DEFAULT, NONE, Answer
from loopbench.loadtests.behaviour.framework.raw_client import Leaving
from loopbench.loadtests.behaviour.framework.scheduler import ask_all
from loopbench.loadtests.behaviour.framework.servers import Live

Said = Callable[..., str]

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"
FIN, RST, HALF_CLOSE = (leaving.value for leaving in Leaving)
ON = "handler_cancellation=True"
WITHHELD = "http.disconnect withheld by an ASGI middleware"
GRACE = "for ever, grace time 1 s"

EACH_WAY = ("plain-await", "shield", "is-disconnected-check", "request-body-unread")
"""Questions that are asked here with each way of leaving; the others with FIN."""


def _quick(question: str, setting: str) -> bool:
    if question == "two-stores":  # has a test of its own, with fewer clients
        return False
    if setting == f"{GRACE}, {FIN}":
        return False
    return question in EACH_WAY or not setting.endswith((RST, HALF_CLOSE))


@pytest.fixture(scope="module")
def outcomes() -> dict[tuple[str, str, str], Outcome]:
    """Of all that is asked here, each in a process of its own."""
    wanted = [
        one
        for one in experiments().values()
        if one.topic == "disconnect"
        and _quick(one.name.removeprefix("disconnect."), one.experiment.setting)
    ]
    return {one.key: outcome for one, outcome in ask_all(wanted)}


@pytest.fixture(scope="module")
def said(outcomes: dict[tuple[str, str, str], Outcome]) -> Said:
    """The answer to a question of a stack, by its setting."""

    def answer(question: str, stack: str, setting: str = FIN) -> str:
        outcome = outcomes[f"disconnect.{question}", stack, setting]
        assert outcome.answer is not None, outcome.problem
        return outcome.answer.answer

    return answer


def test_every_one_is_answered_in_one_line(
    outcomes: dict[tuple[str, str, str], Outcome],
) -> None:
    """None is cut or fails; answers and evidence are lines that are not blank."""
    assert [(key, one.problem) for key, one in outcomes.items() if one.answer is None] == []
    for key, outcome in outcomes.items():
        assert outcome.answer is not None
        for text in (outcome.answer.answer, outcome.answer.evidence):
            assert text.strip() and "\n" not in text, key


@pytest.mark.parametrize(
    "question", ["plain-await", "shield", "create-task-with-await", "to-thread", "aiojobs-atomic"]
)
def test_the_switch_of_aiohttp_cancels_the_handler(said: Said, question: str) -> None:
    """Without it, it runs to its end, and the save with it."""
    assert said(question, AIOHTTP) == "saved, handler finished"
    assert said(question, AIOHTTP, f"{ON}, {FIN}").endswith(", handler cancelled")


@pytest.mark.parametrize("leaving", [FIN, RST, HALF_CLOSE])
def test_the_way_of_leaving_makes_no_difference_to_a_save(said: Said, leaving: str) -> None:
    """A half-closed client is taken for one that has left."""
    for question in ("plain-await", "shield"):
        for stack, setting in ((AIOHTTP, ""), (AIOHTTP, f"{ON}, "), (QUART, "")):
            answer = said(question, stack, setting + leaving)
            assert answer == said(question, stack, setting + FIN)


@pytest.mark.parametrize("leaving", [FIN, RST, HALF_CLOSE])
def test_quart_cancels_because_it_is_told_of_the_disconnect(said: Said, leaving: str) -> None:
    """Kept from it, it finishes what it has begun."""
    assert said("plain-await", QUART, leaving) == "lost, handler cancelled"
    assert said("plain-await", QUART, f"{WITHHELD}, {leaving}") == "saved, handler finished"


@pytest.mark.parametrize(("stack", "setting"), [(AIOHTTP, f"{ON}, {FIN}"), (QUART, FIN)])
@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("plain-await", "lost"),
        ("create-task-with-await", "lost"),
        ("two-shielded-steps", "half saved"),
        ("shield", "saved"),
        ("aiojobs-shield", "saved"),
        ("aiojobs-atomic", "saved"),
        ("to-thread", "saved"),
    ],
)
def test_a_protection_shows_where_the_handler_is_cancelled(
    said: Said, stack: str, setting: str, question: str, answer: str
) -> None:
    """Some protect, some only seem to."""
    assert said(question, stack, setting) == f"{answer}, handler cancelled"


@pytest.mark.parametrize(
    "question", ["create-task-without-await", "aiojobs-spawn", "background-task"]
)
def test_what_nobody_waits_for_is_saved_whatever_becomes_of_the_handler(
    said: Said, question: str
) -> None:
    """It is cancelled at what it awaits next, where there is such a thing."""
    assert said(question, QUART) == "saved, handler finished"
    assert said(question, QUART, f"more to await after it, {FIN}") == "saved, handler cancelled"


def test_one_shield_around_both_steps_keeps_the_second(said: Said) -> None:
    """As the advice has it."""
    for stack, setting in ((AIOHTTP, f"{ON}, "), (QUART, "")):
        around = said("two-shielded-steps", stack, f"{setting}one shield around both, {FIN}")
        assert around == "saved, handler cancelled"


def test_a_sync_route_of_quart_is_not_reached_by_the_cancellation(said: Said) -> None:
    """Made async, it is."""
    assert said("sync-route", QUART) == "saved, handler finished"
    assert said("plain-await", QUART) == "lost, handler cancelled"


def test_writing_breaks_a_save_that_nothing_else_disturbs(said: Said) -> None:
    """On aiohttp, which otherwise leaves it alone."""
    answer = said("streamed-answer", AIOHTTP)
    assert answer == "half saved, handler ended by ClientConnectionResetError"
    assert said("streamed-answer", AIOHTTP, f"{ON}, {FIN}") == "lost, handler cancelled"


@pytest.mark.parametrize("stack", [AIOHTTP, QUART])
def test_a_transaction_leaves_nothing_half_done(said: Said, stack: str) -> None:
    """Two commits do."""
    setting = f"{ON}, " if stack == AIOHTTP else ""
    each = said("save-in-transaction", stack, f"{setting}a commit for each row, {FIN}")
    one = said("save-in-transaction", stack, f"{setting}one transaction, {FIN}")
    assert (each, one) == ("half saved, handler cancelled", "lost, handler cancelled")


@pytest.mark.parametrize(
    ("question", "stack", "kept", "lost"),
    [
        (
            "shielded-save-at-shutdown",
            AIOHTTP,
            f"{ON}, asyncio.shield, client gone, on_cleanup awaits the tasks",
            f"{ON}, asyncio.shield, client gone",
        ),
        (
            "shielded-save-at-shutdown",
            AIOHTTP,
            f"{ON}, aiojobs shield, client gone",
            f"{ON}, aiojobs shield, wait_timeout=0.1, client gone",
        ),
        (
            "shielded-save-at-shutdown",
            AIOHTTP,
            "asyncio.shield, client waits",
            "asyncio.shield, shutdown_timeout=0.1, client waits",
        ),
        (
            "shielded-save-at-shutdown",
            QUART,
            "asyncio.shield, client gone, after_serving awaits the tasks",
            "asyncio.shield, client gone",
        ),
        (
            "background-save-at-shutdown",
            AIOHTTP,
            "create_task, on_cleanup awaits the tasks",
            "create_task",
        ),
        (
            "background-save-at-shutdown",
            QUART,
            "app.add_background_task",
            "app.add_background_task, BACKGROUND_TASK_SHUTDOWN_TIMEOUT=0.1",
        ),
    ],
)
def test_a_stop_waits_for_a_save_when_it_is_told_to(
    said: Said, question: str, stack: str, kept: str, lost: str
) -> None:
    """And for long enough."""
    assert (said(question, stack, kept), said(question, stack, lost)) == ("saved", "lost")


@pytest.mark.parametrize("stack", [AIOHTTP, QUART])
def test_finally_sees_a_cancellation_and_except_exception_does_not(said: Said, stack: str) -> None:
    """CancelledError is no Exception."""
    setting = f"{ON}, " if stack == AIOHTTP else ""
    for clean_up in ("finally", "async with", "except CancelledError"):
        answer = said("finally-runs", stack, f"{setting}{clean_up}, {FIN}")
        assert answer == "runs to its end, upon cancellation"
    answer = said("finally-runs", stack, f"{setting}except Exception, {FIN}")
    assert answer == "does not run, upon cancellation"


def test_what_is_around_a_handler_is_told_in_some_places_only(said: Said) -> None:
    """An exception in a middleware of aiohttp, an argument in a teardown of Quart."""
    question, middleware = "middleware-cancelled", f"@web.middleware, {FIN}"
    assert said(question, AIOHTTP, middleware) == "sees an ordinary end, handler finished"
    cancelled = said(question, AIOHTTP, f"{ON}, {middleware}")
    assert cancelled == "sees CancelledError, handler cancelled"
    teardown = said(question, QUART, f"@app.teardown_request, {FIN}")
    assert teardown == "runs with CancelledError, handler cancelled"
    assert said(question, QUART, f"@app.after_request, {FIN}").startswith("does not run")


def test_a_handler_that_swallows_its_cancellation_goes_on(said: Said) -> None:
    """It is cancelled once, where it is cancelled at all."""
    question = "swallowing-cancellation"
    assert said(question, AIOHTTP, f"once, {FIN}") == "runs to its end, never cancelled"
    for stack, setting in ((AIOHTTP, f"{ON}, once, {FIN}"), (QUART, f"once, {FIN}")):
        assert said(question, stack, setting) == "runs to its end, cancelled once"


def test_a_stream_goes_on_where_nothing_tells_it(said: Said) -> None:
    """Nor does writing."""
    assert said("stream-ends", AIOHTTP).startswith("ended by ClientConnectionResetError")
    assert said("stream-ends", QUART).startswith("ended by CancelledError")
    assert said("stream-ends", QUART, f"{WITHHELD}, {FIN}").startswith("runs to its end")
    question = "response-write-after-leave"
    assert said(question, QUART, f"{WITHHELD}, {FIN}") == "raises nothing"
    assert said(question, AIOHTTP) == "raises ClientConnectionResetError, at write 1"
    assert said(question, AIOHTTP, f"an answer in one, {FIN}") == "returns undisturbed"


@pytest.mark.parametrize("leaving", [FIN, RST, HALF_CLOSE])
def test_a_body_that_is_cut_off_raises(said: Said, leaving: str) -> None:
    """An OSError or a cancellation, by the setting."""
    question = "request-body-unread"
    assert said(question, AIOHTTP, leaving).startswith("raises ConnectionResetError")
    for stack, setting in ((AIOHTTP, f"{ON}, {leaving}"), (QUART, leaving)):
        assert said(question, stack, setting).startswith("raises CancelledError")


@pytest.mark.parametrize("leaving", [FIN, RST, HALF_CLOSE])
def test_a_handler_can_ask_for_its_client(said: Said, leaving: str) -> None:
    """On Quart with the help of a middleware."""
    question = "is-disconnected-check"
    assert said(question, AIOHTTP, f"request.transport is None, {leaving}") == "noticed"
    assert said(question, QUART, f"an event set by an ASGI middleware, {leaving}") == "noticed"
    assert said(question, QUART, DEFAULT) == NONE


def test_a_half_closed_client_is_answered_where_it_is_not_taken_for_gone(said: Said) -> None:
    """Or where the handler is done before."""
    question, waiting = "half-closed-client", "handler of 0.1 s"
    assert said(question, AIOHTTP, waiting) == said(question, QUART, waiting) == "no answer"
    assert said(question, QUART, f"{waiting}, {WITHHELD}") == "answer 200"


def test_resetting_one_stream_spares_the_other(said: Said) -> None:
    """aiohttp has no such streams."""
    question, setting = "http2-reset", "RST_STREAM, in the clear"
    assert said(question, QUART, setting) == "handler cancelled, the other finished and answered"
    assert said(question, AIOHTTP, setting) == NONE


def test_a_loss_is_in_the_log_when_something_writes_it(said: Said) -> None:
    """By default nothing does."""
    question = "left-in-log"
    assert said(question, AIOHTTP, ON) == said(question, QUART, DEFAULT) == "lost; nothing"
    assert said(question, QUART, "accesslog='-'") == "lost; access line, status -"
    info = said(question, AIOHTTP, "logging.basicConfig(level=INFO)")
    assert info == "saved; access line, status 200"


async def _half(saving: Saving, _: Scope) -> None:
    """Ends happily after the first step."""
    await saving.step("first")


async def _fails(saving: Saving, _: Scope) -> None:
    await saving.step("first")
    raise ValueError("no second step")


async def _swallows(saving: Saving, _: Scope) -> None:
    try:
        await saving.step("first")
    finally:
        await saving.step("second")


WAYS = {"half": _half, "fails": _fails, "swallows": _swallows}
SERVERS: dict[str, Callable[..., AbstractContextManager[Live]]] = {
    AIOHTTP: on_aiohttp,
    QUART: on_quart,
    ON: partial(on_aiohttp, handler_cancellation=True),
}


def ask_odd(key: list[str]) -> Answer:
    """The fate of a save that goes another way than those of the Questions."""
    way, server, _ = key
    return fate(partial(SERVERS[server], way=WAYS[way]), Leaving.FIN)


@pytest.fixture(scope="module")
def odd() -> Iterator[Nursery]:
    """Asks for saves in odd ways."""
    with nursery(ask_odd) as asker:
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


def test_the_console_is_heard_below_python(capfd: pytest.CaptureFixture[str]) -> None:
    """Of threads and of handlers that keep the stream; it is handed on afterwards."""
    with console() as lines:
        os.write(1, b"one\n")
        thread = threading.Thread(target=os.write, args=(2, b"two\n"))
        thread.start()
        thread.join()
        with os.fdopen(2, "w", closefd=False) as kept:
            record = logging.LogRecord("x", logging.WARNING, "", 0, "three", (), None)
            logging.StreamHandler(kept).emit(record)
        assert lines() == ["one", "two", "three"]
    assert capfd.readouterr().err.splitlines() == ["one", "two", "three"]


def test_the_console_in_words() -> None:
    """The last line names the exception."""
    assert shown([]) == "the console shows nothing"
    assert shown([" a "]) == "the console shows the line 'a'"
    assert shown(["a", " b "]) == "the console shows 2 lines, the last is 'b'"


def test_lines_of_a_log_are_told_apart() -> None:
    """What asyncio says of itself is left out, and each kind is told once."""
    access = '127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] "POST / HTTP/1.1" 200 0 "-" "-"'
    hypercorn = '[INFO] 127.0.0.1:1 - - [01/Jan/2026:00:00:00 +0000] "POST / 1.1" - - "-" "-"'
    assert told([f"INFO:aiohttp.access:{access}"]) == ["access line, status 200"]
    assert told([hypercorn]) == ["access line, status -"]
    assert told(["DEBUG:asyncio:x", "DEBUG:aiohttp.server:x", "DEBUG:aiohttp.server:y"]) == [
        "DEBUG of aiohttp.server"
    ]
    assert told(["Traceback (most recent call last):"]) == ["a line beside the log"]
