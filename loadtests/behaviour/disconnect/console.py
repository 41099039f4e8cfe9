"""What an experiment's process writes to its console."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def console() -> Iterator[Callable[[], list[str]]]:
    """Collect standard output and standard error, of all threads; gives the lines so far.

    Below Python, so that a handler that has kept the stream is heard too. What was
    collected is handed on afterwards.
    """
    with tempfile.TemporaryFile() as file:
        kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
        for descriptor in kept:
            os.dup2(file.fileno(), descriptor)

        def lines() -> list[str]:
            sys.stdout.flush()
            sys.stderr.flush()
            size = os.fstat(file.fileno()).st_size
            return os.pread(file.fileno(), size, 0).decode(errors="replace").splitlines()

        try:
            yield lines
        finally:
            written = lines()
            for descriptor, copy in kept.items():
                os.dup2(copy, descriptor)
                os.close(copy)
            for line in written:
                print(line, file=sys.stderr)


def shown(lines: list[str]) -> str:
    """These lines in a few words: how many, and the last, which names the exception."""
    if not lines:
        return "the console shows nothing"
    if len(lines) == 1:
        return f"the console shows the line {lines[0].strip()!r}"
    return f"the console shows {len(lines)} lines, the last is {lines[-1].strip()!r}"
