"""A child process that looks at a person's file and answers over a descriptor of its own.

What it imports may print, also at exit, and may start processes that inherit its output: none of it
is taken for an answer, and with the look its whole process group is ended, and what has left it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from loopbench.servers.supervision.child_process import interrupts_deferred
from loopbench.servers.supervision.descendants import descendants_of, kill

_EXIT_POLL_S = 0.2


class LookProcess:
    """The process, and what it prints."""

    def __init__(
        self, child: subprocess.Popen[bytes], answers: IO[bytes], output: IO[bytes]
    ) -> None:
        self.child = child
        self.output = output
        self._answers = answers
        self._pending = b""
        self._readable = select.poll()  # select() takes no descriptor above 1,023
        self._readable.register(answers, select.POLLIN)

    def line(self, deadline: float) -> bytes | None:
        """The next line that it answers; None where it has ended without one.

        deadline: by the monotonic clock. Raises TimeoutError when it has passed.
        """
        while b"\n" not in self._pending:
            left = deadline - time.monotonic()
            ready = self._readable.poll(max(0.0, min(left, _EXIT_POLL_S)) * 1000)
            chunk = self._answers.read(65536) if ready else b""
            self._pending += chunk
            # Its children may hold the other end still, so that there is no end of file.
            if (ready and not chunk) or (not ready and self.child.poll() is not None):
                return None
            if left < 0 and not chunk:
                raise TimeoutError
        line, _, self._pending = self._pending.partition(b"\n")
        return line


@contextmanager
def look_process(
    command: Callable[[int], Sequence[str]],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[LookProcess]:
    """Start it. command: takes the descriptor that it answers over."""
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as output, open(reader, "rb", buffering=0) as answers:
        try:
            with interrupts_deferred():
                child = subprocess.Popen(
                    command(writer),
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(writer,),
                    start_new_session=True,
                )
        finally:
            os.close(writer)
        try:
            yield LookProcess(child, answers, output)
        finally:
            descendants = descendants_of(child.pid)
            with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a dead group
                os.killpg(child.pid, signal.SIGKILL)
            kill(descendants)
            child.wait()
