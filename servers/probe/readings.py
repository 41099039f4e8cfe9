"""What a Probe is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from loopbench.servers.probe.connection_pool import PoolReading
from loopbench.servers.probe.event_loop import LoopReading
from loopbench.servers.probe.executor import ExecutorReading
from loopbench.servers.probe.garbage_collector import Pauses
from loopbench.servers.probe.stalls.readings import StallsReading
from loopbench.servers.probe.thread_pools import ThreadPoolReading
from loopbench.servers.supervision.merging import (
    FIRST,
    FIRST_KNOWN,
    JOINED,
    JOINED_BY_NAME,
    MOST,
    SUM,
    UNKNOWN,
    Pairs,
)
from loopbench.servers.supervision.messages import Done, Question
from loopbench.servers.supervision.os_stats import Reading, ThreadReading


@dataclass(frozen=True, slots=True)
class TallyReading:
    """The requests of one route on one thread and loop of a process, since the reset.

    thread: `others` where there are too many to be told apart; whether it lives is then None.
    """

    pid: int
    thread: str
    is_main_thread: bool
    is_loop_thread: bool
    alive: bool | None
    loop_class: str | None
    loop_number: int | None
    requests: int
    handler_us: Pairs


@dataclass(frozen=True, slots=True)
class Observation:
    """All that was counted since the reset; of several processes, counts are added and extremes
    kept. Durations are pairs of us and count.

    failure: of the Probe itself. collector: a row a generation and process. routes: by name, those
    that were asked. threads: those that live. thread_pools: every pool, that of the loop's executor
    among them.
    """

    pid: Annotated[int, FIRST]
    seconds: Annotated[float, MOST]
    failure: Annotated[str | None, FIRST_KNOWN]
    loop: LoopReading
    executor: ExecutorReading
    pool: PoolReading
    collector: Annotated[tuple[Pauses, ...], JOINED]
    stalls: StallsReading
    routes: Annotated[dict[str, tuple[TallyReading, ...]], JOINED_BY_NAME]
    threads: Annotated[tuple[ThreadReading, ...], JOINED]
    thread_pools: Annotated[tuple[ThreadPoolReading, ...], JOINED] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """The little that is asked for every second while a load runs, since the reset.

    executor_queue: calls that wait for a thread right now.
    """

    loop: LoopReading
    executor_queue: Annotated[int | None, SUM]
    process: Reading


@dataclass(frozen=True, slots=True)
class InstantSums:
    """Sums of the instants of some requests of a route.

    handled: how many have ended since the instants were reset. began_ns, ended_ns: sums of
    CLOCK_REALTIME instants, each less `origin_ns`; None where fewer requests were handled, or too
    many to be kept, and of several processes, where it is not known which of them got which.
    """

    handled: Annotated[int, SUM]
    origin_ns: Annotated[int, FIRST]
    began_ns: Annotated[int | None, UNKNOWN]
    ended_ns: Annotated[int | None, UNKNOWN]


@dataclass(frozen=True, slots=True)
class Reset(Question[Done]):
    """Count anew; the instants too, or they go on from their last reset."""

    instants: bool


@dataclass(frozen=True, slots=True)
class Pause(Question[Done]):
    """Observe nothing of the loop until Resume, and cost nothing."""


@dataclass(frozen=True, slots=True)
class Resume(Question[Done]):
    """Go on after a pause."""


@dataclass(frozen=True, slots=True)
class Observe(Question[Observation]):
    """All of it."""


@dataclass(frozen=True, slots=True)
class Glance(Question[Moment]):
    """A little of it. loaded: whether the load still lasts."""

    loaded: bool = True


@dataclass(frozen=True, slots=True)
class Instants(Question[InstantSums]):
    """Of `count` requests of a route, after the first `skip`."""

    route: str
    skip: int
    count: int
