"""Layer 1: what each side answers, where its routes run, and whether they block the loop."""

from __future__ import annotations

import hashlib
import http.client
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path

from loopbench.loadtests.observe import raw_request
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.observe.waiting import Waits
from loopbench.loadtests.regression.layers import blocking, limits
from loopbench.loadtests.regression.layers.blocking import (
    WORK_MS,
    LoopObservation,
    SeenTally,
    Watched,
)
from loopbench.loadtests.regression.parts import Name, Part
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.results.schema import Row
from loopbench.results.schema.regression import UNKNOWN, most_often
from loopbench.servers.contract.http import Case, Request
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.probe.readings import Observe, Reset
from loopbench.servers.settings import Settings
from loopbench.servers.supervision.control_pipe import ControlTimeout
from loopbench.servers.supervision.messages import Done

SETTINGS = Settings(wait_ms=1, probe=True)


SHORT_BYTES = 200

_BOUND_S = 60.0
"""For an answer of the probe. One took more than 10 s on two CPUs with a load of 17, which left the
whole layer unmeasured; who has ended is known at once, without it."""

_SLEEP_BOUND_S = 1.0
"""A loop may go on after it has sent an answer, and then wait for a CPU that whoever reads the
answer has: with a load of 27 on two CPUs, 26 of 289 readings of a route that does not block had
been away for 10 ms and more without a wait that had ended by then, and none is so now."""

_LEFT_OUT = frozenset({"date", "content-type"})
"""Header fields that are no part of `headers`, since each is a fact of its own."""

_CLOCK_S = 30.0
"""How far a Date may be from the instant of its answer: some servers write it by a timer, which is
seconds late on a busy machine. One that stands still is seen by its not moving."""

_MOVED_S = 10.0
"""So long is waited for a Date to change, which a second would do on a quiet machine."""

_MOVED_POLL_S = 0.1

DATE = "Date header"
"""The subject that says whether the Date moves."""

_PRODUCT = re.compile(r"(?<=[A-Za-z])/[\w.+-]+")
_THREAD = re.compile(rb'("thread":")(?!MainThread")[^"]*(")')
_PID = re.compile(rb'("pid":)\d+')
_DURATION = re.compile(r"(?<=[?&])ms=0\b")


Subject = tuple[str, str]
"""Stack, and what of it facts are about."""

Fact = tuple[str, str, str]
"""Subject, fact, value."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A live server, and who asks it. only: the subjects that are wanted; None: all."""

    side: Side
    server: ServerProcess
    patience: Patience
    only: frozenset[str] | None = None

    def wants(self, subject: str) -> bool:
        """Whether to ask for it. Raises BrokenOff once nobody waits for the answer."""
        self.patience.check()
        return self.only is None or subject in self.only


def measure(
    side: Side,
    stacks: Iterable[str],
    log: Path,
    patience: Patience,
    only: Collection[Subject] | None = None,
) -> Iterator[Part]:
    """Facts of a side's stacks; only: of these subjects, instead of all.

    Raises ServerError, ControlError, and OSError where a server is gone; an answer that cannot be
    read is a fact.
    """
    for stack in stacks:
        wanted = (
            None
            if only is None
            else frozenset(name for its_stack, name in only if its_stack == stack)
        )
        if wanted is not None and not wanted:
            continue
        with server_process(
            stack, settings=SETTINGS, log=log, python=side.python, root=side.root
        ) as server:
            asked = Asked(side, server, patience, wanted)
            for what, facts in _PARTS.items():
                yield part(side, stack, what, facts(asked))


def planned(stacks: Iterable[str]) -> list[Name]:
    """What is measured of each side."""
    return [(stack, what) for stack in stacks for what in _PARTS]


def part(side: Side, stack: str, what: str, facts: Iterable[Fact]) -> Part:
    """These facts as rows."""
    rows: list[Row] = [
        {
            "side": str(side.role),
            "stack": stack,
            "subject": subject,
            "fact": fact,
            "value": value,
        }
        for subject, fact, value in facts
    ]
    return Part(stack, what, rows)


def differing(base: Iterable[Row], candidate: Iterable[Row]) -> frozenset[Subject]:
    """The subjects of which both sides have a fact, and not with the same value most times."""
    before, after = _values(base), _values(candidate)
    return frozenset(
        key[:2]
        for key in before.keys() & after.keys()
        if (usual := most_often(before[key])) is None or usual != most_often(after[key])
    )


def _values(rows: Iterable[Row]) -> Mapping[tuple[str, str, str], list[str]]:
    """What was seen of each stack, subject and fact, at each asking."""
    values: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for row in rows:
        key = str(row["stack"]), str(row["subject"]), str(row["fact"])
        values[key].append(str(row["value"] or ""))
    return values


def _answers(asked: Asked) -> Iterator[Fact]:
    began, first = time.monotonic(), _date(asked)
    wanted = [name for name in asked.side.cases if asked.wants(name)]
    for case in asked.side.cases.values() if wanted else ():
        asked.patience.check()
        # Also what is not wanted: some answers tell what the server was asked before.
        reply = answer(asked.server, case.request)
        if case.name in wanted:
            for fact, value in reply.items():
                yield case.name, fact, value
    if asked.wants(DATE):
        yield DATE, "moves", _moves(first, asked, began + _MOVED_S)


def answer(server: ServerProcess, request: Request) -> dict[str, str]:
    """The facts of one answer, without what differs from run to run by nature."""
    host = f"{server.host}:{server.port}"
    began = time.time()
    try:
        with raw_request.connect(server.host, server.port) as connection:
            reply = raw_request.exchange(connection, request, host)
    except (OSError, http.client.HTTPException) as error:
        return {"status": f"no answer: {type(error).__name__}"}
    types = [value for name, value in reply.headers if name.lower() == "content-type"]
    return {
        "status": str(reply.status),
        "line": reply.line,
        "content-type": ", ".join(types) or "none",
        "date": _clock(reply.header("date"), began, time.time()),
        "headers": _headers(reply, server.port),
        "body": _body_text(_reduced(reply.body, server.port)),
    }


def _clock(date: str | None, began: float, ended: float) -> str:
    """What a Date says of the time between two instants of the clock."""
    if date is None:
        return "none"
    try:
        timestamp = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return f"no date: {date}"
    right = began - _CLOCK_S <= timestamp <= ended + _CLOCK_S
    return "the time" if right else "another time"


def _date(asked: Asked) -> str | None:
    """The Date of the first case's answer; None where it has none, or there is no answer."""
    case = next(iter(asked.side.cases.values()))
    host = f"{asked.server.host}:{asked.server.port}"
    try:
        with raw_request.connect(asked.server.host, asked.server.port) as connection:
            return raw_request.exchange(connection, case.request, host).header("date")
    except (OSError, http.client.HTTPException):
        return None


def _bounds(asked: Asked) -> Iterator[Fact]:
    """How much is taken, and what connections leave open once they have ended."""
    if asked.wants(limits.SUBJECT):
        for fact, value in limits.limits(asked.server):
            yield limits.SUBJECT, fact, value
    for subject, hard in limits.ENDINGS.items():
        if asked.wants(subject):
            yield subject, "descriptors", limits.given_back(asked.server, hard)


def _moves(first: str | None, asked: Asked, deadline: float) -> str:
    """Whether it becomes another one until then."""
    while (last := _date(asked)) == first and time.monotonic() < deadline:
        if first is None:
            return "none"
        time.sleep(_MOVED_POLL_S)
    if first is None or last is None:
        return "none"
    return "with the clock" if first != last else "stands still"


def _headers(reply: raw_request.Reply, port: int) -> str:
    """Sorted by name, and the methods of `Allow` by theirs: Werkzeug lists those of a set, in
    another order in each process. A version that `Server` names is that of sides.json, and left
    out here; so is the length of a body whose length depends on which thread answered."""
    varying = str(len(reply.body)) if _reduced(reply.body, port) != reply.body else None
    kept = []
    for name, value in reply.headers:
        if name.lower() in _LEFT_OUT:
            continue
        if name.lower() == "server":
            value = _PRODUCT.sub("/*", value)
        if name.lower() == "allow":
            value = ", ".join(sorted(method.strip() for method in value.split(",")))
        if name.lower() == "content-length" and value == varying:
            value = "that of the body"
        kept.append(f"{name}: {value.replace(f':{port}', ':PORT')}")
    return " | ".join(sorted(kept, key=lambda line: (line.lower(), line)))


def _reduced(body: bytes, port: int) -> bytes:
    """The body without what differs from run to run by nature."""
    reduced = _PID.sub(rb'\1"PID"', _THREAD.sub(rb"\1worker thread\2", body))
    return reduced.replace(b":%d" % port, b":PORT")


def _body_text(body: bytes) -> str:
    if len(body) <= SHORT_BYTES:
        return body.decode("latin-1")
    return f"{len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()}"


def _places(asked: Asked) -> Iterator[Fact]:
    """Thread, loop and blocking of each route."""
    for route, case in representatives(asked.side).items():
        if not asked.wants(route):
            continue
        request, with_duration = with_work(case.request)
        readings: list[Watched] = []
        try:
            while not blocking.enough(readings, blocking.BLOCKED[with_duration]):
                asked.patience.check()
                readings.append(_watched(asked.server, request))
        except ControlTimeout:  # the machine is busy, which says nothing of this route or the next
            yield from ((route, fact, UNKNOWN) for fact in ("thread", "loop", "blocked"))
            continue
        tallies = [
            tally for reading in readings for tally in reading.observation.routes.get(route, ())
        ]
        yield route, "thread", _joined(map(_thread, tallies))
        yield route, "loop", _joined(tally.loop_class or "no loop" for tally in tallies)
        yield route, "blocked", blocking.blocked(readings, blocking.BLOCKED[with_duration])


_PARTS: Mapping[str, Callable[[Asked], Iterator[Fact]]] = {
    "answers": _answers,
    "threads, loops and blocking": _places,
    "limits and connections": _bounds,
}
"""By what a person is told of them, in the order in which they are asked."""


def _watched(server: ServerProcess, request: Request) -> Watched:
    """Raises ControlError where another commit's probe does not tell it."""
    waits = Waits(server.pid)
    server.ask_part(Reset(instants=True), Done, _BOUND_S)
    began_ns, ran_ns = waits.read_ns(), waits.main_ran_ns()
    answer(server, request)
    waits.await_sleep(_SLEEP_BOUND_S)
    waited_ns, ran_ns = max(0, waits.read_ns() - began_ns), waits.main_ran_ns() - ran_ns
    return Watched(
        server.ask_part(Observe(), LoopObservation, _BOUND_S), waited_ns / 1e6, ran_ns / 1e6
    )


def representatives(side: Side) -> dict[str, Case]:
    """One Case a route of the side's own contract that does its work without waiting: the Case of
    the route's name, or the one with a duration of 0, or else its first that is answered well."""
    chosen: dict[str, Case] = {}
    for route in dict.fromkeys(side.routes.values()):
        fitting = [case for name, case in side.cases.items() if side.routes.get(name) == route]
        by_name = {case.name: case for case in fitting}
        well = [case for case in fitting if case.expected.status == 200]
        chosen[route] = (
            by_name.get(route) or by_name.get(f"{route}-0") or next(iter((*well, *fitting)))
        )
    return chosen


def with_work(request: Request) -> tuple[Request, bool]:
    """The request with WORK_MS for a duration of 0, and whether it has a duration at all."""
    target, replacements = _DURATION.subn(f"ms={WORK_MS}", request.target)
    return replace(request, target=target), bool(replacements)


def _thread(tally: SeenTally) -> str:
    kinds = ["main thread"] if tally.is_main_thread else []
    kinds += ["loop thread"] if tally.is_loop_thread else []
    return ", ".join(kinds) or "worker thread"


def _joined(kinds: Iterable[str]) -> str:
    return " and ".join(sorted(set(kinds))) or "not seen"
