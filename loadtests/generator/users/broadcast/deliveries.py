"""What became of each publication of a broadcast: to come to every receiver, exactly once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Publication:
    """One message. Times are CLOCK_REALTIME in ns; due_ns: since the session's start.

    failed: the server did not answer that it has published it, so nobody is owed it.
    """

    due_ns: int
    sent_ns: int = 0
    deliveries: int = 0
    last_ns: int = 0
    failed: bool = False


class Published:
    """The publications so far, by their numbers from 0, and whether there will be more."""

    def __init__(self) -> None:
        self.publications: list[Publication] = []
        self.complete = False

    def begin(self, due_ns: int) -> int:
        """The number of a message that is about to be published."""
        self.publications.append(Publication(due_ns))
        return len(self.publications) - 1


class Inbox:
    """Which publications have come to one receiver."""

    def __init__(self, published: Published) -> None:
        self._publications = published.publications
        self._next = 0
        self._passed: set[int] = set()

    def take(self, number: int) -> str | None:
        """Note that the message of a number has come; why that is not right, or None."""
        if number >= len(self._publications):
            return "a message that nobody published"
        if number in self._passed:
            self._passed.discard(number)
            return "delivered after a later one"
        if number < self._next:
            return "delivered twice"
        self._passed.update(range(self._next, number))
        self._next = number + 1
        return None

    def lost(self) -> list[Publication]:
        """Those that were published and have not come, in their order."""
        missing = [*sorted(self._passed), *range(self._next, len(self._publications))]
        publications = [self._publications[number] for number in missing]
        return [publication for publication in publications if not publication.failed]
