"""The harness's side of the load generator: one long-lived child process."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from loadtests.errors import GeneratorDied, HarnessError
from servers.commanded import Child, interrupts_deferred
from servers.control import ControlClosed, ControlTimeout, Message

_ROOT = Path(__file__).resolve().parent.parent
_READY_BOUND_S = 60.0
_STOP_BOUND_S = 5.0
_POLL_S = 0.25
_REPORT_BOUND_S = 60.0
"""Beyond the load's own phases: connecting, and encoding the report."""


class Generator:
    """A live generator. Use `generator_process`."""

    def __init__(self, child: Child) -> None:
        self._child = child

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return not self._child.exited

    def load(
        self,
        command: dict[str, Any],
        *,
        bound_s: float,
        at: dict[str, Callable[[], None]],
        give_up: Callable[[], bool],
    ) -> Message:
        """Run one load and return its report.

        command: a SessionSpec as JSON types. at: called at the events of these
        names; others pass. give_up: polled while waiting; once true, the load
        is broken off, and what was measured is still returned.
        bound_s: the longest that the load's phases may take together.
        Raises GeneratorDied when the process ends or falls silent.
        """
        self._send({"do": "load", **command})
        deadline = time.monotonic() + bound_s + _REPORT_BOUND_S
        aborted = False
        while True:
            if not aborted and give_up():
                self._send({"do": "abort"})
                aborted = True
            try:
                message = self._child.event(_POLL_S)
            except ControlTimeout:
                if time.monotonic() > deadline:
                    raise GeneratorDied("the load generator fell silent") from None
                continue
            except ControlClosed:
                raise self._died() from None
            event = message["event"]
            if event == "finished":
                report: Message = message["report"]
                return report
            if event == "failed":
                raise HarnessError(f"the load generator could not run the load: {message['error']}")
            if event in at:
                at[event]()
            if event == "window-closed":  # whatever was to be read has been
                self._send({"do": "release"})

    def expect(self, event: str, bound_s: float) -> Message:
        """The next message, which must be `event`. Raises GeneratorDied otherwise."""
        try:
            message = self._child.event(bound_s)
        except ControlTimeout:
            raise GeneratorDied(f"the load generator did not say {event!r}") from None
        except ControlClosed:
            raise self._died() from None
        if message["event"] != event:
            raise GeneratorDied(f"the load generator said {message} instead of {event!r}")
        return message

    def pin(self, cpus: frozenset[int]) -> None:
        """Keep the process to these CPUs."""
        self._send({"do": "pin", "cpus": sorted(cpus)})
        self.expect("pinned", _STOP_BOUND_S)

    def _send(self, message: Message) -> None:
        try:
            self._child.send(message)
        except ControlClosed:
            raise self._died() from None

    def _died(self) -> GeneratorDied:
        """How it ended, and its last line on standard error."""
        ended = self._child.stop(_STOP_BOUND_S)
        words = self._child.last_words()
        code = ended.exit_code or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        if ended.killed:
            how = "its pipe was closed, and it was killed"
        return GeneratorDied(f"the load generator ended ({how}){f': {words}' if words else ''}")


@contextmanager
def generator_process(
    *, cpus: frozenset[int] | None = None, log: Path | None = None
) -> Iterator[Generator]:
    """Start the generator, and end it whatever happens.

    cpus: where it may run; None leaves that to the kernel. log: file for what
    it prints on standard error; without one that is dropped.
    Raises GeneratorDied when it does not come up.
    """
    with ExitStack() as cleanup:
        errors = cleanup.enter_context(_opened(log))
        with interrupts_deferred():
            child = Child((sys.executable, "-m", "loadtests.generator", *_parent()), _ROOT, errors)
            cleanup.callback(child.stop, _STOP_BOUND_S)
        generator = Generator(child)
        generator.expect("ready", _READY_BOUND_S)
        if cpus is not None:
            generator.pin(cpus)
        yield generator


def _parent() -> list[str]:
    """Our pid, for the generator to die with; none from another thread than the main one,
    whose end the kernel would take for ours (prctl(2), PR_SET_PDEATHSIG)."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    return [str(os.getpid())] if in_main_thread else []


def _opened(log: Path | None) -> IO[bytes]:
    return tempfile.TemporaryFile() if log is None else log.open("a+b")
