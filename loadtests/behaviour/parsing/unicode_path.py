"""Letters beyond ASCII in a path."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from functools import partial

from loopbench.loadtests.behaviour.framework.question import Answer, Experiment, Question
from loopbench.loadtests.behaviour.framework.servers import Live
from loopbench.loadtests.behaviour.parsing.exchanging import exchange
from loopbench.loadtests.behaviour.parsing.routes import aiohttp_route, quart_route

TARGETS = {
    "%C3%A9": b"/users/%C3%A9",
    "the same letter in two code points": b"/users/e%CC%81",
    "UTF-8 as it is": b"/users/\xc3\xa9",
    "%E9, Latin-1": b"/users/%E9",
    "%00": b"/users/a%00b",
}


def ask(server: AbstractContextManager[Live], target: bytes) -> Answer:
    with server as live:
        data = b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        seen = exchange(live.port, data)
    if seen.reply is None or seen.reply.status != 200:
        return Answer(seen.words, seen.told)
    name = json.loads(seen.reply.body)["name"]
    return Answer(f"read as {name!a}", f"{target!r} was read as {name!r}, {len(name)} long")


def ask_aiohttp(target: bytes) -> Answer:
    return ask(aiohttp_route("/users/{name}"), target)


def ask_quart(target: bytes) -> Answer:
    return ask(quart_route("/users/<name>"), target)


QUESTION = Question(
    asks="How are letters beyond ASCII read in a path?",
    experiments=tuple(
        Experiment(stack, setting, partial(run, target))
        for setting, target in TARGETS.items()
        for stack, run in (("aiohttp", ask_aiohttp), ("quart-hypercorn", ask_quart))
    ),
    follows={
        "read as 'e*u0301'": "Letters are not normalised: compare names after "
        "`unicodedata.normalize`.",
        "read as 'a*b'": "NUL is let through: refuse it before a name reaches a file or a "
        "database.",
    },
)
