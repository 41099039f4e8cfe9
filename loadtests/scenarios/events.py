"""Where an event of a stream ends: counting events in a body that comes in pieces."""

from __future__ import annotations

from typing import Protocol

MOST_EVENT_BYTES = 1024 * 1024
"""Of a line. A longer one is no event, so that what is kept of a stream stays small."""


class Events(Protocol):
    """Counts the events of one body.

    too_large: a line has become longer than MOST_EVENT_BYTES; nothing is counted any more.
    """

    too_large: bool

    def feed(self, data: bytes) -> int:
        """Take the next piece; how many events ended in it."""
        ...


class _Lines:
    """Splits pieces at \\n, \\r\\n and \\r, and keeps the begin of a line that has not ended."""

    def __init__(self) -> None:
        self.too_large = False
        self._rest = bytearray()
        self._after_return = False

    def _lines(self, data: bytes) -> list[bytes]:
        """The lines that ended in this piece, with what ended them."""
        if self._after_return and data.startswith(b"\n"):
            data = data[1:]  # the second half of \r\n, whose line has been counted
        self._after_return = data.endswith(b"\r")
        self._rest += data
        if b"\n" not in data and b"\r" not in data:
            lines = []
        else:
            lines = bytes(self._rest).splitlines(keepends=True)
            whole = lines[-1].endswith((b"\n", b"\r"))
            self._rest = bytearray() if whole else bytearray(lines.pop())
        self.too_large = self.too_large or len(self._rest) > MOST_EVENT_BYTES
        if self.too_large:
            self._rest.clear()
        return lines


class Lines(_Lines):
    """Every line that is not blank is an event, as JSON lines are sent."""

    def feed(self, data: bytes) -> int:
        """See `Events`."""
        return sum(1 for line in self._lines(data) if line.strip())


class ServerSent(_Lines):
    """Server-sent events: a blank line ends one that has data. A comment (`: keep-alive`) is none.

    https://html.spec.whatwg.org/multipage/server-sent-events.html
    """

    def __init__(self) -> None:
        super().__init__()
        self._has_data = False

    def feed(self, data: bytes) -> int:
        """See `Events`."""
        count = 0
        for line in self._lines(data):
            if line in (b"\n", b"\r\n", b"\r"):
                count += self._has_data
                self._has_data = False
            elif line.startswith(b"data") and line[4:5] in (b":", b"\n", b"\r"):
                self._has_data = True
        return count


EVENTS: dict[str, type[Lines | ServerSent]] = {"sse": ServerSent, "lines": Lines}
"""By the word that a loads file has for it."""
