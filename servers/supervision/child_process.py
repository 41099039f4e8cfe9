"""A child process that is commanded over its standard input and output, and does not outlive us."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any, TypeVar

import psutil

from loopbench.servers.supervision.control_pipe import (
    STOP,
    Channel,
    ControlClosed,
    ControlError,
    ControlTimeout,
)
from loopbench.servers.supervision.descendants import descendants_of, kill
from loopbench.servers.supervision.messages import (
    Json,
    MessageError,
    Question,
    from_json,
    part_from_json,
)

A = TypeVar("A")

_EXIT_POLL_S = 0.0005
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    stop_ms: the stop command → the process's exit; None where the process had
        ended before, or had to be killed.
    exit_code: as waited for; negative is the number of the signal that ended it.
    killed: whether it was the harness that had to kill it.
    """

    stop_ms: float | None
    exit_code: int | None
    killed: bool


class Conversation:
    """Commands to another process through a Channel, and what it says by itself.

    events: messages that answer no command and that nobody has taken yet.
    One thread uses it at a time.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.events: list[Json] = []
        self._last_id = 0

    def event(self, timeout_s: float) -> Json:
        """The next message that is no answer to a command.

        Raises ControlTimeout, ControlClosed and ControlError as Channel.receive does.
        """
        deadline = time.monotonic() + timeout_s
        while not self.events:
            self._receive(deadline)
        return self.events.pop(0)

    def ask(self, question: Question[A], timeout_s: float) -> A:
        """Have the process answer.

        Raises ControlTimeout, ControlClosed and ControlError as Channel.receive
        does, and ControlError when the answer is an error, or cannot be understood.
        """
        sent, answer = self._answer(question, timeout_s)
        try:
            return from_json(question.answer(), answer)
        except MessageError as error:
            raise ControlError(f"{sent}: {error}") from error

    def ask_part(self, question: Question[Any], kind: type[A], timeout_s: float) -> A:
        """The same of a process of another version of the suite, of whose answer only what is in
        `kind` is needed."""
        sent, answer = self._answer(question, timeout_s)
        try:
            return part_from_json(kind, answer)
        except MessageError as error:
            raise ControlError(f"{sent}: {error}") from error

    def _answer(self, question: Question[Any], timeout_s: float) -> tuple[str, Json]:
        """The question's name, and the answer as it came."""
        deadline = time.monotonic() + timeout_s
        self._last_id += 1
        sent = question.to_json()
        self.channel.send({**sent, "id": self._last_id})
        answer = self._receive(deadline)
        while answer is None or answer.pop("id") != self._last_id:
            answer = self._receive(deadline)  # the late answer to a command given up on
        if "error" in answer:
            raise ControlError(f"{sent['do']}: {answer['error']}")
        return sent["do"], answer

    def drain(self, deadline: float) -> None:
        """Receive until the end of file or the deadline, and keep the events."""
        while True:
            try:
                self._receive(deadline)
            except (ControlClosed, ControlTimeout):
                return
            except ControlError:
                continue

    def _receive(self, deadline: float) -> Json | None:
        """The next answer; None when an event came instead, which is kept."""
        message = self.channel.receive(deadline - time.monotonic())
        if "id" in message:
            return message
        self.events.append(message)
        return None


class Child:
    """A process in a session of its own, with a Channel to it.

    Its own session, so that Ctrl-C at the terminal reaches only the harness,
    which then stops its children in order. One thread uses a Child at a time.

    command: the program and its arguments.
    cwd: where it runs.
    log: where its standard error goes; open for reading and writing, and closed by the caller.
    temporary: where it keeps its temporary files; None: where this process does.

    ended: None until `stop`.

    Raises OSError when the command cannot be run. After a return `stop` must
    be called, whatever happens; keep interrupts away until that is arranged.
    """

    def __init__(
        self, command: Sequence[str], cwd: Path, log: IO[bytes], temporary: Path | None = None
    ) -> None:
        self.ended: Ended | None = None
        self._reaping = threading.Lock()
        self._descendants: list[psutil.Process] = []
        self._log = log
        self._log_start = os.fstat(log.fileno()).st_size
        their_input, writer = os.pipe()
        reader, their_output = os.pipe()
        self._channel = Channel(reader, writer)
        self._talk = Conversation(self._channel)
        try:
            self._popen = subprocess.Popen(
                command,
                stdin=their_input,
                stdout=their_output,
                stderr=log,
                cwd=cwd,
                start_new_session=True,
                env=None if temporary is None else {**os.environ, "TMPDIR": str(temporary)},
            )
        except BaseException:
            self._channel.close()
            raise
        finally:
            os.close(their_input)
            os.close(their_output)

    @property
    def events(self) -> list[Json]:
        """See Conversation."""
        return self._talk.events

    @property
    def pid(self) -> int:
        """Of the process that was spawned, which may be a command in front of the real one."""
        return self._popen.pid

    @property
    def exited(self) -> bool:
        """Whether the process has ended. It is not reaped here, and so keeps its pid."""
        if self.ended is not None:
            return True
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._popen.poll() is not None
        try:
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self._popen.pid, flags) is not None
        except ChildProcessError:
            return True

    def fileno(self) -> int:
        """The descriptor that its messages arrive on, to be waited for."""
        return self._channel.fileno()

    def send(self, message: Json) -> None:
        """Send a message that is not answered. Raises ControlClosed."""
        self._channel.send(message)

    def event(self, timeout_s: float) -> Json:
        """See Conversation."""
        return self._talk.event(timeout_s)

    def ask(self, question: Question[A], timeout_s: float) -> A:
        """See Conversation; ControlClosed, too, when the process has been stopped."""
        return self._live().ask(question, timeout_s)

    def ask_part(self, question: Question[Any], kind: type[A], timeout_s: float) -> A:
        """See Conversation; ControlClosed, too, when the process has been stopped."""
        return self._live().ask_part(question, kind, timeout_s)

    def _live(self) -> Conversation:
        if self.ended is not None:
            raise ControlClosed("the process has been stopped")
        return self._talk

    def stop(self, timeout_s: float, before_kill: Callable[[], None] | None = None) -> Ended:
        """Ask for a graceful stop, kill the process group after `timeout_s`, and reap.

        May be called again, and returns the same. When it is interrupted, it
        kills at once.

        before_kill: called before what is left of the group is killed, however its leader ended.
        """
        if self.ended is None:
            killed = True
            stop_ms: float | None = None
            # Before its leader ends, and they lose their parent.
            self._descendants = descendants_of(self._popen.pid)
            try:
                if self.exited:
                    self._talk.drain(time.monotonic())
                    killed = False
                else:
                    stop_ms = self._stop(timeout_s)
                    killed = stop_ms is None
            finally:
                self._collect(stop_ms, killed, before_kill)
        assert self.ended is not None
        return self.ended

    def kill(self) -> None:
        """Kill its process group at once, from whatever thread; `stop` then finds it ended."""
        with self._reaping, suppress(ProcessLookupError, PermissionError):
            if self.ended is None:
                os.killpg(self._popen.pid, signal.SIGKILL)

    def last_words(self) -> str:
        """The last line that the process wrote to standard error; empty where there is none."""
        log = self._log.fileno()
        start = max(self._log_start, os.fstat(log).st_size - _TAIL_BYTES)
        # pread, since the process writes at the file position that it shares with us.
        lines = os.pread(log, _TAIL_BYTES, start).decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _stop(self, timeout_s: float) -> float | None:
        """How long the graceful stop took, in ms; None when it did not end within the bound."""
        begun = time.perf_counter()
        deadline = time.monotonic() + timeout_s
        with suppress(ControlClosed):
            self._channel.send({"do": STOP, "id": 0})
        # End of file tells of the exit at once, where polling for it would be late.
        self._talk.drain(deadline)
        while not self.exited:
            if time.monotonic() > deadline:
                return None
            time.sleep(_EXIT_POLL_S)
        return (time.perf_counter() - begun) * 1000

    def _collect(
        self, stop_ms: float | None, killed: bool, before_kill: Callable[[], None] | None
    ) -> None:
        """Kill what is left of the process group and of what the process started, reap, and close
        the channel.

        The group is killed before its leader is reaped: until then nobody
        else can have been given its number.
        """
        with interrupts_deferred(), self._reaping:
            if before_kill is not None:
                before_kill()
            with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a dead group
                os.killpg(self._popen.pid, signal.SIGKILL)
            kill(self._descendants)
            # Closed before the wait: a process that we may not kill (sudo) stops at that.
            self._channel.close()
            exit_code = self._popen.wait()
            self.ended = Ended(stop_ms, exit_code, killed)


def lasting_parent() -> int | None:
    """This process's pid, for a child to die with.

    None from another thread than the main one: the kernel counts the end of the thread that spawned
    as the death of the parent (prctl(2), PR_SET_PDEATHSIG).
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    return os.getpid() if in_main_thread else None


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Keep SIGINT and SIGTERM for later where Python code would handle them; raise them at the end.

    For the few lines between which an exception would lose a process. Only
    the main thread runs handlers; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        arrived.append(number)

    previous: dict[signal.Signals, Callable[[int, FrameType | None], object]] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if callable(handler):  # and not SIG_DFL, SIG_IGN, or what C code has put there
            previous[number] = handler
            signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for arrival in arrived:
            signal.raise_signal(arrival)
