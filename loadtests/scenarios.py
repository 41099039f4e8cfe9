"""SCENARIOS: the loads that are offered, and what each one asks."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from results.schema import Code
from servers.contract import CASES, LAYERS, Case, Expected, Request, route_of
from servers.settings import Settings


@dataclass(frozen=True, slots=True)
class Closed:
    """Each of `users` sends its next request when the last answer is in.

    ramp_s: the users' first requests are spread evenly over this time, within
    the warm-up. Users that all wait for the same time would otherwise stay in
    step for ever, and a window would catch a whole wave too many or too few.
    new_connections: every request opens a connection of its own and closes it;
    its response time begins before it connects, its service time at the send.
    """

    kind: ClassVar[str] = "closed"
    users: int
    ramp_s: float = 0.0
    new_connections: bool = False

    @property
    def population(self) -> int:
        """How many Locust users it takes, each with one connection."""
        return self.users

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        fresh = ", a new connection for every request" if self.new_connections else ""
        return f"closed loop, {self.users} users{fresh}"


@dataclass(frozen=True, slots=True)
class Open:
    """Requests are scheduled as a Poisson process, whatever the server does.

    rate_rps: mean arrivals a second. connections: the most requests that can
    be under way at once; an arrival that finds none free waits for one, and
    is charged with that wait.
    """

    kind: ClassVar[str] = "open"
    rate_rps: float
    connections: int

    @property
    def population(self) -> int:
        """How many Locust users it takes, each with one connection."""
        return self.connections

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        return f"open loop, {self.rate_rps:g} a second over {self.connections} connections"


@dataclass(frozen=True, slots=True)
class Idle:
    """Connections that each send one request during the lead-in and are then held open."""

    kind: ClassVar[str] = "idle"
    connections: int

    @property
    def population(self) -> int:
        """How many Locust users it takes, each with one connection."""
        return self.connections

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        return f"{self.connections} connections that send one request and are then held open"


Model = Closed | Open | Idle
MODELS: dict[str, type[Model]] = {model.kind: model for model in (Closed, Open, Idle)}


@dataclass(frozen=True, slots=True)
class Load:
    """One stream of requests of a Scenario, with figures of its own.

    own: it goes to a person's own application, whose routes are not the contract's.
    codes: what is in doubt about each row of it from the beginning.
    """

    name: str
    case: Case
    model: Model
    own: bool = False
    codes: tuple[Code, ...] = ()

    @property
    def route(self) -> str | None:
        """The route whose handler the probe watches; None in a person's own application."""
        return None if self.own else route_of(self.case.request).name


@dataclass(frozen=True, slots=True)
class Scenario:
    """One or more Loads offered together, and the settings that they need.

    warmup_s: the least lead-in before the measured window, where it needs
    more than the bench's own. after_s: read the server once more so long after
    the load has ended and closed its connections; 0 leaves that out.
    yardstick: whether it says anything to offer it to the yardstick too.
    """

    name: str
    asks: str
    loads: tuple[Load, ...]
    warmup_s: float = 0.0
    after_s: float = 0.0
    yardstick: bool = True
    settings: Settings = field(default_factory=Settings)


def _closed(name: str, case: str, users: int, asks: str, *, yardstick: bool = True) -> Scenario:
    load = Load("main", CASES[case], Closed(users))
    return Scenario(name, asks, (load,), yardstick=yardstick)


def _open(name: str, case: str, rate_rps: float, connections: int, asks: str) -> Scenario:
    return Scenario(name, asks, (Load("main", CASES[case], Open(rate_rps, connections)),))


NEIGHBOUR_RATE_RPS = 10.0
NEIGHBOUR_MS = 50
CANARY_RATE_RPS = 250.0
CLIFF_MS = 50
CLIFF_USERS = (1, 2, 4, 8, 16, 32, 64)
CLIFF_THREADS = 16
RATES_RPS = (1000, 1500, 2000, 3000, 8000, 10_000)
"""Beside those of open-low and open-high: about where one process of a core stack has enough."""

CHURN_KEEP_ALIVE_S = 5.0
"""Hypercorn keeps the descriptor of a closed connection for as long as it would keep an
idle one. Its own default, so that a long run does not use up the descriptors; what is
still held shows in the rows all the same."""


def _neighbours() -> tuple[Scenario, ...]:
    """A canary alone, and beside ten requests a second of 50 ms of each kind of work."""
    canary = Load("canary", CASES["async"], Open(CANARY_RATE_RPS, 64))
    alone = Scenario(
        "neighbour-none",
        "how late an innocent request is when it is alone",
        (canary,),
        yardstick=False,
    )
    asks = {
        "sleep-async": "beside handlers that await 50 ms",
        "sleep-sync": "beside handlers that hold a worker thread for 50 ms",
        "sleep-blocking": "beside handlers that block the loop for 50 ms, the usual mistake",
        "burn-async": "beside handlers that compute for 50 ms on the loop",
        "burn-sync": "beside handlers that compute for 50 ms in a worker thread",
    }
    return (
        alone,
        *(
            Scenario(
                f"neighbour-{name}",
                f"how late an innocent request is {text}",
                (
                    canary,
                    Load(
                        "neighbour",
                        CASES[f"{name}-{NEIGHBOUR_MS}"],
                        Open(NEIGHBOUR_RATE_RPS, 64),
                    ),
                ),
                yardstick=False,
            )
            for name, text in asks.items()
        ),
    )


def _cliff() -> tuple[Scenario, ...]:
    """Users swept across the executor's size, at its default and at one set explicitly."""
    sizes = {"cliff": Settings(), "cliff16": Settings(executor_threads=CLIFF_THREADS)}
    return tuple(
        Scenario(
            f"{name}-{users}",
            f"what {users} users of a 50 ms sync route get from "
            f"{'the default' if name == 'cliff' else CLIFF_THREADS} worker threads",
            (Load("main", CASES[f"sleep-sync-{CLIFF_MS}"], Closed(users, ramp_s=CLIFF_MS / 1000)),),
            yardstick=False,
            settings=settings,
        )
        for name, settings in sizes.items()
        for users in CLIFF_USERS
    )


def _rates() -> tuple[Scenario, ...]:
    """Arrival rates towards the most that a stack can hold, for capacity planning."""
    return tuple(
        replace(
            _open(
                f"rate-{rate}",
                "async",
                float(rate),
                128,
                f"whether {rate:,} requests a second are held, at which share of the CPU",
            ),
            yardstick=False,
        )
        for rate in RATES_RPS
    )


def _layers() -> tuple[Scenario, ...]:
    """The same small answer under more and more layers."""
    return tuple(
        _closed(
            f"middleware-{layers}",
            f"middleware-{layers}",
            32,
            f"what a request costs under {layers} middlewares, or pairs of hooks",
            yardstick=False,
        )
        for layers in LAYERS
    )


def _saves() -> tuple[Scenario, ...]:
    """The same save, protected in different ways."""
    how = {
        "none": "that the handler simply awaits",
        "shield": "behind asyncio.shield",
        "task": "in a task that nobody waits for",
        "thread": "in a worker thread",
    }
    return tuple(
        _closed(f"save-{name}", f"save-{name}", 32, f"what a save costs {text}", yardstick=False)
        for name, text in how.items()
    )


_SCENARIOS: tuple[Scenario, ...] = (
    _closed(
        "async-32", "async", 32, "how many small JSON answers an async route gives, 32 at once"
    ),
    _closed(
        "sync-32",
        "sync",
        32,
        "the same from a sync route, run in worker threads",
        yardstick=False,
    ),
    _closed("async-1", "async", 1, "how long one request takes when nothing else is asked"),
    _closed("plain-32", "plain", 32, "the least that a route can do: a constant text"),
    _closed("form-32", "form", 32, "what parsing a small form adds", yardstick=False),
    Scenario(
        "waiting-1000",
        "whether 1,000 users who each wait half a second disturb each other",
        (Load("main", CASES["hello-waiting"], Closed(1000, ramp_s=0.5)),),
        warmup_s=1.2,
        yardstick=False,
    ),
    *_neighbours(),
    *_cliff(),
    Scenario(
        "churn",
        "what a new connection for every request costs, in time and in what is left behind",
        (Load("main", CASES["async"], Closed(8, new_connections=True)),),
        after_s=1.0,
        yardstick=False,
        settings=Settings(keep_alive_s=CHURN_KEEP_ALIVE_S),
    ),
    Scenario(
        "idle-1000",
        "what 1,000 idle connections cost in memory and descriptors, and what they do to others",
        (
            Load("main", CASES["async"], Closed(8)),
            Load("idle", CASES["plain"], Idle(1000)),
        ),
        warmup_s=1.0,
        after_s=1.0,
        yardstick=False,
    ),
    _open("open-low", "async", 500.0, 128, "response times at a rate that every stack can hold"),
    _open("open-high", "async", 5000.0, 128, "response times at a rate that only the faster holds"),
    *_rates(),
    *_layers(),
    *_saves(),
)

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _SCENARIOS}


def load_to_json(load: Load) -> dict[str, Any]:
    """A Load as JSON types, for the control pipe. Bytes travel as latin-1 text."""
    request, expected = load.case.request, load.case.expected
    pattern = isinstance(expected.body, re.Pattern)
    body = expected.body.pattern if isinstance(expected.body, re.Pattern) else expected.body
    return {
        "name": load.name,
        "case": load.case.name,
        "method": request.method,
        "target": request.target,
        "headers": [list(pair) for pair in request.headers],
        "body": request.body.decode("latin-1"),
        "status": expected.status,
        "content_type": expected.content_type,
        "answer": body.decode("latin-1"),
        "answer_is_pattern": pattern,
        "allow": expected.allow,
        "model": {"kind": load.model.kind, **asdict(load.model)},
    }


def load_from_json(values: dict[str, Any]) -> Load:
    """The inverse of `load_to_json`."""
    answer = values["answer"].encode("latin-1")
    request = Request(
        values["method"],
        values["target"],
        tuple((name, value) for name, value in values["headers"]),
        values["body"].encode("latin-1"),
    )
    expected = Expected(
        values["status"],
        values["content_type"],
        re.compile(answer) if values["answer_is_pattern"] else answer,
        values["allow"],
    )
    model = dict(values["model"])
    kind = MODELS[model.pop("kind")]
    return Load(values["name"], Case(values["case"], request, expected), kind(**model))
