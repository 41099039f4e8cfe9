"""Instructions of a request under callgrind, counted so that equal servers count alike.

A repeat is a fresh process that is asked every route in the same order; what it does is then the
same to some hundredths of a per cent, where two windows of one process differ by tenths, as their
heaps differ. What would make equal processes differ is kept out:

- a request is sent only when the server has gone to sleep, so that its loop never finds the next
  one waiting, or does not, by chance;
- the collector is off. A full collection costs as much as ten requests, and which window it falls
  into changes with every change of the code; what garbage costs is for the time layer to see;
- routes that work in threads come last, or in a process of their own: two threads' steps do not
  mesh the same way every time, and leave the heap of everything that comes after them as it
  happened;
- no thread asks another for Python's lock while it waits, which it does every 5 ms: a request takes
  less than that, but not under callgrind;
- asyncio's loop keeps its cancelled timers; it would drop them a hundred at a time, which a window
  of Quart on Hypercorn meets or does not, by a timer more or less that was set before it;
- asyncio's timers are made by code of their own. CPython 3.11 specialises that of all handles for
  one class, and gives that up once in some fifty timers, in one window or another;
- glibc keeps the heap; it would give the end of it back and ask for it again with each allocation,
  or would not, by where it happens to lie (`callgrind.counting`);
- the clock of the day stands still (`callgrind.counting`): with each second a server would write
  its Date header anew, which is worth some 14,000 instructions on aiohttp, and lies in one window
  or another;
- CPython's cache of attributes finds a name or searches classes for it, as names happen to lie in
  memory. What is spent on searching is told apart (`callgrind_dump.TYPE_LOOKUP`);
- a server may work without being asked: uvicorn wakes ten times a second, at 62,000 instructions a
  time, so that a window would count the more the longer it lasts. It is counted while nobody asks
  it, and as many of its timers as a window had are taken off (`Idle`).

The window opens on a connection that is in use; connecting is no part of the count. The window's
own edges cost some hundred instructions.
"""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from socket import socket
from typing import TypeVar

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe import raw_request
from loopbench.loadtests.observe.callgrind import Counter
from loopbench.loadtests.observe.callgrind_dump import TIMER_FIRED, calls, total
from loopbench.loadtests.observe.patience import Patience
from loopbench.servers.contract.http import Case
from loopbench.servers.settings import Settings

T = TypeVar("T")

SETTINGS = Settings(keep_alive_s=3600.0)
"""Of every server that is counted. No time limit of an idle connection ends within a count: that of
one that was closed before, as Hypercorn has it, would fall into whichever window is open by then,
and take the timers of all requests since with it."""

REQUESTS = 20
"""In one count."""

REPEATS = 3

FIRST_REQUESTS = 60
"""Before the first count of a process: Python's caches fill, and Python specialises its
instructions, which goes on until the 56th request of aiohttp and of Quart. Of a server whose count
has not begun, the last WARM_REQUESTS of them are counted, so that valgrind translates it."""

WARM_REQUESTS = 8
"""Before the count of each route."""

UNCOUNTED = frozenset(
    {
        *("db-async", "db-sync", "db-save", "db-total", "save-both", "pairs"),
        *("fetch", "feed", "publish", "ws-echo", "ws-push", "ws-feed"),
    }
)
"""Routes whose cost is not the server's alone: a store grows, a driver has threads of its own,
a page comes from another server, a message goes to nobody. The other layers hold them."""

_ANSWER_BOUND_S = 300.0
"""For an answer of a server that is counted. The first one of a route may import modules; counted
by function that took more than 60 s on two CPUs with a load of 15. Who has ended is known at
once."""

_IDLE_BOUND_S = 120.0
_END_BOUND_S = 3.0
_LOOK_S = 0.0003
_LOOKS = 2
_IDLE_S = 1.0
"""So long a server is counted that nobody asks."""

_IDLE = 5_000
"""Instructions a second that are no work: counting for a second takes some hundred by itself."""


@dataclass(frozen=True, slots=True)
class RequestCount:
    """Instructions of a request. searching: those that CPython spent on searching classes for what
    was not in its cache, which `instructions` leaves out; None where the interpreter does not name
    the function that does it, so that they are among `instructions`."""

    instructions: float
    searching: float | None


@dataclass(frozen=True, slots=True)
class Count:
    """A window: how many requests it had, what they took in all, what of that was searching
    (None: not known), how many of asyncio's timers fired, and how long it lasted."""

    requests: int
    instructions: int
    searching: int | None
    timers: int
    lasted_s: float

    def per_request(self, idle: Idle) -> RequestCount:
        """Without what the server does besides answering."""
        seconds = idle.seconds_in(self)
        instructions = (self.instructions - seconds * idle.instructions) / self.requests
        if self.searching is None:
            return RequestCount(instructions, None)
        searched = (self.searching - seconds * idle.searching) / self.requests
        return RequestCount(instructions - searched, searched)


@dataclass(frozen=True, slots=True)
class Idle:
    """What a server does while nobody asks it: instructions of a second, what of them was
    searching, and how many of asyncio's timers fire in it, of which none may be known."""

    instructions: int
    searching: int
    timers: int

    @property
    def works(self) -> bool:
        """Whether that is something."""
        return self.instructions > _IDLE

    def seconds_in(self, count: Count) -> float:
        """How many such seconds' work a window has.

        By the timers that fired beside those of the requests; on a busy machine they come later
        than by the clock. Hardly a request waits for a timer of its own: it sets those that end
        what lasts too long, and cancels them. Where requests do, each waits for as many, and the
        clock says for how many. By the clock alone where timers are not known.
        """
        if not self.works:
            return 0.0
        seconds = count.lasted_s / _IDLE_S
        if not self.timers:
            return seconds
        of_each = round((count.timers - self.timers * seconds) / count.requests)
        own = max(0, count.timers - max(0, of_each) * count.requests)
        return own / self.timers


NOT_ASKED = Idle(0, 0, 0)
"""Of a server that ended before it could be asked: its counts stand as they were taken."""


class WrongAnswer(HarnessError):
    """A route was not answered as its contract says, so that its count says nothing."""


def counted(
    counter: Counter, cases: Mapping[str, Case], requests: int, patience: Patience
) -> Iterator[tuple[str, RequestCount]]:
    """Instructions of a request of every case, each counted once, one after another.

    Raises HarnessError.
    """
    counts = dict(taken_of_all(counter, cases, requests, patience, Sender.count))
    idle = idle_work(counter)
    yield from ((name, count.per_request(idle)) for name, count in counts.items())


def idle_work(counter: Counter) -> Idle:
    """What the server does while nobody asks it. The lesser of two, if there is any: what is done
    once, such as closing a connection, is no such work. To be asked last, so that equal processes
    are asked the same until then."""
    first = _idle_second(counter)
    if not first.works:
        return first
    return min(first, _idle_second(counter), key=lambda idle: idle.instructions)


def _idle_second(counter: Counter) -> Idle:
    dump = counter.dump(lambda: time.sleep(_IDLE_S)).read_text()
    # Whether the interpreter names what searches, its windows say; a second may be without any.
    return Idle(total(dump), counter.searching(dump) or 0, calls(dump, TIMER_FIRED))


def taken_of_all(
    counter: Counter,
    cases: Mapping[str, Case],
    requests: int,
    patience: Patience,
    take: Callable[[Sender, socket, int], T],
) -> Iterator[tuple[str, T]]:
    """As `windows`, for whom needs all of the cases. Raises HarnessError."""
    for name, taken in windows(counter, cases, requests, patience, take):
        if isinstance(taken, WrongAnswer):
            raise taken
        yield name, taken


def windows(
    counter: Counter,
    cases: Mapping[str, Case],
    requests: int,
    patience: Patience,
    take: Callable[[Sender, socket, int], T],
) -> Iterator[tuple[str, T | WrongAnswer]]:
    """What `take` takes of so many requests of every case, one case after another; of a case that
    is answered wrongly, that.

    take: is handed a warm connection, and sends that many requests on it. The count begins with the
    last warm requests of the first case, where it has not begun.
    Raises HarnessError.
    """
    before = FIRST_REQUESTS - WARM_REQUESTS
    address = counter.server.host, counter.server.port
    for name, case in cases.items():
        sender = Sender(counter, case, patience)
        taken: T | WrongAnswer
        try:
            with raw_request.connect(*address, _ANSWER_BOUND_S) as connection:
                try:
                    if before:
                        sender.send(connection, before)
                        counter.begin()
                        before = 0
                    sender.send(connection, WARM_REQUESTS)
                    taken = take(sender, connection, requests)
                except WrongAnswer as wrong:
                    taken = wrong
            sender.await_idle()
        except (OSError, http.client.HTTPException) as error:
            asked = f"{counter.server.stack.name} under callgrind, asked for {name}"
            if _ended(counter):
                raise HarnessError(f"{asked}: has ended") from error
            taken = WrongAnswer(f"{asked}: {type(error).__name__}: {error}")
        yield name, taken


def _ended(counter: Counter) -> bool:
    """Whether the server has ended: one that closed a connection may be about to."""
    deadline = time.monotonic() + _END_BOUND_S
    while counter.server.alive and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    return not counter.server.alive


class Sender:
    """Sends one case's request again and again, each time to a server that sleeps."""

    def __init__(self, counter: Counter, case: Case, patience: Patience) -> None:
        self._counter = counter
        self._case = case
        self._patience = patience
        self._host = f"{counter.server.host}:{counter.server.port}"
        self._tasks = Path(f"/proc/{counter.server.pid}/task")

    def send(self, connection: socket, requests: int) -> float:
        """How long it took, in s. Raises WrongAnswer, HarnessError and OSError."""
        began = time.perf_counter()
        expected = self._case.expected
        for _ in range(requests):
            self._patience.check()
            reply = raw_request.exchange(connection, self._case.request, self._host)
            problem = expected.check(reply.status, reply.body)
            if problem is not None:
                raise WrongAnswer(f"{self._case.name} under callgrind: {problem}")
            self.await_idle()
        return time.perf_counter() - began

    def count(self, connection: socket, requests: int) -> Count:
        """Instructions of so many; on a connection that this one has sent requests on before."""
        lasted_s = 0.0

        def work() -> None:
            nonlocal lasted_s
            lasted_s = self.send(connection, requests)

        dump = self._counter.dump(work).read_text()
        timers = calls(dump, TIMER_FIRED)
        searching = self._counter.searching(dump)
        return Count(requests, total(dump), searching, timers, lasted_s)

    def dump(self, connection: socket, requests: int) -> Path:
        """What callgrind writes down of so many; see Counter.dump."""
        return self._counter.dump(partial(self.send, connection, requests))

    def await_idle(self) -> None:
        """Return when all threads of the server have been seen asleep twice running, or when it has
        ended. Raises HarnessError, and BrokenOff."""
        deadline = time.monotonic() + _IDLE_BOUND_S
        looks = 0
        while looks < _LOOKS and self._counter.server.alive:
            self._patience.check()
            looks = looks + 1 if self._asleep() else 0
            if time.monotonic() > deadline:
                raise HarnessError(
                    f"{self._counter.server.stack.name} under callgrind did not come to rest "
                    f"within {_IDLE_BOUND_S:g} s after {self._case.name}"
                )
            time.sleep(_LOOK_S)

    def _asleep(self) -> bool:
        """Whether no thread is on a CPU or wants one (proc(5), stat)."""
        try:
            return all(
                (self._tasks / task / "stat").read_text().rpartition(")")[2].split()[0] == "S"
                for task in os.listdir(self._tasks)
            )
        except (FileNotFoundError, ProcessLookupError):  # a thread, or the server, has just ended
            return not self._counter.server.alive
