"""SCENARIOS: the loads that are offered, and what each one asks."""

from __future__ import annotations

from typing import Any

from loopbench.loadtests.scenarios.data import clients, moving
from loopbench.loadtests.scenarios.model import Model
from loopbench.loadtests.scenarios.models import Closed, Idle, Load, Open, Scenario
from loopbench.loadtests.scenarios.websockets import sockets
from loopbench.results.schema import Family, Role, Work
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.large_cases import case_of
from loopbench.servers.contract.routes import LAYERS
from loopbench.servers.settings import Settings

__all__ = ["SCENARIOS", "Closed", "Idle", "Load", "Model", "Open", "Scenario"]


SLICE_S = 0.1
"""Of closed loops whose handlers do not wait; docs/slices.md has the sweep that it follows from."""

LONG_SLICE_S = 0.3
"""Where a request takes some milliseconds of its own."""

OPEN_SLICE_S = 0.25
"""Of open loops at a rate that every stack holds. At other rates Runs stay whole: what a server
falls behind in a Slice it would make up for while it is parked, and seem to hold the rate."""

OPEN_TURNS = 8
"""Of these. Their medians differ from Slice to Slice by how their arrivals bunch and by what wakes
beside the server, and that is most of what Blocks differ by: of six and ten Blocks of a published
run they had a standard deviation of 10 and 15 %, where the Slices alone made one expect 8 and 13 %.
Half of a Block is the start of its servers, so that twice as many Slices tell more than half as
many Blocks again."""


def _closed(
    name: str,
    case: str,
    users: int,
    asks: str,
    *,
    family: Family = Family.CLOSED_LOOP,
    yardstick: bool = True,
    slice_s: float | None = SLICE_S,
    **facts: Any,
) -> Scenario:
    load = Load("main", case_of(case), Closed(users))
    return Scenario(
        name, asks, (load,), yardstick=yardstick, slice_s=slice_s, family=family, **facts
    )


def _open(
    name: str, rate_rps: float, asks: str, *, slice_s: float | None = None, yardstick: bool = True
) -> Scenario:
    return Scenario(
        name,
        asks,
        (Load("main", CASES["async"], Open(rate_rps, OPEN_CONNECTIONS)),),
        yardstick=yardstick,
        slice_s=slice_s,
        least_turns=OPEN_TURNS,
        family=Family.RATES,
        parameter=rate_rps,
        parameter_name="arrivals a second",
    )


OPEN_CONNECTIONS = 128
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
        slice_s=OPEN_SLICE_S,
        least_turns=OPEN_TURNS,
        family=Family.NEIGHBOURS,
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
                        role=Role.BURDEN,
                        work=Work.COMPUTE if name.startswith("burn") else Work.WAIT,
                        work_ms=NEIGHBOUR_MS,
                    ),
                ),
                yardstick=False,
                family=Family.NEIGHBOURS,
                variant=name,
                baseline=alone.name,
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
            f"what a 50 ms sync route gives {users} at once from "
            f"{'the default' if name == 'cliff' else CLIFF_THREADS} worker threads",
            (
                Load(
                    "main",
                    CASES[f"sleep-sync-{CLIFF_MS}"],
                    Closed(users, ramp_s=CLIFF_MS / 1000),
                    work=Work.WAIT,
                    work_ms=CLIFF_MS,
                ),
            ),
            yardstick=False,
            settings=settings,
            family=Family.EXECUTOR_CLIFF,
            variant="default threads" if name == "cliff" else f"{CLIFF_THREADS} threads",
            parameter=users,
            parameter_name="users",
        )
        for name, settings in sizes.items()
        for users in CLIFF_USERS
    )


def _rates() -> tuple[Scenario, ...]:
    """Arrival rates towards the most that a stack can hold, for capacity planning."""
    return tuple(
        _open(
            f"rate-{rate}",
            float(rate),
            f"whether {rate:,} requests a second are held, at which share of the CPU",
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
            family=Family.MIDDLEWARE,
            parameter=layers,
            parameter_name="layers",
            baseline=f"middleware-{LAYERS[0]}" if layers != LAYERS[0] else "",
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
        _closed(
            f"save-{name}",
            f"save-{name}",
            32,
            f"what a save costs {text}",
            family=Family.SAVES,
            variant=name,
            baseline="save-none" if name != "none" else "",
            yardstick=False,
            slice_s=LONG_SLICE_S,
        )
        for name, text in how.items()
    )


DATABASE_USERS = (1, 32, 256)


def _stores() -> tuple[Scenario, ...]:
    """The database, by both drivers, over more and more users; and two stores."""
    rows = (
        _closed(
            f"db-{kind}-{users}",
            f"db-{kind}",
            users,
            f"one row {text}, {users} at once",
            family=Family.DATABASE,
            variant=kind,
            parameter=users,
            parameter_name="users",
            slice_s=LONG_SLICE_S if users <= 32 else None,
        )
        for kind, text in {
            "async": "by an asynchronous driver",
            "sync": "by a synchronous driver in worker threads",
        }.items()
        for users in DATABASE_USERS
    )
    both = (
        _closed(
            f"save-both-{name}",
            f"save-both-{name}",
            32,
            f"a save to two stores, {text}",
            family=Family.STORES,
            variant=name,
            baseline="save-both-none" if name != "none" else "",
            slice_s=None,
        )
        for name, text in {"none": "unprotected", "both": "behind one shield"}.items()
    )
    transaction = _closed(
        "db-save-32",
        "db-save",
        32,
        "what a transaction costs",
        family=Family.STORES,
        variant="transaction",
        slice_s=None,
    )
    return (*rows, transaction, *both)


_SCENARIOS: tuple[Scenario, ...] = (
    _closed(
        "async-32", "async", 32, "how many small JSON answers an async route gives, 32 at once"
    ),
    _closed(
        "sync-32",
        "sync",
        32,
        "the same from a sync route, run in worker threads",
        family=Family.SYNC,
        baseline="async-32",
        yardstick=False,
    ),
    _closed("async-1", "async", 1, "how long one request takes when nothing else is asked"),
    _closed("plain-32", "plain", 32, "the least that a route can do: a constant text"),
    _closed("form-32", "form", 32, "what parsing a small form adds", yardstick=False),
    Scenario(
        "waiting-1000",
        "whether 1,000 users who each wait half a second disturb each other",
        (
            Load(
                "main",
                CASES["hello-waiting"],
                Closed(1000, ramp_s=0.5),
                work=Work.WAIT,
                work_ms=Settings().wait_ms,
            ),
        ),
        # A slower stack answers each after 0.8 s, in waves that take some requests to even out.
        warmup_s=2.0,
        measured_s=3.5,
        yardstick=False,
        family=Family.WAITING,
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
        family=Family.CHURN,
    ),
    Scenario(
        "idle-1000",
        "what 1,000 idle connections cost in memory and descriptors, and what they do to others",
        (
            Load("main", CASES["async"], Closed(8)),
            Load("idle", CASES["plain"], Idle(1000), role=Role.BURDEN),
        ),
        warmup_s=1.0,
        after_s=1.0,
        yardstick=False,
        family=Family.IDLE,
    ),
    _open(
        "open-low",
        500.0,
        "response times at a rate that every stack can hold",
        slice_s=OPEN_SLICE_S,
        yardstick=False,
    ),
    _open("open-high", 5000.0, "response times at a rate that only the faster holds"),
    *_rates(),
    *_layers(),
    *_saves(),
    *moving(),
    *clients(),
    *_stores(),
    *sockets(),
)

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _SCENARIOS}

DEFAULT_SCENARIOS = (
    "async-32",
    "sync-32",
    "async-1",
    "plain-32",
    "form-32",
    "waiting-1000",
    "open-low",
    "open-high",
    "neighbour-none",
    "neighbour-sleep-blocking",
    "cliff-4",
    "cliff-16",
)
"""Measured unless others are named."""
