"""What became of each message of a broadcast: every one to every receiver, exactly once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Message:
    """One message. Times are CLOCK_REALTIME in ns; due_ns: since the session's start.

    failed: the server did not say that it has published it, so nobody is owed it.
    """

    due_ns: int
    sent_ns: int = 0
    deliveries: int = 0
    last_ns: int = 0
    failed: bool = False


class Published:
    """The messages so far, by their numbers from 0, and whether there will be more."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.complete = False

    def begin(self, due_ns: int) -> int:
        """The number of a message that is about to be published."""
        self.messages.append(Message(due_ns))
        return len(self.messages) - 1


class Inbox:
    """Which messages have come to one receiver."""

    def __init__(self, published: Published) -> None:
        self._messages = published.messages
        self._next = 0
        self._passed: set[int] = set()

    def take(self, number: int) -> str | None:
        """Note that the message of a number has come; why that is not right, or None."""
        if number >= len(self._messages):
            return "a message that nobody published"
        if number in self._passed:
            self._passed.discard(number)
            return "delivered after a later one"
        if number < self._next:
            return "delivered twice"
        self._passed.update(range(self._next, number))
        self._next = number + 1
        return None

    def lost(self) -> list[Message]:
        """Those that were published and have not come, in their order."""
        missing = [*sorted(self._passed), *range(self._next, len(self._messages))]
        return [self._messages[one] for one in missing if not self._messages[one].failed]
