"""Other programs, and their children, none of which outlives its use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.servers.supervision.child_process import interrupts_deferred


def run(
    command: Sequence[str], bound_s: float, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
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
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        output, errors = process.communicate(timeout=bound_s)
        return subprocess.CompletedProcess(command, process.returncode, output, errors)
    finally:
        if process is not None and process.returncode is None:
            _end(process)


def succeed(what: str, command: Sequence[str], bound_s: float, cwd: Path | None = None) -> str:
    """What a program that has to succeed prints.

    Raises HarnessError, one line: `what`, and why it cannot be, in the program's own last words.
    """
    try:
        done = run(command, bound_s, cwd)
    except subprocess.TimeoutExpired:
        raise HarnessError(f"{what}: it took longer than {bound_s:g} s") from None
    except OSError as error:
        raise HarnessError(f"{what}: {error}") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")]  # of the installer
        raise HarnessError(f"{what}: {(errors or lines or ['no reason given'])[-1]}")
    return done.stdout


def _end(process: subprocess.Popen[str]) -> None:
    with interrupts_deferred():
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


_STOP_S = 5.0
_POLL_S = 0.005
_WITH_PARENT = (
    "import ctypes, os, signal, sys\n"
    "if sys.platform == 'linux': ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)\n"
    "if os.getppid() == int(sys.argv[1]): os.execv(sys.argv[2], sys.argv[2:])\n"
)
"""Asks the kernel to end this process with its parent (prctl(2), PR_SET_PDEATHSIG), and becomes
the program."""


@contextmanager
def background(command: Sequence[str], cwd: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that serves until the block ends, in a session of its own; what it prints is
    appended to the log. It is asked to stop, and what is left of its group is killed."""
    own = [sys.executable, "-I", "-S", "-c", _WITH_PARENT, str(os.getpid()), *command]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with log.open("ab") as output:
        with interrupts_deferred():
            process = subprocess.Popen(
                own,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            _stop(process)


def ended(process: subprocess.Popen[bytes]) -> int | None:
    """The exit status, or the number of the signal, of one that has ended. It is not reaped here,
    so that its number stays that of its group."""
    status = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return None if status is None else status.si_status


def _stop(process: subprocess.Popen[bytes]) -> None:
    """A manager that is killed leaves its workers, and names of semaphores, behind."""
    try:
        os.kill(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_S
        while ended(process) is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
    finally:
        with interrupts_deferred():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
