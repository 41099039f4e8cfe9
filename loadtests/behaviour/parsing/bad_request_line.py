"""Requests whose first line is not right."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from loopbench.loadtests.behaviour.framework.question import Answer, Question
from loopbench.loadtests.behaviour.parsing.exchanging import Serve, both, exchange
from loopbench.loadtests.behaviour.parsing.logging_seen import logged

REST = b"\r\nHost: localhost\r\n\r\n"
REQUESTS = {
    "no HTTP at all": b"hello\r\n\r\n",
    "the first bytes of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + 64 * b"\x01",
    "no version": b"GET /" + REST,
    "two blanks": b"GET  / HTTP/1.1" + REST,
    "HTTP/1.2": b"GET / HTTP/1.2" + REST,
    "an empty line before it": b"\r\nGET / HTTP/1.1" + REST,
    "LF alone": b"GET / HTTP/1.1\nHost: localhost\n\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
}


def _told(records: Sequence[logging.LogRecord]) -> str:
    if not records:
        return "nothing was logged"
    return ", ".join(f"{one.name} logged an {one.levelname}" for one in records)


def ask(serve: Serve, request: bytes) -> Answer:
    log = logged()
    with serve() as server:
        seen = exchange(server.port, request)
        errors = [one for one in log.records if one.levelno >= logging.WARNING]
    how = ", logged" if errors else ""
    return Answer(f"{seen.words}{how}", f"{seen.told}; {_told(errors)}")


QUESTION = Question(
    asks="What becomes of a request whose first line is not right?",
    experiments=tuple(
        experiment
        for setting, request in REQUESTS.items()
        for experiment in both(setting, ask, request)
    ),
    follows={
        "400*, logged*": "Anybody can fill the log. `aiohttp.server` is the logger to filter.",
    },
)
