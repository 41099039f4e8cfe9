"""What the processes of the server have counted of the feed."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import gevent

from loopbench.loadtests.generator.clients.http1 import Answer, AnswerBook, Connection, Framing
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.servers.contract.cases import CASES

_COUNT_S = 0.3
"""How long every process of the server is looked for, to ask it what it has counted."""

_ASK_S = 1.0


class ServerCounts:
    """Each process's counts, as of the last time that it was asked."""

    def __init__(self, spec: SessionSpec) -> None:
        self._spec = spec
        self._request = CASES["feed"].request.encode("feed")
        self._by_process: dict[int, dict[str, int]] = {}

    def ask(self) -> int | None:
        """Ask on a new connection, which any process may get; the pid of the one that answered,
        None where there was no right answer in time."""
        book, connection = _BodyBook(), Connection(self._spec.host, self._spec.port)
        problem: str | None = "no answer in time"
        with suppress(gevent.Timeout), gevent.Timeout(_ASK_S):
            problem = connection.exchange(self._request, book)
        connection.close()
        if problem is not None:
            return None
        counts: dict[str, int] = json.loads(book.body)
        self._by_process[counts["pid"]] = counts
        return counts["pid"]

    def ask_all_again(self) -> bool:
        """Ask every process that has answered before once more; whether all did in time."""
        waiting, deadline = set(self._by_process), time.monotonic() + _COUNT_S
        while waiting and time.monotonic() < deadline:
            process = self.ask()
            if process is None:
                return False
            waiting.discard(process)
        return not waiting

    def total(self, name: str) -> int:
        """The sum of a count over the processes that have answered."""
        return sum(counts[name] for counts in self._by_process.values())


class _BodyBook(AnswerBook):
    """Keeps the body of the last answer."""

    __slots__ = ("body",)

    def __init__(self) -> None:
        super().__init__(CASES["feed"])
        self.body = b""

    def remember(self, data: bytes, answer: Answer | None) -> None:
        """Nothing: each answer is to be read."""

    def judge(self, framing: Framing) -> Answer:
        self.body = bytes(framing.begin)
        return super().judge(framing)
