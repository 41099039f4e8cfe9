"""How a stack behaves that was started as people start it: by its own command, on its own socket.

The servers of the other facts are handed a socket by the suite. What a server, or its manager of
workers, does to sockets of its own is seen here: on how many it listens, how many connections may
wait, and whether a small answer comes at once. Without TCP_NODELAY what is written in two pieces
waits for the client's delayed acknowledgement, 40 ms on Linux: not the first answer on a
connection, which the client's kernel still acknowledges quickly, but those behind it.
"""

from __future__ import annotations

import http.client
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path

from loopbench.loadtests.observe import raw_request
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.observe.waiting import Waits
from loopbench.loadtests.regression import small_apps
from loopbench.loadtests.regression.layers import limits, listening
from loopbench.loadtests.regression.layers.facts import part
from loopbench.loadtests.regression.parts import Name, Part
from loopbench.loadtests.regression.sides.processes import background, ended, succeed
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.loadtests.services.free_port import free_port
from loopbench.results.schema.regression import UNKNOWN
from loopbench.servers.contract.http import Request
from loopbench.servers.parts import READY_S, Manager
from loopbench.servers.stacks import SERVERS, STACKS, Stack

HOST = "127.0.0.1"

HELD_MS = 20.0
"""Half of the shortest delay of an acknowledgement (TCP_DELACK_MIN of Linux). An answer that took
less was not delayed; one that took longer was, without the time in which a thread of the server or
the client had no CPU. Where such waits may be all of it, one reading says nothing."""

LAST = 20
"""The last request on a connection; the first is the other one that is looked at."""

ASKS = 3
"""So many readings that say something decide where all of them say "at once"."""

MOST_DECIDED = 5
"""So many, by their majority, where one of them was delayed."""

MOST_ASKS = 20
"""How many connections are asked for them, at most."""

STARTS = 3
"""How often a server is started whose port somebody else has taken meanwhile."""

AT_ONCE, DELAYED = "at once", "delayed"

_POLL_S = 0.01
_MODULES = {
    "aiohttp": "small_aiohttp",
    "Quart": "small_quart",
    "Flask": "small_flask",
    "ASGI": "small_asgi",
}
"""Of `small_apps`, by framework."""

FORMLESS = frozenset({"ASGI"})
"""Where nothing reads forms."""


@dataclass(frozen=True, slots=True)
class Command:
    """A server's own command line. subject: what facts call it; words: behind `python -m`."""

    subject: str
    words: str

    @property
    def package(self) -> str:
        """What has to be there for it."""
        return self.words.partition(" ")[0].partition(".")[0]


def commands_of(stack: Stack) -> Iterator[Command]:
    """That of the server, and that of its manager, as far as it has them on the stack's loop."""
    server = SERVERS[stack.server]
    commands = {"": server.command}
    if isinstance(server.manager, Manager):
        commands[" with workers"] = server.manager.command
    for more, command in commands.items():
        words = command.get(stack.loop)
        if words is not None and stack.framework in _MODULES:
            yield Command(f"started by {words.partition(' ')[0]}{more}", words)


@dataclass(frozen=True, slots=True)
class Commands:
    """Those that are asked, by stack, and those that are not: stack, subject and package that
    one of the sides lacks."""

    asked: Mapping[str, tuple[Command, ...]]
    lacking: tuple[tuple[str, str, str], ...]


def commands(stacks: Iterable[str], sides: Sequence[Side]) -> Commands:
    """What can be asked of each side alike."""
    known = [
        (name, command)
        for name in stacks
        if name in STACKS
        for command in commands_of(STACKS[name])
    ]
    packages = sorted({command.package for _, command in known})
    there = set(packages).intersection(*(_installed(side, packages) for side in sides))
    asked: dict[str, tuple[Command, ...]] = {}
    for name, command in known:
        if command.package in there:
            asked[name] = (*asked.get(name, ()), command)
    return Commands(
        asked,
        tuple(
            (name, command.subject, command.package)
            for name, command in known
            if command.package not in there
        ),
    )


def _installed(side: Side, packages: Sequence[str]) -> set[str]:
    """Those that the side's interpreter can import. Raises HarnessError."""
    look = "import importlib.util as u, sys; print(*filter(u.find_spec, sys.argv[1:]))"
    command = [str(side.python), "-P", "-c", look, *packages]
    return set(succeed(f"{side.name}: its interpreter does not run", command, READY_S).split())


def measure(
    side: Side,
    asked: Mapping[str, Sequence[Command]],
    log: Path,
    patience: Patience,
    only: Collection[tuple[str, str]] | None = None,
) -> Iterator[Part]:
    """Facts of the stacks' own commands; only: of these stacks and subjects. A server that does
    not start, or does not answer, is a fact."""
    for stack, of_stack in asked.items():
        for command, sizes in zip(of_stack, _sizes(STACKS[stack]), strict=False):
            if only is None or (stack, command.subject) in only:
                measured = _facts(side, STACKS[stack], command, sizes, log, patience)
                facts = ((command.subject, fact, value) for fact, value in measured)
                yield part(side, stack, command.subject, facts)


def planned(asked: Mapping[str, Sequence[Command]]) -> list[Name]:
    """What is measured of each side."""
    return [(stack, command.subject) for stack, of_stack in asked.items() for command in of_stack]


def _sizes(stack: Stack) -> Iterator[tuple[str, ...]]:
    """The limits that each of a stack's commands is asked for: the first one all that its framework
    has, and the others none, since they run the same framework."""
    yield tuple(
        limit
        for limit in limits.BODIES
        if limit not in limits.OF_FORMS or stack.framework not in FORMLESS
    )
    yield from repeat(())


@dataclass(frozen=True, slots=True)
class Started:
    """A server that answers. session: that of all its processes. sizes: facts of `limits.BODIES`
    that are asked of it."""

    session: int
    port: int
    patience: Patience
    sizes: tuple[str, ...] = ()


def _facts(
    side: Side,
    stack: Stack,
    command: Command,
    sizes: tuple[str, ...],
    log: Path,
    patience: Patience,
) -> Iterator[tuple[str, str]]:
    for _ in range(STARTS):
        port = free_port(HOST)
        words = command.words.format(
            module=_MODULES[stack.framework], host=HOST, port=port, loop=stack.loop
        ).split()
        folder = Path(small_apps.__file__).parent
        with background([str(side.python), "-m", *words], folder, log) as process:
            started = Started(process.pid, port, patience, sizes)
            if _answers(process, started):
                yield "starts", "yes"
                for question in QUESTIONS:
                    yield from question(started)
                return
        if not _taken(port):
            yield "starts", "no"
            return
    yield "starts", UNKNOWN


def _answers(process: subprocess.Popen[bytes], started: Started) -> bool:
    """Whether it comes to answer on a socket of its own; where it does not, the log says why."""
    deadline = time.monotonic() + READY_S
    while ended(process) is None and time.monotonic() < deadline:
        started.patience.check()
        if listening.sockets(started.session, started.port):
            with (
                suppress(OSError, http.client.HTTPException),
                raw_request.connect(HOST, started.port) as connection,
            ):
                raw_request.exchange(connection, _request(WHOLE), HOST)
                return True
        time.sleep(_POLL_S)
    return False


def _taken(port: int) -> bool:
    """Whether somebody else listens on a port that the server has left."""
    with suppress(OSError), raw_request.connect(HOST, port):
        return True
    return False


WHOLE, PIECES = "whole", "pieces"
ANSWERS: Mapping[str, str] = {WHOLE: "an answer in one piece", PIECES: "an answer in pieces"}
"""By path: what facts call it."""


def _request(path: str) -> Request:
    return Request("GET", f"/{path}")


@dataclass(frozen=True, slots=True)
class Reading:
    """Of one exchange, in ms. waited: how long threads of server and client had no CPU."""

    took_ms: float
    waited_ms: float

    @property
    def delayed(self) -> bool | None:
        """None where it says nothing."""
        if self.took_ms < HELD_MS:
            return False
        return True if self.took_ms - self.waited_ms >= HELD_MS else None


def _delays(path: str, started: Started) -> Iterator[tuple[str, str]]:
    """Whether the first and the last answer on a connection come at once."""
    numbers = facts_of(path)
    delays: dict[str, list[bool]] = {fact: [] for fact in numbers}
    for _ in range(MOST_ASKS):
        started.patience.check()
        if all(map(_enough, delays.values())):
            break
        try:
            readings = _readings(path, started)
        except (OSError, http.client.HTTPException) as error:
            yield from dict.fromkeys(numbers, f"no answer: {type(error).__name__}").items()
            return
        for fact, number in numbers.items():
            delayed = readings[number - 1].delayed
            delays[fact] += [] if delayed is None else [delayed]
    for fact, decided in delays.items():
        yield fact, _majority(decided)


def facts_of(path: str) -> dict[str, int]:
    """What its facts are called, and the request on a connection that each is about."""
    return {f"{ANSWERS[path]}, request {number}": number for number in (1, LAST)}


def _enough(decided: Sequence[bool]) -> bool:
    return len(decided) >= (MOST_DECIDED if any(decided) else ASKS)


def _majority(decided: Sequence[bool]) -> str:
    """By their majority; a single reading is none."""
    if len(decided) < ASKS or 2 * sum(decided) == len(decided):
        return UNKNOWN
    return DELAYED if 2 * sum(decided) > len(decided) else AT_ONCE


def _readings(path: str, started: Started) -> list[Reading]:
    """Of LAST exchanges, one after another on a new connection."""
    waits = [Waits("self"), *map(Waits, listening.processes(started.session))]
    readings = []
    with raw_request.connect(HOST, started.port) as connection:
        for _ in range(LAST):
            before_ns, began = _waited_ns(waits), time.perf_counter()
            raw_request.exchange(connection, _request(path), HOST)
            took_ms = (time.perf_counter() - began) * 1000
            readings.append(Reading(took_ms, (_waited_ns(waits) - before_ns) / 1e6))
    return readings


def _waited_ns(waits: Iterable[Waits]) -> int:
    waited = 0
    for process_waits in waits:
        with suppress(FileNotFoundError):  # that process ended meanwhile
            waited += process_waits.read_ns()
    return waited


def _backlog(started: Started) -> Iterator[tuple[str, str]]:
    """How many connections may wait to be accepted; unknown where the machine allows no more, or
    its kernel does not tell."""
    try:
        backlogs = set(listening.backlogs(started.port))
    except OSError:
        backlogs = set()
    known = backlogs and max(backlogs) < listening.limit()
    yield "backlog", " and ".join(map(str, sorted(backlogs))) if known else UNKNOWN


def _sockets(started: Started) -> Iterator[tuple[str, str]]:
    sockets = listening.sockets(started.session, started.port)
    yield "listening sockets", str(len(sockets))
    yield "SO_REUSEPORT", "yes" if listening.shared(HOST, started.port) else "no"


def _limits(started: Started) -> Iterator[tuple[str, str]]:
    """How much a request may hold where nobody has set it, as most applications leave it. The
    suite's own applications set such limits alike, so that their answers are."""
    for fact in started.sizes:
        make, most = limits.BODIES[fact]

        def taken(size: int, make: Callable[[int], Request] = make) -> bool:
            started.patience.check()
            return limits.answered(HOST, started.port, make(size))

        yield fact, limits.largest(taken, most)


QUESTIONS: Sequence[Callable[[Started], Iterator[tuple[str, str]]]] = (
    partial(_delays, WHOLE),
    partial(_delays, PIECES),
    _backlog,
    _sockets,
    _limits,
)
"""What each is asked, once it answers: facts and their values."""
