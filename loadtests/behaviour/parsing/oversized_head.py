"""Heads that are too long: one long header, or many."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from loopbench.loadtests.behaviour.framework.question import Answer, Experiment, Question
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire
from loopbench.loadtests.behaviour.parsing.exchanging import PLAIN, Serve, both, head, outcome


def header_of(size: int) -> bytes:
    return head("GET", "/", f"X: {'x' * (size - 3)}")


def in_two_pieces(serve: Serve, size: int, **options: Any) -> Answer:
    """The same bytes, the second half a little later, as over a network."""
    data = header_of(size)
    with serve(**options) as server, Wire(server.port) as wire:
        wire.send(data[: len(data) // 2])
        time.sleep(0.3)
        try:
            wire.send(data[len(data) // 2 :])
            reply = wire.answer()
        except (NoAnswer, ConnectionError) as error:
            return Answer("no answer, then closes", str(error))
        fate = "stays open" if wire.closed(0.3) is None else "then closes"
    return Answer(f"{reply.status}, {fate}", f"{reply.status}: {reply.text[:60]!r}, {fate}")


MANY = head("GET", "/", *(f"X{number}: x" for number in range(200)))
AIOHTTP, QUART = PLAIN["aiohttp"], PLAIN["quart-hypercorn"]

QUESTION = Question(
    asks="How long may the head of a request be?",
    experiments=(
        *both("a header of 8,000 bytes", outcome, header_of(8_000)),
        *both("a header of 9,000 bytes", outcome, header_of(9_000)),
        *both("a header of 40,000 bytes", outcome, header_of(40_000)),
        *both("a header of 40,000 bytes in two pieces", in_two_pieces, 40_000),
        *both("a header of 70,000 bytes", outcome, header_of(70_000)),
        *both("200 headers", outcome, MANY),
        Experiment(
            "aiohttp",
            "a header of 40,000 bytes, max_field_size=65536",
            partial(outcome, AIOHTTP, header_of(40_000), max_field_size=65536),
        ),
        Experiment(
            "aiohttp",
            "200 headers, max_headers=300",
            partial(outcome, AIOHTTP, MANY, max_headers=300),
        ),
        Experiment(
            "quart-hypercorn",
            "a header of 40,000 bytes in two pieces, h11_max_incomplete_size=65536",
            partial(in_two_pieces, QUART, 40_000, h11_max_incomplete_size=65536),
        ),
    ),
    follows={
        "400*": "A long cookie or token is enough. `AppRunner` takes `max_field_size` and "
        "`max_headers`.",
        "431*": "Hypercorn bounds what it holds of an unfinished head (`h11_max_incomplete_size`, "
        "16 KiB), so that the same head passes when it comes in one piece.",
    },
)
