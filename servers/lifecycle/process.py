"""Start a Stack in a child process, read it from inside, and see it gone afterwards.

This is the harness's side, in synchronous code; servers.lifecycle.child_main is the other.
Whatever way the context manager is left, the child has ended and been reaped,
its process group is empty and its pipes are closed.
"""

from __future__ import annotations

import http.client
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from loopbench.results.schema import ROOT
from loopbench.servers import errors, stacks, starting
from loopbench.servers.contract.asking import Unbounded, ask
from loopbench.servers.errors import ServerError, StartupFailed
from loopbench.servers.lifecycle.facts import (
    Facts,
    StackFacts,
)
from loopbench.servers.lifecycle.messages import (
    EVENTS,
    Config,
    Failed,
    Listening,
    Read,
)
from loopbench.servers.lifecycle.tree import layout_of
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision import os_stats
from loopbench.servers.supervision.child_process import (
    Child,
    Ended,
    interrupts_deferred,
    lasting_parent,
)
from loopbench.servers.supervision.control_pipe import ControlClosed, ControlError, ControlTimeout
from loopbench.servers.supervision.messages import MessageError, Question, to_json
from loopbench.servers.supervision.os_stats import Reading
from loopbench.servers.supervision.scratch import scratch_folder

__all__ = ["Ended", "Reading", "ServerProcess", "server_process"]

A = TypeVar("A")
_DEFAULTS = Settings()
_FACTS_BOUND_S = 10.0
_FAILURES: dict[str, type[ServerError]] = {
    kind.__name__: kind
    for kind in (ServerError, errors.UnknownStack, errors.PortInUse, StartupFailed)
}
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where to reach a server that accepts on all of its machine's addresses."""


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A live Stack in a child process, made by `server_process`; it has answered before you get it.

    pid: of the process that serves, as it says itself.
    url, host, port: where it accepts connections.
    start_ms: spawn → its word that it listens.
    first_answer_ms: spawn → its first correct answer over a real socket.
    one_clock: whether it runs under the same kernel as the harness, so that instants read on
    both sides can be compared; False where nothing says so.
    """

    stack: Stack
    pid: int
    url: str
    host: str
    port: int
    start_ms: float
    first_answer_ms: float
    one_clock: bool
    _child: Child
    _stop_timeout_s: float

    @property
    def alive(self) -> bool:
        """Whether the process has not ended yet. A frozen process is alive."""
        return not self._child.exited

    @property
    def ended(self) -> Ended | None:
        """How it ended; None until it was stopped."""
        return self._child.ended

    @property
    def failure(self) -> str | None:
        """Why it ended by itself, in its own words; None where it said nothing, as when it was
        killed. Complete once it was stopped."""
        events = [EVENTS.from_json(event, strict=False) for event in self._child.events]
        failed = [event.error for event in events if isinstance(event, Failed)]
        return failed[-1] if failed else None

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes whose CPU time is that of the server."""
        return (self.pid,)

    @property
    def facts(self) -> StackFacts:
        """What is in force inside; asked anew each time.

        Raises as `read` does, and ControlError where a fact cannot be had.
        """
        return self._child.ask(Facts(), _FACTS_BOUND_S)

    def read(self, timeout_s: float = 2.0) -> Reading:
        """A Reading taken inside the process, even while its loop is blocked.

        Raises ControlTimeout when no answer came in time (a frozen process,
        a GIL that is held), ControlClosed when the process is gone.
        """
        return self._child.ask(Read(), timeout_s)

    def ask(self, question: Question[A], timeout_s: float = 2.0) -> A:
        """The child's answer, see servers.probe.readings.

        Raises as `read` does, and ControlError for a question that fails or that its settings do
        not allow.
        """
        return self._child.ask(question, timeout_s)

    def ask_part(self, question: Question[Any], kind: type[A], timeout_s: float = 2.0) -> A:
        """The same of a child of another tree, see `Conversation.ask_part`."""
        return self._child.ask_part(question, kind, timeout_s)

    def stop(self) -> Ended:
        """Stop gracefully; kill at the bound. May be called again, and returns the same."""
        return self._child.stop(self._stop_timeout_s)


@contextmanager
def server_process(
    name: str | Stack,
    *,
    settings: Settings = _DEFAULTS,
    host: str = "127.0.0.1",
    port: int = 0,
    cpus: frozenset[int] | None = None,
    log: Path | None = None,
    ready_timeout_s: float | None = None,
    stop_timeout_s: float = 10.0,
    prefix: tuple[str, ...] = (),
    python: Path = Path(sys.executable),
    root: Path = ROOT,
    given_up: Callable[[Callable[[], None]], AbstractContextManager[None]] | None = None,
) -> Iterator[ServerProcess]:
    """Run stack `name` in a child process that has answered a request; stop it in the end.

    cpus: bind the process to these; `facts.cpus` says what is in force.
    log: its standard error is appended there; without one it is dropped.
    ready_timeout_s: spawn → first answer; by default what its row says.
    stop_timeout_s: how long a graceful stop may take before the process group is killed.
    prefix: a command put in front, such as `("ip", "netns", "exec", NAME)`; it must hand
        standard input and output through.
    python, root: another interpreter, and another tree that holds `servers`, than this one's;
        `stack` and `settings` are then this tree's words for what the other one starts.
    given_up: entered, while the process is there, with what kills it at once: for a start or a stop
        that takes long, and that nobody may wait for any more.

    Raises UnknownStack, PortInUse, or StartupFailed with the cause.
    """
    stack = stacks.find(name)
    ready_timeout_s = ready_timeout_s or starting.ready_s(stack)
    layout = layout_of(root)
    if layout is None:
        raise StartupFailed(
            f"{root} holds no servers of this suite, or older ones than it can start"
        )
    parent = None if prefix else lasting_parent()  # behind a prefix its process is the parent
    config = Config.of(stack, host, port, settings, cpus, parent, stop_timeout_s)
    with ExitStack() as cleanup:
        stderr = cleanup.enter_context(open_log(log))
        # One that is killed removes nothing of its temporary files.
        temporary = cleanup.enter_context(scratch_folder())
        spawned = time.perf_counter()
        with interrupts_deferred():
            command = (*prefix, str(python), "-m", layout.child)
            child = spawn(stack, command, root, stderr, temporary)
            cleanup.callback(child.stop, stop_timeout_s)
        if given_up is not None:
            cleanup.enter_context(given_up(child.kill))
        with awaiting(child, stack, ready_timeout_s, stop_timeout_s):
            server = _ready(child, stack, config, spawned, ready_timeout_s, prefix)
        yield server


@contextmanager
def awaiting(
    child: Child, stack: Stack, ready_timeout_s: float, stop_timeout_s: float
) -> Iterator[None]:
    """While a child gets ready: what is wrong with the talk to it is a StartupFailed."""
    try:
        yield
    except ControlTimeout as error:
        longer = "" if stack.own is None else "; give its start longer by --ready-s"
        raise StartupFailed(
            f"{stack.name} was not ready within {ready_timeout_s:g} s{longer}{_quoted(child)}"
        ) from error
    except ControlClosed as error:
        ended = child.stop(stop_timeout_s)
        raise StartupFailed(
            f"{stack.name} ended before it was ready, exit status {ended.exit_code}{_quoted(child)}"
        ) from error
    except ControlError as error:
        raise StartupFailed(f"{stack.name} cannot be commanded: {error}") from error


def open_log(log: Path | None) -> IO[bytes]:
    """Where a child's standard error goes; without a path, to a file that nobody sees.

    Raises ServerError.
    """
    if log is None:
        return tempfile.TemporaryFile()
    try:
        return log.open("a+b")
    except OSError as error:
        raise ServerError(
            f"cannot write the log {log}: {error.strerror}; name another place"
        ) from error


def spawn(
    stack: Stack, command: tuple[str, ...], root: Path, log: IO[bytes], temporary: Path
) -> Child:
    """Run `command` in the folder `root`. Raises StartupFailed."""
    try:
        return Child(command, root, log, temporary)
    except OSError as error:
        raise StartupFailed(
            f"{stack.name} did not start: cannot run {command[0]}: {error.strerror}"
        ) from error


def _ready(
    child: Child,
    stack: Stack,
    config: Config,
    spawned: float,
    timeout_s: float,
    prefix: tuple[str, ...],
) -> ServerProcess:
    """Configure the child and wait until it has answered a request; ControlError when it goes."""
    deadline = time.monotonic() + timeout_s
    with suppress(ControlClosed):  # its earlier output explains an early exit better
        child.send(to_json(config))
    listening = begun(child, timeout_s)
    start_ms = (time.perf_counter() - spawned) * 1000
    greet(stack, listening.host, listening.port, deadline)
    first_answer_ms = (time.perf_counter() - spawned) * 1000
    return ServerProcess(
        stack=stack,
        pid=listening.pid,
        url=listening.url,
        host=listening.host,
        port=listening.port,
        start_ms=start_ms,
        first_answer_ms=first_answer_ms,
        one_clock=not prefix or listening.boot_id == os_stats.boot_id(),
        _child=child,
        _stop_timeout_s=config.stop_timeout_s,
    )


def begun(child: Child, timeout_s: float) -> Listening:
    """The child's first event. Raises what it says that it has raised, and ControlError."""
    try:
        event = EVENTS.from_json(child.event(timeout_s), strict=False)
    except MessageError as error:
        raise ControlError(str(error)) from error
    if isinstance(event, Failed):
        raise refusal(event)
    if not isinstance(event, Listening):
        raise ControlError(f"it said {event} instead of where it listens")
    return event


def refusal(failed: Failed) -> ServerError:
    """What a child that failed said, as what it raised."""
    return _FAILURES.get(failed.kind, StartupFailed)(failed.error)


def greet(stack: Stack, host: str, port: int, deadline: float) -> None:
    """Send the stack's greeting, if it has one. Raises StartupFailed unless the answer is right."""
    greeting = starting.greeting(stack)
    if greeting is None:
        return
    request, expected = greeting
    left_s = max(0.001, deadline - time.monotonic())
    timeout_s = left_s if stack.own is None else min(left_s, starting.first_answer_s(stack))
    promised = "" if expected is None else " as the contract says"
    remedy = "" if stack.own is None else f"; {starting.longer(stack)}"
    address = _ANY_ADDRESS.get(host, host)
    try:
        # Where any answer does, it need not have an end.
        answer = ask(address, port, request, bound_s=timeout_s, head_only=expected is None)
        wrong = None if expected is None else expected.check(answer.status, answer.body)
    except Unbounded as error:
        wrong = f"the answer {error}"
    except (OSError, http.client.HTTPException) as error:
        wrong = f"{type(error).__name__}: {error}"
    if wrong is not None:
        raise StartupFailed(
            f"{stack.name} listens on {host} port {port} but did not answer "
            f"{request.method} {request.target}{promised}: {wrong}{remedy}"
        )


def _quoted(child: Child) -> str:
    """The child's last line on standard error, to end a message with."""
    words = child.last_words()
    return f"; its last line: {words}" if words else ""
