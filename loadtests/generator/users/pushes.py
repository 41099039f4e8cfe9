"""Which of the messages have come that a server is to push to one connection."""

from __future__ import annotations

from collections.abc import Iterator

from loopbench.loadtests.generator.clients.websocket import otherwise
from loopbench.servers.contract.frames import Frame, Op, encode
from loopbench.servers.contract.payloads import HELLO

_AHEAD_S = 1.0
"""A message's number cannot be further on than this many seconds' worth."""


class Pushes:
    """Messages are numbered from 0 and carry when they were due, CLOCK_REALTIME in ns.

    rate: a second. end_ns: those that are due from then on do not count.
    """

    def __init__(self, rate: float, end_ns: int) -> None:
        self._rate = rate
        self._end_ns = end_ns
        self._next = 0
        self._begun_ns: int | None = None
        self.over = False

    def take(self, frame: Frame) -> tuple[int, list[int], str | None]:
        """When the message was due, when those were that it skips, and why it is not right."""
        word, _, stamps = frame.payload.decode("latin-1").partition(" ")
        count, _, due = stamps.partition(" ")
        if frame.op is not Op.TEXT or word != HELLO or not (count + due).isdecimal():
            return 0, [], otherwise(encode(frame))
        number, due_ns = int(count), int(due)
        if self._begun_ns is None:
            self._begun_ns = due_ns - self._after_ns(number)
        if due_ns != self._begun_ns + self._after_ns(number):
            return due_ns, [], "a number and a time that do not belong together"
        if number < self._next:
            return due_ns, [], "a message that had come before"
        if number > self._next + self._rate * _AHEAD_S:
            return due_ns, [], "a number that is far ahead"
        skipped = [self._begun_ns + self._after_ns(missed) for missed in range(self._next, number)]
        self._next = number + 1
        self.over = due_ns >= self._end_ns
        return due_ns, [instant_ns for instant_ns in skipped if instant_ns < self._end_ns], None

    def owed(self, connected_ns: int, now_ns: int) -> Iterator[int]:
        """When those were due that have not come by now. Where none has ever come, they are
        reckoned from when the connection stood."""
        begun_ns = connected_ns if self._begun_ns is None else self._begun_ns
        number, until_ns = self._next, min(self._end_ns, now_ns)
        while (due_ns := begun_ns + self._after_ns(number)) < until_ns:
            yield due_ns
            number += 1

    def _after_ns(self, number: int) -> int:
        return int(number * 1e9 / self._rate)
