"""Whether now and then a request is slow: what a median and a mean do not show.

Both sides' servers are alive and are asked in turn, a batch of requests each, one request after
another on one connection. A request is slow that takes SLOW_MS longer than the median of its
batch, once the time is taken off in which a thread of the server or of the client was ready to run
and had no CPU. What is compared are the batches of a pair: in which of them more were slow.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from loopbench.loadtests.observe import raw_request
from loopbench.loadtests.observe.waiting import Waits
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.results.schema import Row
from loopbench.servers.contract.http import Case
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.settings import Settings

BATCHES = 25
REQUESTS = 100
"""In a batch: where one request in a hundred is slow, 63 of 100 batches have one."""

SLOW_MS = 2.0

_WARM = 50
_SETTINGS = Settings(probe=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """cells: stack and case, of both sides. seed: of the order of the sides in each batch."""

    cells: Sequence[tuple[str, str]]
    seed: int
    batches: int = BATCHES
    requests: int = REQUESTS


def measure(plan: Plan, sides: Sequence[Side], log: Path) -> Iterator[list[Row]]:
    """The rows of a cell as it ends. Raises ServerError, OSError, and HTTPException where an
    answer cannot be read."""
    order = random.Random(plan.seed)
    for stack in dict.fromkeys(stack for stack, _ in plan.cells):
        with ExitStack() as cleanup:
            asked = [
                Asked(
                    side,
                    cleanup.enter_context(
                        server_process(
                            stack, settings=_SETTINGS, log=log, python=side.python, root=side.root
                        )
                    ),
                )
                for side in sides
            ]
            for case in (case for its_stack, case in plan.cells if its_stack == stack):
                yield list(_cell(plan, stack, case, asked, order))


@dataclass(frozen=True, slots=True)
class Asked:
    """A side, and its live server."""

    side: Side
    server: ServerProcess


def _cell(
    plan: Plan, stack: str, case: str, asked: Sequence[Asked], order: random.Random
) -> Iterator[Row]:
    with ExitStack() as cleanup:
        senders = [
            _Sender(
                asked_side,
                asked_side.side.cases[case],
                cleanup.enter_context(
                    raw_request.connect(asked_side.server.host, asked_side.server.port)
                ),
            )
            for asked_side in asked
        ]
        for sender in senders:
            for _ in range(_WARM):
                sender.send()
        for batch in range(1, plan.batches + 1):
            for sender in order.sample(senders, len(senders)):
                yield {
                    "side": str(sender.asked.side.role),
                    "stack": stack,
                    "case": case,
                    "batch": batch,
                    "requests": plan.requests,
                    **_figures([sender.send() for _ in range(plan.requests)]),
                }


@dataclass(frozen=True, slots=True)
class _Sent:
    """One request. took_ms: until its answer was there; waited_ms: that threads had no CPU."""

    took_ms: float
    waited_ms: float
    right: bool


class _Sender:
    def __init__(self, asked: Asked, case: Case, connection: socket) -> None:
        self.asked = asked
        self._case = case
        self._connection = connection
        self._host = f"{asked.server.host}:{asked.server.port}"
        self._waits = Waits(asked.server.pid), Waits("self")

    def send(self) -> _Sent:
        before = self._waited_ns()
        began = time.perf_counter_ns()
        reply = raw_request.exchange(self._connection, self._case.request, self._host)
        took = time.perf_counter_ns() - began
        waited = max(0, self._waited_ns() - before)
        problem = self._case.expected.check(reply.status, reply.body)
        return _Sent(took / 1e6, waited / 1e6, problem is None)

    def _waited_ns(self) -> int:
        return sum(waits.read_ns() for waits in self._waits)


def _figures(sent: Sequence[_Sent]) -> Row:
    net = [request.took_ms - request.waited_ms for request in sent]
    median = statistics.median(net)
    return {
        "failures": sum(not request.right for request in sent),
        "slow": sum(took_ms >= median + SLOW_MS for took_ms in net),
        "slow_ms": SLOW_MS,
        "median_ms": max(0.0, median),
        "longest_ms": max(0.0, *net),
    }
