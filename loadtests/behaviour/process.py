"""Ask one Experiment in a process of its own, and end all that it left behind.

Processes are forked from a server that has imported every Question and does
nothing else (multiprocessing, "forkserver"), so that starting one costs
milliseconds, and little CPU time beside the experiments that compare times.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from loadtests.behaviour.catalogue import experiments
from loadtests.behaviour.question import Answer
from servers.machine import die_with_parent

Key = tuple[str, str, str]
"""Question, stack and setting."""

_KILL_BOUND_S = 5.0

_forkserver = multiprocessing.get_context("forkserver")
_forkserver.set_forkserver_preload(["loadtests.behaviour.preload"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """How asking went. took_s: wall time, in seconds.

    answer: None where there was none; problem: then why, in one line.
    output: what the experiment wrote to standard output and standard error.
    cut: it was ended at its bound.
    """

    answer: Answer | None
    problem: str
    took_s: float
    output: str
    cut: bool = False


class Asker:
    """Asks Experiments, from any thread; `end` ends all that is under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pids: set[int] = set()
        self._over = False

    def ask(self, key: Key, bound_s: float) -> Outcome:
        """Ask the Experiment of that key, for at most so long. Nothing of it is left afterwards."""
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "output"
            output.touch()
            receiving, sending = _forkserver.Pipe(duplex=False)
            process = _forkserver.Process(target=_answer, args=(key, sending, str(output)))
            began = time.monotonic()
            with self._lock:
                if self._over:
                    return Outcome(None, "not asked: the run was interrupted", 0.0, "")
                process.start()
                assert process.pid is not None
                self._pids.add(process.pid)
            sending.close()
            try:
                answer, problem, cut = _received(receiving, bound_s)
            finally:
                with self._lock:
                    self._pids.discard(process.pid)
                    _end(process.pid)
                process.join(_KILL_BOUND_S)
                receiving.close()
            took_s = time.monotonic() - began
            return Outcome(answer, problem, took_s, output.read_text(errors="replace"), cut)

    def end(self) -> None:
        """Begin no more, and end what is under way."""
        with self._lock:
            self._over = True
            for pid in self._pids:
                _end(pid)


def _received(receiving: Connection, bound_s: float) -> tuple[Answer | None, str, bool]:
    """The answer, or why there is none; whether the bound passed."""
    if not receiving.poll(bound_s):
        return None, f"cut after {bound_s:g} s: it had not come to an end", True
    try:
        answer, problem = receiving.recv()
    except EOFError:
        return None, "its process ended without an answer", False
    return answer, problem, False


def _end(pid: int) -> None:
    """End the process, and its group, which an experiment may have put more into."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _answer(key: Key, sending: Connection, output: str) -> None:
    """The life of an experiment's process."""
    os.setsid()
    die_with_parent(os.getppid())
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    try:
        answer = experiments()[key].experiment.run()
        sending.send((answer, ""))
    except BaseException as error:
        traceback.print_exc()
        line = " ".join(str(error).split())
        sending.send((None, f"{type(error).__name__}: {line}"))
    finally:
        # Threads and tasks that never end are what some experiments are about.
        os._exit(0)
