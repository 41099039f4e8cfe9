"""Ask Experiments in processes of their own, of which nothing is left afterwards."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loopbench.loadtests.behaviour.framework import messages
from loopbench.loadtests.behaviour.framework.fork_server import run
from loopbench.loadtests.behaviour.framework.messages import Key, Outcome
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.errors import HarnessError
from loopbench.servers.supervision.child_process import Child, interrupts_deferred
from loopbench.servers.supervision.control_pipe import ControlClosed, ControlTimeout

_ROOT = Path(__file__).resolve().parent.parent.parent
_READY_BOUND_S = 60.0
_STOP_BOUND_S = 10.0
_BEYOND_S = 30.0
"""How much longer than an experiment's own bound its end is waited for."""


class Nursery:
    """A live process that experiments are forked from. Use `nursery`; one thread at a time."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def begin(self, key: Key, bound_s: float) -> None:
        """Begin an Experiment. Raises HarnessError."""
        with self._living():
            self._child.send(messages.COMMANDS.to_json(messages.Ask(key, bound_s)))

    def next(self, bound_s: float) -> tuple[Key, Outcome]:
        """The next Experiment that ends. Raises HarnessError."""
        with self._living():
            asked = messages.EVENTS.from_json(self._child.event(bound_s + _BEYOND_S))
        if not isinstance(asked, messages.Asked):
            raise HarnessError(f"the process that asks the questions said {asked}")
        return asked.key, asked.outcome

    def ask(self, key: Key, bound_s: float) -> Outcome:
        """Ask one Experiment, and wait for its Outcome."""
        self.begin(key, bound_s)
        return self.next(bound_s)[1]

    @contextmanager
    def _living(self) -> Iterator[None]:
        try:
            yield
        except ControlTimeout:
            raise HarnessError("the process that asks the questions fell silent") from None
        except ControlClosed:
            self._child.stop(_STOP_BOUND_S)
            words = self._child.last_words()
            raise HarnessError(f"the process that asks the questions ended: {words}") from None


@contextmanager
def nursery(ask: Callable[[Key], Answer] = run) -> Iterator[Nursery]:
    """Start it, and end it with all that is under way, whatever happens.

    ask: what to do in the process of an experiment; a function at the top of a module.
    Raises HarnessError when it does not come up, such as for a Question that cannot be imported.
    """
    command = [sys.executable, "-m", run.__module__, f"{ask.__module__}:{ask.__qualname__}"]
    if threading.current_thread() is threading.main_thread():
        command.append(str(os.getpid()))  # with whose thread it dies
    with tempfile.TemporaryFile() as errors:
        with interrupts_deferred():
            child = Child(command, _ROOT, errors)
        try:
            asker = Nursery(child)
            with asker._living():
                child.event(_READY_BOUND_S)
            yield asker
        finally:
            child.stop(_STOP_BOUND_S)
