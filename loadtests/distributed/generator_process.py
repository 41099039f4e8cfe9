"""The harness's side of the load generator: one long-lived child process."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from loopbench.loadtests.errors import GeneratorDied, HarnessError
from loopbench.loadtests.messages import generator as messages
from loopbench.loadtests.messages.reports import Report, SliceResult
from loopbench.loadtests.messages.specs import BlockSpec, Phase, SessionSpec
from loopbench.results.schema import ROOT
from loopbench.servers.lifecycle.process import open_log
from loopbench.servers.supervision.child_process import Child, interrupts_deferred, lasting_parent
from loopbench.servers.supervision.control_pipe import ControlClosed, ControlTimeout
from loopbench.servers.supervision.messages import MessageError

_READY_BOUND_S = 60.0
_STOP_BOUND_S = 5.0
_POLL_S = 0.25
_REPORT_BOUND_S = 60.0
"""Beyond the load's own phases: connecting, and encoding the report."""

E = TypeVar("E", bound=messages.GeneratorEvent)


class Loader(Protocol):
    """What carries out loads: one generator, or a master with its workers."""

    @property
    def alive(self) -> bool: ...

    def load(
        self, spec: SessionSpec, *, bound_s: float, at: messages.At, give_up: Callable[[], bool]
    ) -> Report: ...


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
        spec: SessionSpec,
        *,
        bound_s: float,
        at: messages.At,
        give_up: Callable[[], bool],
        say: Callable[[messages.GeneratorEvent], None] = lambda _: None,
    ) -> Report:
        """Run one load and return its report.

        at: called at events of these kinds. say: called with every other one. give_up: polled
        while waiting; once true, the load is broken off, and what was measured is still returned.
        bound_s: the longest that the load's phases may take together.
        Raises GeneratorDied when the process ends or falls silent.
        """
        self.send(messages.OfferLoad(spec))
        deadline = time.monotonic() + bound_s + _REPORT_BOUND_S
        aborted = False
        while True:
            if not aborted and give_up():
                self.send(messages.Abort())
                aborted = True
            event = self.next_event(_POLL_S)
            if event is None:
                if time.monotonic() > deadline:
                    raise GeneratorDied("the load generator fell silent")
                continue
            if isinstance(event, messages.Finished):
                return event.report
            if isinstance(event, messages.Lost):
                raise GeneratorDied(event.error)
            if isinstance(event, messages.Failed):
                raise _could_not(event)
            if type(event) in at:
                at[type(event)]()
            else:
                say(event)
            if isinstance(event, messages.WindowClosed):  # whatever was to be read has been
                self.send(messages.Release())

    def open_block(self, spec: BlockSpec, bound_s: float) -> None:
        """Connect the users of several servers. Raises GeneratorDied and HarnessError as `load`
        does."""
        self.send(messages.OpenBlock(spec))
        self.expect(messages.BlockOpened, bound_s)

    def slice(self, target: str, seconds: float, phase: Phase, *, bound_s: float) -> SliceResult:
        """Visit one target of the open Block. Raises as `load` does.

        bound_s: the longest that it may take beside its own length.
        """
        self.send(messages.Visit(target, seconds, phase))
        return self.expect(messages.Visited, seconds + bound_s).result

    def close_block(self, bound_s: float) -> dict[str, Report]:
        """Disconnect; the report on each target, as `load` gives it. Raises as `load` does."""
        self.send(messages.CloseBlock())
        return self.expect(messages.BlockClosed, bound_s).reports

    def next_event(self, bound_s: float) -> messages.GeneratorEvent | None:
        """The next event; None where none came in time. Raises GeneratorDied."""
        try:
            return messages.EVENTS.from_json(self._child.event(bound_s))
        except ControlTimeout:
            return None
        except ControlClosed:
            raise self._died() from None
        except MessageError as error:
            raise GeneratorDied(f"the load generator cannot be understood: {error}") from error

    def expect(self, kind: type[E], bound_s: float) -> E:
        """The next event, which must be of a kind. Raises GeneratorDied, and HarnessError where
        it is that something failed."""
        event = self.next_event(bound_s)
        if isinstance(event, kind):
            return event
        if event is None:
            raise GeneratorDied("the load generator fell silent")
        if isinstance(event, messages.Failed):
            raise _could_not(event)
        raise GeneratorDied(f"the load generator said {event} instead of a {kind.__name__}")

    def pin(self, cpus: frozenset[int]) -> None:
        """Keep the process to these CPUs."""
        self.send(messages.Pin(tuple(sorted(cpus))))
        self.expect(messages.Pinned, _STOP_BOUND_S)

    def await_ready(self) -> messages.Ready:
        """Wait until it has come up. Raises GeneratorDied."""
        return self.expect(messages.Ready, _READY_BOUND_S)

    def send(self, command: messages.GeneratorCommand) -> None:
        """Send a command. Raises GeneratorDied."""
        try:
            self._child.send(messages.COMMANDS.to_json(command))
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


def _could_not(event: messages.Failed) -> HarnessError:
    return HarnessError(f"the load generator could not run the load: {event.error}")


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
        errors = cleanup.enter_context(open_log(log))
        with interrupts_deferred():
            parent = lasting_parent()
            words = () if parent is None else (str(parent),)
            command = (sys.executable, "-m", "loopbench.loadtests.generator.main", *words)
            child = Child(command, ROOT, errors)
            cleanup.callback(child.stop, _STOP_BOUND_S)
        generator = Generator(child)
        generator.await_ready()
        if cpus is not None:
            generator.pin(cpus)
        yield generator
