"""Layer 1: what each side answers, where its routes run, and whether they block the loop."""

from __future__ import annotations

import hashlib
import http.client
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from loopbench.loadtests.regression.layers import raw_request
from loopbench.loadtests.regression.parallel import Patience
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.results.schema import Row
from loopbench.servers.contract.cases import Case, Request
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.probe.readings import Observe, Reset
from loopbench.servers.settings import Settings
from loopbench.servers.supervision.messages import Done

SETTINGS = Settings(wait_ms=1, probe=True)

WORK_MS = 100
"""What a route that takes a duration is asked for, to see whether it blocks the loop."""

BLOCKED_MS = {True: WORK_MS / 2, False: 10.0}
"""How long the loop must be away to count as blocked, where a duration was asked for and where
not. A request that does not block keeps it for less than a millisecond or two."""

ASKS = 5
"""How often a route is asked to see whether it blocks: blocked means every time, since a machine
that is busy elsewhere keeps any loop away now and then."""

SHORT_BYTES = 200
_BOUND_S = 10.0
_LEFT_OUT = frozenset({"date", "content-type"})
"""Header fields that are no part of `headers`: one changes by itself, the other is its own fact."""

_PRODUCT = re.compile(r"(?<=[A-Za-z])/[\w.+-]+")
_THREAD = re.compile(rb'("thread":")(?!MainThread")[^"]*(")')
_PID = re.compile(rb'("pid":)\d+')
_DURATION = re.compile(r"(?<=[?&])ms=0\b")


def measure(side: Side, stacks: Iterable[str], log: Path, patience: Patience) -> list[Row]:
    """All facts of a side's stacks. Raises ServerError, ControlError, and OSError where a server
    is gone; an answer that cannot be read is a fact."""
    rows: list[Row] = []
    for stack in stacks:
        with server_process(
            stack, settings=SETTINGS, log=log, python=side.python, root=side.root
        ) as server:
            facts = [*_answers(side, server, patience), *_places(side, server, patience)]
        rows += [
            {
                "side": str(side.role),
                "stack": stack,
                "subject": subject,
                "fact": fact,
                "value": value,
            }
            for subject, fact, value in facts
        ]
    return rows


Fact = tuple[str, str, str]
"""Subject, fact, value."""


def _answers(side: Side, server: ServerProcess, patience: Patience) -> Iterator[Fact]:
    for case in side.cases.values():
        patience.check()
        for fact, value in answer(server, case.request).items():
            yield case.name, fact, value


def answer(server: ServerProcess, request: Request) -> dict[str, str]:
    """The facts of one answer, without what differs from run to run by nature."""
    host = f"{server.host}:{server.port}"
    try:
        with raw_request.connect(server.host, server.port) as connection:
            reply = raw_request.exchange(connection, request, host)
    except (OSError, http.client.HTTPException) as error:
        return {"status": f"no answer: {type(error).__name__}"}
    types = [value for name, value in reply.headers if name.lower() == "content-type"]
    return {
        "status": str(reply.status),
        "content-type": ", ".join(types) or "none",
        "headers": _headers(reply, server.port),
        "body": _told(_reduced(reply.body, server.port)),
    }


def _headers(reply: raw_request.Reply, port: int) -> str:
    """Sorted by name. A version that `Server` names is that of sides.json, and left out here; so
    is the length of a body whose length depends on which thread answered."""
    varying = str(len(reply.body)) if _reduced(reply.body, port) != reply.body else None
    kept = []
    for name, value in reply.headers:
        if name.lower() in _LEFT_OUT:
            continue
        if name.lower() == "server":
            value = _PRODUCT.sub("/*", value)
        if name.lower() == "content-length" and value == varying:
            value = "that of the body"
        kept.append(f"{name}: {value.replace(f':{port}', ':PORT')}")
    return " | ".join(sorted(kept, key=lambda line: (line.lower(), line)))


def _reduced(body: bytes, port: int) -> bytes:
    """The body without what differs from run to run by nature."""
    told = _PID.sub(rb'\1"PID"', _THREAD.sub(rb"\1worker thread\2", body))
    return told.replace(b":%d" % port, b":PORT")


def _told(body: bytes) -> str:
    if len(body) <= SHORT_BYTES:
        return body.decode("latin-1")
    return f"{len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()}"


def _places(side: Side, server: ServerProcess, patience: Patience) -> Iterator[Fact]:
    """Thread, loop and blocking of each route."""
    for route, case in representatives(side).items():
        longest: list[float | None] = []
        tallies: list[SeenTally] = []
        request, with_duration = with_work(case.request)
        for _ in range(ASKS):
            patience.check()
            seen = _watched(server, request)
            longest.append(seen.loop.longest_ms)
            tallies += seen.routes.get(route, ())
        yield route, "thread", _joined(map(_thread, tallies))
        yield route, "loop", _joined(tally.loop_class or "no loop" for tally in tallies)
        yield route, "blocked", _blocked(longest, BLOCKED_MS[with_duration])


@dataclass(frozen=True, slots=True)
class SeenLoop:
    """What is needed of a `servers.probe.event_loop.LoopReading`, which may be another commit's."""

    longest_stretch_ns: int | None

    @property
    def longest_ms(self) -> float | None:
        """The longest time that the loop was away; None where the loop cannot be read."""
        return None if self.longest_stretch_ns is None else self.longest_stretch_ns / 1e6


@dataclass(frozen=True, slots=True)
class SeenTally:
    """What is needed of a `servers.probe.readings.TallyReading`."""

    is_main_thread: bool
    is_loop_thread: bool
    loop_class: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is needed of a `servers.probe.readings.Observation`."""

    loop: SeenLoop
    routes: dict[str, tuple[SeenTally, ...]]


def _watched(server: ServerProcess, request: Request) -> Seen:
    """What the probe saw of one request. Raises ControlError where it does not tell it."""
    server.ask_part(Reset(instants=True), Done, _BOUND_S)
    answer(server, request)
    return server.ask_part(Observe(), Seen, _BOUND_S)


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
    target, found = _DURATION.subn(f"ms={WORK_MS}", request.target)
    return replace(request, target=target), bool(found)


def _thread(tally: SeenTally) -> str:
    kinds = ["main thread"] if tally.is_main_thread else []
    kinds += ["loop thread"] if tally.is_loop_thread else []
    return ", ".join(kinds) or "worker thread"


def _joined(kinds: Iterable[str]) -> str:
    return " and ".join(sorted(set(kinds))) or "not seen"


def _blocked(longest_ms: list[float | None], limit_ms: float) -> str:
    known = [one for one in longest_ms if one is not None]
    if len(known) < len(longest_ms):
        return "unknown"
    return "yes" if min(known) >= limit_ms else "no"
