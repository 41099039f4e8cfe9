"""JSON lines over a child's standard input and output: the private control pipe.

The harness commands the server processes and the load generator through this
one channel. It needs no port, works through anything that forwards standard
input and output (ssh, `ip netns exec`), and ends with the process at its
other end: end of file is the message that the other side is gone.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Iterator

from loopbench.servers.supervision.messages import Json

STOP = "stop"
"""What every process is told by `do` when it is to end; see `child_process.Child.stop`."""

_CHUNK = 65536


class ControlError(Exception):
    """The channel cannot be used: the other side is gone, silent or incoherent."""


class ControlClosed(ControlError):
    """The other side closed its end."""


class ControlTimeout(ControlError):
    """Nothing arrived within the bound."""


class Channel:
    """The commanding side: one end of a pair of pipes, with a deadline on every read.

    reader, writer: file descriptors that the channel owns and closes.
    """

    def __init__(self, reader: int, writer: int) -> None:
        self._reader = reader
        self._writer = writer
        self._pending = b""
        self._closed = False
        self._poll = select.poll()  # select() cannot watch descriptors above 1023
        self._poll.register(reader, select.POLLIN)

    def send(self, message: Json) -> None:
        """Write one message. Raises ControlClosed when the other side is gone."""
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._writer, line) :]
        except OSError as error:
            raise ControlClosed("the process closed its control pipe") from error

    def receive(self, timeout_s: float) -> Json:
        """The next message.

        Raises ControlTimeout when none came within `timeout_s`, ControlClosed
        at end of file and ControlError for a line that is not a JSON object.
        """
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._pending:
            remaining = deadline - time.monotonic()
            if not self._poll.poll(max(0.0, remaining) * 1000):
                raise ControlTimeout(f"no message within {timeout_s:g} s")
            chunk = os.read(self._reader, _CHUNK)
            if not chunk:
                raise ControlClosed("the process closed its control pipe")
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return _parse(line)

    def fileno(self) -> int:
        """The descriptor that messages arrive on, to be waited for."""
        return self._reader

    @property
    def hung_up(self) -> bool:
        """Whether the other side is gone; what it said before can still be received."""
        gone = select.POLLHUP | select.POLLERR | select.POLLNVAL
        return any(flags & gone for _, flags in self._poll.poll(0))

    def close(self) -> None:
        """Close both ends; the process at the other side sees end of file."""
        if not self._closed:
            self._closed = True
            os.close(self._writer)
            os.close(self._reader)


class Station:
    """The commanded side, inside a child process.

    Takes the process's standard input and output for itself: what anything
    else prints goes to standard error from then on, and cannot be mistaken
    for a message.

    descriptors: to read from and to write to instead; the station owns them.
    """

    def __init__(self, descriptors: tuple[int, int] | None = None) -> None:
        commands, self._replies = descriptors or _standard()
        self._commands = os.fdopen(commands, "rb", buffering=0)
        self._pending = b""

    @property
    def fileno(self) -> int:
        """The descriptor that commands arrive on, to be waited for."""
        return self._commands.fileno()

    def send(self, message: Json) -> None:
        """Write one message whole; a reader that is gone is not an error here,
        since the end of file on the command side says so as well."""
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._replies, line) :]
        except BrokenPipeError:
            pass

    def read(self) -> list[Json] | None:
        """Wait for bytes and return the messages that they complete; None at end of file."""
        chunk = os.read(self.fileno, _CHUNK)
        if not chunk:
            return None
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        return [_parse(line) for line in lines]

    def commands(self) -> Iterator[Json]:
        """Jsons as they arrive, until end of file. Blocks the calling thread."""
        while (messages := self.read()) is not None:
            yield from messages

    def close(self) -> None:
        """Close both ends: for a process that was forked and is not the one that is commanded."""
        self._commands.close()
        os.close(self._replies)


def _standard() -> tuple[int, int]:
    sys.stdout.flush()
    taken = os.dup(0), os.dup(1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return taken


def _parse(line: bytes) -> Json:
    try:
        message = json.loads(line)
    except ValueError as error:
        raise ControlError(f"not a JSON line on the control pipe: {line[:200]!r}") from error
    if not isinstance(message, dict):
        raise ControlError(f"not a JSON object on the control pipe: {line[:200]!r}")
    return message
