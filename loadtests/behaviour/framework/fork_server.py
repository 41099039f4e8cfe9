"""The process that experiments are forked from.

It runs as `python -m loopbench.loadtests.behaviour.framework.fork_server`.

It has imported every Question and does nothing else, in one thread, so that
an experiment's process costs milliseconds to make, and little CPU time beside
the experiments that compare times. It is told by JSON lines on standard input
and answers on standard output; `stop` or end of file ends it, and with it all
that is under way.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import IO

from loopbench.loadtests.behaviour.framework import messages
from loopbench.loadtests.behaviour.framework.catalogue import experiments
from loopbench.loadtests.behaviour.framework.messages import Key, Outcome
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.servers.supervision.control_pipe import STOP, Station
from loopbench.servers.supervision.os_stats import die_with_parent, read_threads

_OUTPUT_LIMIT = 20_000
"""Bytes of what an experiment printed that are handed on: the last of them."""

_FORK = multiprocessing.get_context("fork")


def run(key: Key) -> Answer:
    """Run the Experiment of that key, here and now."""
    return experiments()[key].experiment.run()


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A forked experiment. began: by time.monotonic."""

    asked: messages.Ask
    process: ForkProcess
    output: IO[bytes]
    began: float

    @property
    def left_s(self) -> float:
        """How long it may still take."""
        return self.began + self.asked.bound_s - time.monotonic()


class Nursery:
    """Forks an experiment a command, ends each at its bound, and tells how it went."""

    def __init__(self, station: Station, ask: Callable[[Key], Answer]) -> None:
        self._station = station
        self._ask = ask
        self._under_way: dict[Connection, _UnderWay] = {}

    def obey(self) -> None:
        """Carry out commands until one of them is `stop`, or end of file; then end everything."""
        try:
            while self._turn():
                pass
        finally:
            for result in list(self._under_way):
                self._reap(result)

    def _turn(self) -> bool:
        left = [one.left_s for one in self._under_way.values()]
        timeout = max(0.0, min(left)) if left else None
        ready = wait([self._station.fileno, *self._under_way], timeout)
        for result, one in list(self._under_way.items()):
            if result in ready or one.left_s <= 0:
                self._tell(result, cut=result not in ready)
        if self._station.fileno in ready:
            told = self._station.read()
            if told is None or any(message["do"] == STOP for message in told):
                return False
            for message in told:
                self._fork(messages.COMMANDS.from_json(message))
        return True

    def _fork(self, asked: messages.Ask) -> None:
        output = tempfile.TemporaryFile()  # noqa: SIM115  closed when the experiment is reaped
        result, its = _FORK.Pipe(duplex=False)
        life = (self._ask, asked.key, its, output, os.getpid())
        process = _FORK.Process(target=_live, args=life)
        self._under_way[result] = _UnderWay(asked, process, output, time.monotonic())
        process.start()
        its.close()

    def _tell(self, result: Connection, *, cut: bool) -> None:
        """The result is there, its pipe has closed without one, or the bound has passed."""
        told = Outcome(None, "its process ended without an answer")
        one = self._under_way[result]
        if cut:
            told = Outcome(None, f"cut after {one.asked.bound_s:g} s: it had not come to an end")
        else:
            with suppress(EOFError):
                told = result.recv()
        took_s = time.monotonic() - one.began
        self._reap(result)
        with one.output as output:
            size = output.seek(0, os.SEEK_END)
            output.seek(max(0, size - _OUTPUT_LIMIT))
            printed = output.read().decode(errors="replace")
        told = replace(told, took_s=took_s, output=printed, cut=cut)
        self._station.send(messages.EVENTS.to_json(messages.Asked(one.asked.key, told)))

    def _reap(self, result: Connection) -> None:
        """End the process, and its group, which an experiment may have put more into."""
        process = self._under_way.pop(result).process
        result.close()
        assert process.pid is not None
        with suppress(ProcessLookupError):  # the group may not be there yet
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()


def _live(
    ask: Callable[[Key], Answer], key: Key, result: Connection, output: IO[bytes], nursery: int
) -> None:
    """The life of an experiment's process."""
    told = Outcome(None, "it ended without an answer")
    try:
        os.setsid()
        die_with_parent(nursery)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
        told = Outcome(ask(key), "")
        threads = read_threads()
        if threads is not None:
            waited_ns = sum(thread.run_queue_ns for thread in threads)
            told = replace(told, waited_s=waited_ns / 1e9)
    except BaseException as error:
        traceback.print_exc()
        line = " ".join(str(error).split())
        told = replace(told, problem=f"{type(error).__name__}: {line}")
    finally:
        sys.stdout.flush()
        result.send(told)
        # Threads and tasks that never end are what some experiments are about.
        os._exit(0)


def main() -> None:
    """Serve commands until the harness closes the pipe.

    Arguments: the function to ask with, as `module:name`; the pid of the
    harness to die with, where that can be had.
    """
    module, _, name = sys.argv[1].partition(":")
    if len(sys.argv) > 2:
        die_with_parent(int(sys.argv[2]))
    station = Station()
    ask = getattr(importlib.import_module(module), name)
    experiments()
    station.send(messages.EVENTS.to_json(messages.Ready()))
    Nursery(station, ask).obey()


if __name__ == "__main__":
    main()
