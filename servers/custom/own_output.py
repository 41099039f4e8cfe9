"""What an application has printed in this process, where its output goes to a file."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress

_STDERR = 2
_TAIL_BYTES = 4096
_MOST_CHARACTERS = 300


def _size() -> int:
    """Of the file behind standard error; 0 where it is none, as a terminal."""
    with suppress(OSError):
        status = os.fstat(_STDERR)
        if stat.S_ISREG(status.st_mode):
            return status.st_size
    return 0


_BEGIN = _size()
"""What others have written to the file before this process came."""


def last_line() -> str:
    """The last line that was printed, to end a message with; empty where there is none."""
    with suppress(Exception):  # it may have closed them, or put others in their place
        sys.stdout.flush()
        sys.stderr.flush()
    begin, lines = max(_BEGIN, _size() - _TAIL_BYTES), [""]
    with suppress(OSError):  # a terminal, or what is open for writing alone
        lines = os.pread(_STDERR, _TAIL_BYTES, begin).decode(errors="replace").split("\n")
    words = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"; its last line: {words[-_MOST_CHARACTERS:]}" if words else ""


def last_line_before(error: BaseException) -> str:
    """That line before an exit, where it may be all that says why. Empty of any other error, and of
    an exit with a text of its own."""
    if not isinstance(error, SystemExit) or isinstance(error.code, str):
        return ""
    return last_line()
