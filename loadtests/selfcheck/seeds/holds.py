"""HOLDS: ways to hold a loop, with what a right answer about each is.

The lines that hold it end in `# held`, which is where the right answer comes from.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import inspect
import json
import os
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from loopbench.results.schema import Cause
from loopbench.servers.supervision.messages import Json

HELD_S = 0.08
"""How long those hold that can be told how long."""

OBJECTS = 2_000_000
_HELD = "# held"


@dataclass(frozen=True, slots=True)
class Truth:
    """What happened, by the one who did it: begin and end by perf_counter, and the lines.

    queued_ns: how much of it the thread itself was ready to run but had no CPU.
    """

    began_ns: int
    ended_ns: int
    lines: tuple[int, ...]
    queued_ns: int = 0

    def to_json(self) -> Json:
        """As an answer's body."""
        return asdict(self)


def sleep() -> None:
    """A call that sleeps."""
    time.sleep(HELD_S)  # held


def python() -> None:
    """A sum in Python."""
    total = 0
    for number in range(1_500_000):  # held
        total += number  # held


def regex() -> None:
    """A regular expression that tries every way to divide the text."""
    re.match(r"(a+)+$", _text())  # held


def dumps() -> None:
    """JSON of some 20 MB."""
    json.dumps(_document())  # held


def compress() -> None:
    """Compression, which lets other threads run meanwhile."""
    zlib.compress(_bytes(), 6)  # held


def receive() -> None:
    """A socket that is read without asking the loop."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Timer(HELD_S, theirs.send, (b"x",)).start()
        ours.recv(1)  # held


def look_up() -> None:
    """A name server that takes its time."""
    with _SlowNames() as names:
        names.ask_them()
        with suppress(socket.gaierror):  # the answer is that there is no such name
            socket.getaddrinfo("held.example.invalid", 80)  # held


def collect() -> None:
    """A full collection over many objects."""
    _objects()
    gc.collect()  # held


def compute_elsewhere() -> Truth:
    """What another thread does: one call that keeps the interpreter's lock."""
    began = time.perf_counter_ns()
    sum(range(12_000_000))
    return Truth(began, time.perf_counter_ns(), ())


@cache
def _text() -> str:
    """One that takes about HELD_S of CPU time, by trying."""
    length = 12
    while True:
        text = "a" * length + "b"
        began = time.thread_time()
        re.match(r"(a+)+$", text)
        if time.thread_time() - began > HELD_S / 2:
            return text
        length += 1


@cache
def _document() -> list[str]:
    return ["x" * 100] * 200_000


@cache
def _bytes() -> bytes:
    return os.urandom(3_000_000)


@cache
def _objects() -> list[list[int]]:
    gc.disable()
    try:
        return [[number] for number in range(OBJECTS)]
    finally:
        gc.enable()


class _SlowNames:
    """A name server on loopback that answers, after HELD_S, that there is no such name."""

    _NAMESERVER_OFFSET = 20
    """Of the first address in glibc's `struct __res_state` (resolv.h)."""

    def __enter__(self) -> _SlowNames:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, name="slow names")
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def ask_them(self) -> None:
        """Have this thread's resolver ask this server alone. Raises AttributeError without
        glibc."""
        library = ctypes.CDLL(None)
        getattr(library, "__res_init")()
        state = getattr(library, "__res_state")
        state.restype = ctypes.c_void_p
        port = self._socket.getsockname()[1]
        address = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s", port, b"\x7f\0\0\1")
        base = state()
        ctypes.memmove(base + self._NAMESERVER_OFFSET, address, len(address))
        ctypes.c_int.from_address(base + 16).value = 1  # nscount

    def _serve(self) -> None:
        waited = False
        while True:
            query, sender = self._socket.recvfrom(512)
            if not query:
                return
            if not waited:  # A and AAAA are asked for at once
                time.sleep(HELD_S)
                waited = True
            answer = query[:2] + b"\x81\x83" + query[4:6] + b"\0" * 6 + query[12:]
            self._socket.sendto(answer, sender)


@dataclass(frozen=True, slots=True)
class Hold:
    """hold: what is done on the loop. None: it is done from outside.

    cause: the right answer. prepare: makes what it needs, beforehand.
    """

    cause: Cause
    hold: Callable[[], None] | None
    prepare: Callable[[], object] | None = None


@cache
def held_lines(name: str) -> tuple[int, ...]:
    """The lines that hold the loop, in this file; none where no line of ours does."""
    hold = HOLDS[name].hold
    if hold is None:
        return ()
    lines, first = inspect.getsourcelines(hold)
    return tuple(first + at for at, line in enumerate(lines) if line.rstrip().endswith(_HELD))


HOLDS: dict[str, Hold] = {
    "sleep": Hold(Cause.BLOCKING_CALL, sleep),
    "python": Hold(Cause.PYTHON, python),
    "regex": Hold(Cause.C_CALL, regex, _text),
    "dumps": Hold(Cause.C_CALL, dumps, _document),
    "compress": Hold(Cause.C_CALL, compress, _bytes),
    "receive": Hold(Cause.BLOCKING_CALL, receive),
    "look-up": Hold(Cause.BLOCKING_CALL, look_up),
    "collect": Hold(Cause.COLLECTOR, collect, _objects),
    "thread": Hold(Cause.INTERPRETER_LOCK, None),
    "stop": Hold(Cause.STOPPED, None),
    "quota": Hold(Cause.QUOTA, python),
}


def _queued_ns() -> int:
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1])


async def held(name: str) -> Truth:
    """Hold the running loop as `name` of HOLDS says; what is held from outside does nothing."""
    row = HOLDS[name]
    if name == "thread":
        return await asyncio.get_running_loop().run_in_executor(None, compute_elsewhere)
    queued, began = _queued_ns(), time.perf_counter_ns()
    if row.hold is not None:
        row.hold()
    ended = time.perf_counter_ns()
    return Truth(began, ended, held_lines(name), _queued_ns() - queued)


def prepare(name: str) -> None:
    """Make beforehand what `held` needs."""
    held_lines(name)
    if (make := HOLDS[name].prepare) is not None:
        make()
