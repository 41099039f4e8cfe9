"""Programs that run to their end, and whose children do not outlive us either."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from loopbench.servers.supervision.child_process import interrupts_deferred


def run(command: Sequence[str], bound_s: float) -> subprocess.CompletedProcess[str]:
    """The program's end, and what it said.

    It runs in a process group of its own. Where it takes longer than `bound_s`, or somebody
    interrupts, the whole group is ended: an installer has children.
    Raises subprocess.TimeoutExpired and OSError.
    """
    process: subprocess.Popen[str] | None = None
    try:
        with interrupts_deferred():
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        said, complained = process.communicate(timeout=bound_s)
        return subprocess.CompletedProcess(command, process.returncode, said, complained)
    finally:
        if process is not None and process.returncode is None:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    with interrupts_deferred():
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
