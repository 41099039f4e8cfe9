"""Ask Experiments in processes of their own, of which nothing is left afterwards.

multiprocessing's fork server makes them: it has imported every Question and does nothing else,
so that a process costs milliseconds, and little CPU time beside the experiments that compare times.
"""

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
from multiprocessing.context import ForkServerProcess
from typing import IO, Self

from loopbench.loadtests.behaviour.framework.catalogue import experiments
from loopbench.loadtests.behaviour.framework.question import Answer, Key, Outcome
from loopbench.servers.supervision.child_process import interrupts_deferred
from loopbench.servers.supervision.os_stats import die_with_parent, read_threads

_OUTPUT_LIMIT = 20_000
"""Bytes of what an experiment printed that are handed on: the last of them."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["__main__", f"{__package__}.fork_server", __name__])


def run(key: Key) -> Answer:
    """Run the Experiment of that key, here and now."""
    return experiments()[key].experiment.run()


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """An experiment in its process. began: by time.monotonic."""

    key: Key
    bound_s: float
    process: ForkServerProcess
    output: IO[bytes]
    began: float

    @property
    def left_s(self) -> float:
        """How long it may still take."""
        return self.began + self.bound_s - time.monotonic()


class Nursery:
    """Has experiments run, ends each at its bound, and at its own end all that is under way.

    One thread at a time. ask: what to do in the process of an experiment; a function at the top
    of a module.
    """

    def __init__(self, ask: Callable[[Key], Answer] = run) -> None:
        self._ask = ask
        self._under_way: dict[Connection, _UnderWay] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        while self._under_way:
            self._end(next(iter(self._under_way)), cut=True)

    def begin(self, key: Key, bound_s: float) -> None:
        """Begin an Experiment, which is cut after so long."""
        output = tempfile.NamedTemporaryFile()  # noqa: SIM115  closed when the experiment ends
        with interrupts_deferred():
            result, its = _FORKS.Pipe(duplex=False)
            process = _FORKS.Process(target=_live, args=(self._ask, key, its, output.name))
            process.start()
            its.close()
            began = time.monotonic()
            self._under_way[result] = _UnderWay(key, bound_s, process, output, began)

    def next(self) -> tuple[Key, Outcome]:
        """The next Experiment that ends, by itself or at its bound."""
        while True:
            left_s = min(experiment.left_s for experiment in self._under_way.values())
            ready = wait(self._under_way, max(0.0, left_s))
            for result, experiment in self._under_way.items():
                if result in ready or experiment.left_s <= 0:
                    return experiment.key, self._end(result, cut=result not in ready)

    def ask(self, key: Key, bound_s: float) -> Outcome:
        """Ask one Experiment, and wait for its Outcome."""
        self.begin(key, bound_s)
        return self.next()[1]

    def _end(self, result: Connection, *, cut: bool) -> Outcome:
        """Take what the experiment says, unless it is cut, and end all of its process group."""
        experiment = self._under_way.pop(result)
        outcome = Outcome(None, "its process ended without an answer")
        if cut:
            outcome = Outcome(
                None, f"cut after {experiment.bound_s:g} s: it had not come to an end"
            )
        else:
            with suppress(EOFError):  # the pipe has closed without a result
                outcome = result.recv()
        took_s = time.monotonic() - experiment.began
        result.close()
        assert experiment.process.pid is not None
        with suppress(ProcessLookupError):  # the group may not be there yet
            os.killpg(experiment.process.pid, signal.SIGKILL)
        experiment.process.kill()
        experiment.process.join()
        with experiment.output as output:
            output.seek(max(0, output.seek(0, os.SEEK_END) - _OUTPUT_LIMIT))
            printed = output.read().decode(errors="replace")
        return replace(outcome, took_s=took_s, output=printed, cut=cut)


def _live(ask: Callable[[Key], Answer], key: Key, result: Connection, output: str) -> None:
    """The life of an experiment's process."""
    outcome = Outcome(None, "it ended without an answer")
    try:
        os.setsid()
        die_with_parent(os.getppid())
        descriptor = os.open(output, os.O_RDWR | os.O_APPEND)  # an experiment may read it
        for standard in (1, 2):
            os.dup2(descriptor, standard)
        sys.stdout, sys.stderr = os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
        outcome = Outcome(ask(key), "")
        threads = read_threads()
        if threads is not None:
            waited_ns = sum(thread.run_queue_ns for thread in threads)
            outcome = replace(outcome, waited_s=waited_ns / 1e9)
    except BaseException as error:
        traceback.print_exc()
        line = " ".join(str(error).split())
        outcome = replace(outcome, problem=f"{type(error).__name__}: {line}")
    finally:
        sys.stdout.flush()
        result.send(outcome)
        # Threads and tasks that never end are what some experiments are about.
        os._exit(0)
