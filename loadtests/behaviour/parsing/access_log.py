"""Whether each request leaves a line in a log."""

from __future__ import annotations

import io
import logging
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from typing import Any

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.parsing.exchanging import PLAIN
from loopbench.loadtests.behaviour.parsing.logging_seen import logged

REQUESTS = 3


def ask(stack: str, level: int | None = None, **options: Any) -> Answer:
    """level: what the root logger is set to, as logging.basicConfig(level=…) does."""
    records = logged()
    if level is not None:
        logging.getLogger().setLevel(level)
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as error:
        with PLAIN[stack](**options) as server:
            for _ in range(REQUESTS):
                get(server.port, "/")
    through = [one for one in records.records if one.name.endswith(".access")]
    places = {
        f"the logger {through[0].name}" if through else "": len(through),
        "standard output": out.getvalue().count("GET"),
        "standard error": error.getvalue().count("GET"),
    }
    found = {place: lines for place, lines in places.items() if lines}
    if not found:
        return Answer("no line", f"{REQUESTS} requests, and no line anywhere")
    told = ", ".join(f"{place}: {lines} lines" for place, lines in found.items())
    each = "a line each" if set(found.values()) == {REQUESTS} else "not a line each"
    return Answer(f"{each}, {' and '.join(found)}", f"{REQUESTS} requests; {told}")


QUESTION = Question(
    asks="Is every request logged by default?",
    experiments=(
        Experiment("aiohttp", DEFAULT, partial(ask, "aiohttp")),
        Experiment(
            "aiohttp", "logging.basicConfig(level=INFO)", partial(ask, "aiohttp", logging.INFO)
        ),
        Experiment(
            "aiohttp",
            "logging.basicConfig(level=INFO), access_log=None",
            partial(ask, "aiohttp", logging.INFO, access_log=None),
        ),
        Experiment("quart-hypercorn", DEFAULT, partial(ask, "quart-hypercorn")),
        Experiment(
            "quart-hypercorn",
            "logging.basicConfig(level=INFO)",
            partial(ask, "quart-hypercorn", logging.INFO),
        ),
        Experiment(
            "quart-hypercorn", "accesslog='-'", partial(ask, "quart-hypercorn", accesslog="-")
        ),
    ),
    claims=(
        Claim(
            "The access log is on by default and has to be switched off for speed.",
            {"no line": Agrees.NO, "a line each*": Agrees.YES},
            ("aiohttp",),
        ),
    ),
    follows={
        "a line each, the logger*": "Logging at INFO for your own sake switches on a line for "
        "each request: `access_log=None` spares it.",
    },
)
