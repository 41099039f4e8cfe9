"""Is no stall told where there was none? Minutes of load on a plain route, under strace.

What the probe tells is held to two witnesses outside of the server's Python. strace sees when the
loop's thread waited for events: a stall must lie in a stretch without such a wait that is as long
as a stall has to be. A thread that has been woken but has no CPU is within its wait for strace;
there the kernel's own account of the run queue, and of what the hypervisor took, must have grown by
the share of what was told that such a cause stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from loopbench.loadtests.scenarios.table import Load, Open
from loopbench.loadtests.selfcheck.checks.utilisation import CONNECTIONS, Traced, timed, traced
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.loadtests.selfcheck.witnesses import strace
from loopbench.results.schema import Cause
from loopbench.servers.contract.cases import CASES
from loopbench.servers.probe.readings import Observation, Observe, Reset
from loopbench.servers.probe.stalls.causes import MOST_OF
from loopbench.servers.probe.stalls.readings import StallRow
from loopbench.servers.probe.stalls.system import stolen_ns
from loopbench.servers.probe.stalls.thread_times import ThreadTimes
from loopbench.servers.settings import Settings

STACKS = ("aiohttp", "quart-hypercorn")
LOAD = Load("main", CASES["plain"], Open(200.0, CONNECTIONS))
"""Far from what either can do: where a loop is full, many a turn of it is a stall by right."""

WINDOWS, WINDOW_S = 10, 30.0
"""Of each stack: five minutes."""

LEAST_NS = int(Settings().probe_stall_ms * 1e6)
NEAR_NS = 500_000
"""How far apart the clocks of two witnesses may be beside what is known of it, and how much
shorter a stretch may be for strace, which takes the time a little outside of it."""

_QUEUED = frozenset({Cause.NO_CPU, Cause.STOLEN})
_ASK_S = 30.0


@dataclass(frozen=True, slots=True)
class Window:
    """What was told in a window, and what the witnesses have seen.

    origin_ns: when the probe was told to count anew, by the clock of the day; known to `off_ns`.
    calls: the thread's waits for events. kept_ns: how long the kernel says that the thread, or the
    machine, was kept from a CPU.
    """

    stalls: tuple[StallRow, ...]
    origin_ns: int
    off_ns: int
    calls: Sequence[strace.Call]
    kept_ns: int

    def witnessed(self, stall: StallRow) -> bool:
        """Whether strace saw no wait for as long as a stall has to be, where one was told."""
        slack_ns = self.off_ns + NEAR_NS
        began_ns = self.origin_ns + int(stall.started_s * 1e9) - slack_ns
        ended_ns = began_ns + int(stall.duration_ms * 1e6) + 2 * slack_ns
        return any(
            end - begin >= LEAST_NS - NEAR_NS and begin < ended_ns and end > began_ns
            for begin, end in _away(self.calls)
        )

    def unseen(self) -> tuple[StallRow, ...]:
        """The stalls that no witness confirms."""
        others = [stall for stall in self.stalls if not self.witnessed(stall)]
        queued = [stall for stall in others if stall.cause in _QUEUED]
        claimed_ns = MOST_OF * sum(stall.duration_ms for stall in queued) * 1e6
        if claimed_ns <= self.kept_ns + NEAR_NS:
            return tuple(stall for stall in others if stall.cause not in _QUEUED)
        return tuple(others)


def _away(calls: Iterable[strace.Call]) -> Iterator[tuple[int, int]]:
    """The stretches between two waits."""
    waits = [call for call in calls if call.waits]
    for before, after in pairwise(waits):
        yield before.ended_ns, after.began_ns


def window(on: Traced, load: Load, seconds: float) -> Window:
    """Load a server for so long, and read what its probe told, beside what others saw."""
    edges: list[tuple[int, int]] = []
    observed: list[Observation] = []
    kept: list[int] = []

    def opened() -> None:
        edges.append(timed(lambda: on.server.ask(Reset(instants=True), _ASK_S)))
        kept.append(_kept_ns(on.server.pid))

    def closed() -> None:
        kept.append(_kept_ns(on.server.pid))
        observed.append(on.server.ask(Observe(), _ASK_S))

    on.offer(load, seconds, opened, closed)
    ((asked_ns, answered_ns),) = edges
    (observation,) = observed
    return Window(
        observation.stalls.stalls,
        (asked_ns + answered_ns) // 2,
        (answered_ns - asked_ns) // 2,
        strace.calls(on.out, on.server.pid),
        kept[1] - kept[0],
    )


def _kept_ns(pid: int) -> int:
    """How long the main thread of a process waited for a CPU, and the machine was without its own,
    in all."""
    schedstat = Path(f"/proc/{pid}/task/{pid}/schedstat").read_bytes()
    return ThreadTimes.of(schedstat).queued_ns + (stolen_ns() or 0)


def check(say: Callable[[str], None]) -> list[Verdict]:
    """Five minutes of each stack."""
    return [verdict(stack, list(_windows(stack, say))) for stack in STACKS]


def _windows(stack: str, say: Callable[[str], None]) -> Iterator[Window]:
    for _ in range(WINDOWS):
        with traced(stack) as on:
            measured = window(on, LOAD, WINDOW_S)
        for stall in measured.stalls:
            by = "no witness" if stall in measured.unseen() else "confirmed"
            say(
                f"{stack}: {stall.duration_ms:.1f} ms {stall.cause} at {stall.file}:{stall.line} "
                f"({stall.detail}): {by}"
            )
        yield measured


def verdict(stack: str, windows: Sequence[Window]) -> Verdict:
    """Met where a witness confirms each stall that was told."""
    stalls = sum(len(measured.stalls) for measured in windows)
    unseen = sum(len(measured.unseen()) for measured in windows)
    waits = sum(call.waits for measured in windows for call in measured.calls)
    return Verdict(
        f"{stack}: each stall that was told on /plain is confirmed by strace or the kernel",
        f"{stalls - unseen} of {stalls}, in {len(windows)} windows with {waits:,} waits for events",
        not unseen,
    )
