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
from typing import IO, Any, Protocol

from loopbench.loadtests.errors import GeneratorDied, HarnessError
from loopbench.results.schema import ROOT
from loopbench.servers.supervision.child_process import Child, interrupts_deferred
from loopbench.servers.supervision.control_pipe import ControlClosed, ControlTimeout, Message

_READY_BOUND_S = 60.0
_STOP_BOUND_S = 5.0
_POLL_S = 0.25
_REPORT_BOUND_S = 60.0
"""Beyond the load's own phases: connecting, and encoding the report."""


class Loader(Protocol):
    """What carries out loads: one generator, or a master with its workers."""

    @property
    def alive(self) -> bool: ...

    def load(
        self,
        command: dict[str, Any],
        *,
        bound_s: float,
        at: dict[str, Callable[[], None]],
        give_up: Callable[[], bool],
    ) -> Message: ...


class Generator:
    """A live generator. Use `generator_process`. ready: its first event."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.ready: Message = {}

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
        self.send({"do": "load", **command})
        deadline = time.monotonic() + bound_s + _REPORT_BOUND_S
        aborted = False
        while True:
            if not aborted and give_up():
                self.send({"do": "abort"})
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
            if event == "lost":
                raise GeneratorDied(message["error"])
            if event == "failed":
                raise HarnessError(f"the load generator could not run the load: {message['error']}")
            if event in at:
                at[event]()
            if event == "window-closed":  # whatever was to be read has been
                self.send({"do": "release"})

    def open_block(self, command: dict[str, Any], bound_s: float) -> None:
        """Connect the users of several servers, as a BlockSpec in JSON types says.

        Raises GeneratorDied and HarnessError as `load` does.
        """
        self.send({"do": "open-block", **command})
        self._answer("block-opened", bound_s)

    def slice(self, target: str, seconds: float, *, counted: bool, bound_s: float) -> Message:
        """Visit one target of the open Block; a SliceResult as JSON types. Raises as `load` does.

        bound_s: the longest that it may take beside its own length.
        """
        self.send({"do": "slice", "target": target, "seconds": seconds, "counted": counted})
        result: Message = self._answer("sliced", seconds + bound_s)["slice"]
        return result

    def close_block(self, bound_s: float) -> dict[str, Message]:
        """Disconnect; the report on each target, as `load` gives it. Raises as `load` does."""
        self.send({"do": "close-block"})
        reports: dict[str, Message] = self._answer("block-closed", bound_s)["reports"]
        return reports

    def _answer(self, event: str, bound_s: float) -> Message:
        message = self.next_event(bound_s)
        if message is None:
            raise GeneratorDied("the load generator fell silent")
        if message["event"] == "failed":
            raise HarnessError(f"the load generator could not run the load: {message['error']}")
        if message["event"] != event:
            raise GeneratorDied(
                f"the load generator said {message['event']!r} instead of {event!r}"
            )
        return message

    def next_event(self, bound_s: float) -> Message | None:
        """The next message; None where none came in time. Raises GeneratorDied."""
        try:
            return self._child.event(bound_s)
        except ControlTimeout:
            return None
        except ControlClosed:
            raise self._died() from None

    def expect(self, event: str, bound_s: float) -> Message:
        """The next message, which must be `event`. Raises GeneratorDied otherwise."""
        message = self.next_event(bound_s)
        if message is None:
            raise GeneratorDied(f"the load generator did not say {event!r}")
        if message["event"] != event:
            raise GeneratorDied(f"the load generator said {message} instead of {event!r}")
        return message

    def pin(self, cpus: frozenset[int]) -> None:
        """Keep the process to these CPUs."""
        self.send({"do": "pin", "cpus": sorted(cpus)})
        self.expect("pinned", _STOP_BOUND_S)

    def await_ready(self) -> None:
        """Wait until it has come up. Raises GeneratorDied."""
        self.ready = self.expect("ready", _READY_BOUND_S)

    def send(self, message: Message) -> None:
        """Send a command. Raises GeneratorDied."""
        try:
            self._child.send(message)
        except ControlClosed:
            raise self._died() from None

    def _died(self) -> GeneratorDied:
        """How it ended, and its last line on standard error."""
        ended = self._child.stop(_STOP_BOUND_S)
        output = self._child.last_words()
        code = ended.exit_code or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        if ended.killed:
            how = "its pipe was closed, and it was killed"
        return GeneratorDied(f"the load generator ended ({how}){f': {output}' if output else ''}")


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
        errors = cleanup.enter_context(opened_log(log))
        with interrupts_deferred():
            child = Child(
                (sys.executable, "-m", "loopbench.loadtests.generator.main", *_parent()),
                ROOT,
                errors,
            )
            cleanup.callback(child.stop, _STOP_BOUND_S)
        generator = Generator(child)
        generator.await_ready()
        if cpus is not None:
            generator.pin(cpus)
        yield generator


def lasting_parent() -> int | None:
    """Our pid, for a child to die with; None from another thread than the main one,
    whose end the kernel would take for ours (prctl(2), PR_SET_PDEATHSIG)."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    return os.getpid() if in_main_thread else None


def _parent() -> list[str]:
    parent = lasting_parent()
    return [] if parent is None else [str(parent)]


def opened_log(log: Path | None) -> IO[bytes]:
    return tempfile.TemporaryFile() if log is None else log.open("a+b")
