"""What is to be read of a request whose client left in the middle of it."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from loopbench.loadtests.behaviour.disconnect import plain_await
from loopbench.loadtests.behaviour.disconnect.console import console
from loopbench.loadtests.behaviour.disconnect.leaving import CANCEL, EMPTY_BODY, eventually
from loopbench.loadtests.behaviour.disconnect.saving import SAVED, Saving, on_aiohttp, on_quart
from loopbench.loadtests.behaviour.framework.question import DEFAULT, Answer, Experiment, Question
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire
from loopbench.loadtests.behaviour.framework.servers import Live

ACCESS = re.compile(r'"POST / \S+" (?P<status>\S+) ')
LOGGED = re.compile(r"(?P<level>[A-Z]+):(?P<logger>[\w.]+):(?P<message>.*)")
"""A line as logging.basicConfig formats it."""


def told(lines: list[str]) -> list[str]:
    """What the lines are, without those of asyncio itself, each kind once."""
    kinds = []
    for line in lines:
        if access := ACCESS.search(line):
            kinds.append(f"access line, status {access['status']}")
        elif (logged := LOGGED.match(line)) is None:
            kinds.append("a line beside the log")
        elif logged["logger"] != "asyncio":
            kinds.append(f"{logged['level']} of {logged['logger']}")
    return list(dict.fromkeys(kinds))


def ask(
    serve: Callable[..., AbstractContextManager[Live]],
    options: dict[str, Any],
    *,
    level: int | None = None,
    debug: bool = False,
) -> Answer:
    """Leave in the middle of a save that the handler awaits, and read the console."""
    os.environ["PYTHONASYNCIODEBUG"] = "1" if debug else ""
    with tempfile.TemporaryDirectory() as folder, console() as lines:
        if level is not None:
            logging.basicConfig(level=level)
        saving = Saving(Path(folder) / "saves")
        with serve(saving, plain_await.way, **options) as server, Wire(server.port) as wire:
            wire.request("POST", "/", EMPTY_BODY)
            if not saving.seen.wait("first step begun"):
                raise TimeoutError("the save was never begun")
            wire.leave(Leaving.FIN)
            if not eventually(lambda: not saving.under_way):
                raise TimeoutError("the save did not come to an end")
            saved = SAVED[saving.lines]
        # The server has stopped: it has said all it has to say.
        written = lines()
    kinds = told(written)
    last = [line for line in written if told([line])][-1:]
    return Answer(
        f"{saved}; {' and '.join(kinds) or 'nothing'}",
        f"{saving.handler}; " + (f"the last line: {last[0]}" if last else "no line of a server"),
    )


INFO = {"level": logging.INFO}
DEBUG = {"level": logging.DEBUG, "debug": True}
IN_DEBUG = "logging.basicConfig(level=DEBUG), PYTHONASYNCIODEBUG=1"

_ROWS: tuple[tuple[str, str, Callable[..., Any], dict[str, Any], dict[str, Any]], ...] = (
    ("aiohttp", DEFAULT, on_aiohttp, {}, {}),
    ("aiohttp", "logging.basicConfig(level=INFO)", on_aiohttp, {}, INFO),
    ("aiohttp", IN_DEBUG, on_aiohttp, {}, DEBUG),
    ("aiohttp", "handler_cancellation=True", on_aiohttp, CANCEL, {}),
    (
        "aiohttp",
        "handler_cancellation=True, logging.basicConfig(level=INFO)",
        on_aiohttp,
        CANCEL,
        INFO,
    ),
    ("aiohttp", f"handler_cancellation=True, {IN_DEBUG}", on_aiohttp, CANCEL, DEBUG),
    ("quart-hypercorn", DEFAULT, on_quart, {}, {}),
    ("quart-hypercorn", "logging.basicConfig(level=INFO)", on_quart, {}, INFO),
    ("quart-hypercorn", IN_DEBUG, on_quart, {}, DEBUG),
    ("quart-hypercorn", "accesslog='-'", on_quart, {"accesslog": "-"}, {}),
)

QUESTION = Question(
    asks="Does the log say that a client left, and that a save was lost with it?",
    experiments=tuple(
        Experiment(stack, setting, partial(ask, serve, options, **logs))
        for stack, setting, serve, options, logs in _ROWS
    ),
    follows={
        "lost; nothing": "Nobody learns of the loss: log the cancellation yourself, in `except "
        "asyncio.CancelledError` or in `finally`, and raise it again.",
        "lost; DEBUG of aiohttp.server": "In debug mode only. Log the cancellation yourself, and "
        "raise it again.",
        "saved; access line, status 200*": "The access log tells what was to be sent, not that it "
        "arrived.",
        "lost; access line, status -": "A line without a status is a client that left, and maybe "
        "a save that was lost: count them.",
    },
)
