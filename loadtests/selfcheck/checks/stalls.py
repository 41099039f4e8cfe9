"""Is every stall told, with its cause, its line and its length? Stalls of eleven known kinds."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from loopbench.loadtests.hosts.cpus import allowed_cpus, plan_cpus
from loopbench.loadtests.selfcheck.seeds.holds import HELD_S, HOLDS, Truth
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.results.schema import ROOT, Cause
from loopbench.servers.custom.look import Looks
from loopbench.servers.custom.stacks import rows
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.parts import AIOHTTP, ASGI, OwnApp
from loopbench.servers.probe.readings import Observe, Reset
from loopbench.servers.probe.stalls.readings import StallRow
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.messages import Json, from_json

REPEATS = 20
LEAST_RIGHT = 0.95
FURTHEST_SHARE, FURTHEST_MS = 0.05, 2.0
"""A duration may be wrong by the larger of the two."""

_SEEDS = "loopbench.loadtests.selfcheck.seeds"
SERVERS: dict[str, tuple[str, str, str]] = {
    "aiohttp": (f"{_SEEDS}.aiohttp_app:app", AIOHTTP, "aiohttp"),
    "aiohttp-uvloop": (f"{_SEEDS}.aiohttp_app:app", AIOHTTP, "aiohttp"),
    "hypercorn": (f"{_SEEDS}.quart_app:app", ASGI, "Quart"),
    "hypercorn-uvloop": (f"{_SEEDS}.quart_app:app", ASGI, "Quart"),
}
"""The application, its kind and its framework, by the server that runs it, as --on has it."""

_SETTLED_S = 0.35
"""How long after its end a stall may take to be told; a late timer is looked at a while later."""

_QUOTA_KNOWN_S = 1.3
"""How long the probe may take to learn that there is a quota."""

_BEATS_S = 0.05

_QUOTA_GROUPS = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one seeded stall. reported: the row of the probe's; None where it has none."""

    name: str
    truth: Truth
    reported: StallRow | None

    @property
    def cause(self) -> bool:
        """Whether the cause is right: the seeded one, or the want of a CPU, where the thread that
        stalled has read in schedstat that it waited for one most of the time."""
        if self.reported is None:
            return False
        right = {HOLDS[self.name].cause}
        if 2 * self.truth.queued_ns > self.truth.ended_ns - self.truth.began_ns:
            right.add(Cause.NO_CPU)
        return self.reported.cause in right

    @property
    def line(self) -> bool | None:
        """Whether the line is right; None for a kind that has none."""
        if not self.truth.lines:
            return None
        if self.reported is None or not (self.reported.file or "").endswith("seeds/holds.py"):
            return False
        return self.reported.line in self.truth.lines

    @property
    def duration(self) -> bool:
        """Whether the duration is right."""
        if self.reported is None:
            return False
        true_ms = (self.truth.ended_ns - self.truth.began_ns) / 1e6
        off_ms = abs(self.reported.duration_ms - true_ms)
        return off_ms <= max(FURTHEST_MS, FURTHEST_SHARE * true_ms)


def stack_of(on: str) -> Stack:
    """The seeded application on a server, a key of SERVERS."""
    target, kind, framework = SERVERS[on]
    own = OwnApp(target, str(ROOT), "/prepare/sleep", kind=kind, made=False)
    (stack,) = rows(own, Looks(kind, framework, (), made=False), (on,)).values()
    return stack


@contextmanager
def seeded_server(on: str, cpus: frozenset[int] | None = None) -> Iterator[ServerProcess]:
    """The seeded application, watched."""
    with server_process(stack_of(on), settings=Settings(probe=True), cpus=cpus) as server:
        yield server


def ask(server: ServerProcess, path: str) -> Json:
    """One GET's answer as JSON."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    try:
        connection.request("GET", path)
        answer: Json = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


def seed(server: ServerProcess, name: str) -> Answer:
    """Have a server stall as `name` of HOLDS says, and see what its probe tells.

    Raises OSError for a quota where control groups cannot be written.
    """
    ask(server, f"/prepare/{name}")
    time.sleep(_SETTLED_S)
    server.ask(Reset(instants=True))
    reset_at = time.perf_counter_ns()
    time.sleep(_BEATS_S)  # a stall that may have begun before the reset is not told
    truth = _HOW.get(name, _asked)(server, name)
    time.sleep(_SETTLED_S)
    stalls = server.ask(Observe(), 10.0).stalls.stalls
    began_s, ended_s = ((at - reset_at) / 1e9 for at in (truth.began_ns, truth.ended_ns))
    within = [
        stall
        for stall in stalls
        if stall.started_s < ended_s and began_s < stall.started_s + stall.duration_ms / 1e3
    ]
    return Answer(name, truth, max(within, key=lambda stall: stall.duration_ms, default=None))


def _asked(server: ServerProcess, name: str) -> Truth:
    return from_json(Truth, ask(server, f"/hold/{name}"))


def _stopped(server: ServerProcess, name: str) -> Truth:
    os.kill(server.pid, signal.SIGSTOP)
    began = time.perf_counter_ns()
    try:
        time.sleep(2 * HELD_S)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    return Truth(began, time.perf_counter_ns(), ())


def _cut_off(server: ServerProcess, name: str) -> Truth:
    with quota_group(share=0.2) as join:
        join(server.pid)
        time.sleep(_QUOTA_KNOWN_S)
        truth = _asked(server, name)
        # The process may be cut off once more before it can answer.
        truth = replace(truth, ended_ns=time.perf_counter_ns())
        time.sleep(_SETTLED_S)
        return truth


_HOW: dict[str, Callable[[ServerProcess, str], Truth]] = {"stop": _stopped, "quota": _cut_off}


@contextmanager
def quota_group(share: float) -> Iterator[Callable[[int], None]]:
    """A control group that may use so much of a CPU, and what puts a process into it.

    Its processes go back to the group above at the end. Raises OSError where none can be made.
    """
    mount = next((folder for folder in _QUOTA_GROUPS if (folder / "cgroup.procs").exists()), None)
    if mount is None:
        raise OSError("there are no control groups for CPU time here")
    group = mount / f"loopbench-{os.getpid()}"
    group.mkdir()
    try:
        quota_us, period_us = round(share * 100_000), 100_000
        # All of the weight, so that nothing but the quota keeps them from a CPU.
        limits = (
            {"cpu.shares": 262_144, "cpu.cfs_period_us": period_us, "cpu.cfs_quota_us": quota_us}
            if (group / "cpu.cfs_quota_us").exists()
            else {"cpu.weight": 10_000, "cpu.max": f"{quota_us} {period_us}"}
        )
        for file, value in limits.items():
            (group / file).write_text(str(value))

        yield lambda pid: _write(group / "cgroup.procs", pid)
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            _write(mount / "cgroup.procs", int(pid))
        group.rmdir()


def _write(file: Path, pid: int) -> None:
    file.write_text(str(pid))


def check(say: Callable[[str], None], repeats: int = REPEATS) -> list[Verdict]:
    """Seed each kind so many times on each server; twenty times on four servers is 20 minutes."""
    answers: list[Answer] = []
    for on in SERVERS:
        with seeded_server(on, plan_cpus(allowed_cpus()).server) as server:
            for name in HOLDS:
                some = list(_seeded(server, name, repeats, say))
                answers += some
                if some:
                    say(f"{on}, {name}: {_shares(some)}")
    return list(judge(answers))


def _seeded(
    server: ServerProcess, name: str, repeats: int, say: Callable[[str], None]
) -> Iterator[Answer]:
    for _ in range(repeats):
        try:
            answer = seed(server, name)
        except OSError as error:
            say(f"{name}: cannot be had here: {error}")
            return
        if not (answer.cause and answer.duration and answer.line is not False):
            say(f"{name}: {_in_words(answer)}")
        yield answer


def _in_words(answer: Answer) -> str:
    true_ms = (answer.truth.ended_ns - answer.truth.began_ns) / 1e6
    stall = answer.reported
    if stall is None:
        return f"{true_ms:.1f} ms, and nothing was told"
    return (
        f"{true_ms:.1f} ms, told {stall.duration_ms:.1f} ms {stall.cause} at "
        f"{stall.file}:{stall.line} ({stall.detail})"
    )


def _shares(answers: Sequence[Answer]) -> str:
    lines = [answer.line for answer in answers if answer.line is not None]
    parts = {
        "cause": [answer.cause for answer in answers],
        "line": lines,
        "duration": [answer.duration for answer in answers],
    }
    return ", ".join(f"{name} {sum(right)} of {len(right)}" for name, right in parts.items())


def judge(answers: Sequence[Answer]) -> Iterator[Verdict]:
    """The demands on all answers together."""
    for what, right in (
        ("cause", [answer.cause for answer in answers]),
        ("line, of those with one", [answer.line for answer in answers if answer.line is not None]),
        ("duration, within 5 % or 2 ms", [answer.duration for answer in answers]),
    ):
        share = sum(right) / len(right)
        yield Verdict(
            f"at least {LEAST_RIGHT:.0%} of the seeded stalls are told with the right {what}",
            f"{sum(right)} of {len(right)}, {share:.1%}",
            share >= LEAST_RIGHT,
        )
