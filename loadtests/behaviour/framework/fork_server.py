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
import json
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO

from loopbench.loadtests.behaviour.framework import messages
from loopbench.loadtests.behaviour.framework.catalogue import experiments
from loopbench.loadtests.behaviour.framework.messages import Key, Outcome
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.servers.supervision.control_pipe import STOP, Station
from loopbench.servers.supervision.messages import Json, from_json, to_json
from loopbench.servers.supervision.os_stats import die_with_parent, read_threads

_OUTPUT_LIMIT = 20_000
"""Bytes of what an experiment printed that are handed on: the last of them."""


def run(key: Key) -> Answer:
    """Run the Experiment of that key, here and now."""
    return experiments()[key].experiment.run()


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A forked experiment. began, until: by time.monotonic."""

    number: int
    pid: int
    result: int
    output: IO[bytes]
    began: float
    until: float
    bound_s: float


class Nursery:
    """Forks an experiment a command, ends each at its bound, and tells how it went."""

    def __init__(self, station: Station, ask: Callable[[Key], Answer]) -> None:
        self._station = station
        self._ask = ask
        self._under_way: dict[int, _UnderWay] = {}

    def obey(self) -> None:
        """Carry out commands until one of them is `stop`, or end of file; then end everything."""
        try:
            while self._turn():
                pass
        finally:
            for one in list(self._under_way.values()):
                self._reap(one)

    def _turn(self) -> bool:
        now = time.monotonic()
        untils = [one.until for one in self._under_way.values()]
        timeout = max(0.0, min(untils) - now) if untils else None
        ready, _, _ = select.select([self._station.fileno, *self._under_way], [], [], timeout)
        for descriptor in ready:
            if descriptor != self._station.fileno:
                self._tell(self._under_way[descriptor], cut=False)
        now = time.monotonic()
        for one in [one for one in self._under_way.values() if one.until <= now]:
            self._tell(one, cut=True)
        if self._station.fileno in ready:
            told = self._station.read()
            if told is None or any(message["do"] == STOP for message in told):
                return False
            for message in told:
                self._fork(message)
        return True

    def _fork(self, message: Json) -> None:
        asked = messages.COMMANDS.from_json(message)
        output = tempfile.TemporaryFile()  # noqa: SIM115  closed when the experiment is reaped
        result, write = os.pipe()
        began = time.monotonic()
        nursery = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(result)
            _live(self._ask, asked.key, write, output, nursery)
        os.close(write)
        until = began + asked.bound_s
        one = _UnderWay(asked.number, pid, result, output, began, until, asked.bound_s)
        self._under_way[result] = one

    def _tell(self, one: _UnderWay, *, cut: bool) -> None:
        """The result is there, its pipe has closed without one, or the bound has passed."""
        text = b"" if cut else _all_of(one.result)
        took_s = time.monotonic() - one.began
        self._reap(one)
        told = Outcome(None, "its process ended without an answer")
        if cut:
            told = Outcome(None, f"cut after {one.bound_s:g} s: it had not come to an end")
        elif text:
            told = from_json(Outcome, json.loads(text))
        with one.output as output:
            size = output.seek(0, os.SEEK_END)
            output.seek(max(0, size - _OUTPUT_LIMIT))
            printed = output.read().decode(errors="replace")
        told = replace(told, took_s=took_s, output=printed, cut=cut)
        self._station.send(messages.EVENTS.to_json(messages.Asked(one.number, told)))

    def _reap(self, one: _UnderWay) -> None:
        """End the process, and its group, which an experiment may have put more into."""
        del self._under_way[one.result]
        os.close(one.result)
        for kill in (os.killpg, os.kill):  # the group may not be there yet
            with suppress(ProcessLookupError):
                kill(one.pid, signal.SIGKILL)
        os.waitpid(one.pid, 0)


def _all_of(descriptor: int) -> bytes:
    """What is written there until its end. A process writes its result whole, then goes."""
    parts = []
    while part := os.read(descriptor, 65536):
        parts.append(part)
    return b"".join(parts)


def _live(
    ask: Callable[[Key], Answer], key: Key, result: int, output: IO[bytes], nursery: int
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
        os.set_inheritable(result, False)
        os.write(result, json.dumps(to_json(told)).encode())
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
