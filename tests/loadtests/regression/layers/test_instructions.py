"""Instructions of two sides are counted at the same time, and a dearer handler costs more."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from socket import socket

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe import raw_request
from loopbench.loadtests.observe.callgrind import counting, missing
from loopbench.loadtests.observe.callgrind_dump import calls
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.observe.request_counts import (
    SETTINGS,
    WARM_REQUESTS,
    Count,
    Idle,
    RequestCount,
    Sender,
    idle_work,
)
from loopbench.loadtests.regression import mutants, selftest
from loopbench.loadtests.regression.layers import instructions
from loopbench.loadtests.regression.mutants import more_work
from loopbench.loadtests.regression.parallel import side_by_side
from loopbench.loadtests.regression.sides.sides import Role, Side, look
from loopbench.results.schema import Row
from loopbench.servers.contract.cases import CASES
from tests.conftest import ROOT
from tests.loadtests.regression.trees import CRASHING, STACKS, changed, edited

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

PLAN = instructions.Plan(requests=10, repeats=1)
STEPS = 5000


def _count(side: Side, patience: Patience, case: str = "plain") -> list[Row]:
    return instructions.measure(side, {"aiohttp": {case: CASES[case]}}, PLAN, patience).rows


@dataclass(frozen=True)
class Counted:
    """What `plain` costs this tree, and one whose handler takes STEPS empty steps more."""

    base: Row
    candidate: Row


@pytest.fixture(scope="module")
def counted() -> Counted:
    """Both at the same time."""
    with changed(more_work(STEPS)) as root:
        sides = [
            look(Role.BASE, "x", ROOT, Path(sys.executable), STACKS),
            look(Role.CANDIDATE, "y", root, Path(sys.executable), STACKS),
        ]
        (base,), (candidate,) = side_by_side(sides, _count)
    return Counted(base, candidate)


def test_work_that_is_added_is_counted(counted: Counted) -> None:
    """So many empty steps more cost some instructions each, in the side that has them, and so few
    that one in each of ten layers is a fifth of the least that the self-test seeds, at most."""
    base, candidate = counted.base, counted.candidate
    assert {key: base[key] for key in ("side", "stack", "route", "repeat", "requests")} == {
        "side": "base",
        "stack": "aiohttp",
        "route": "plain",
        "repeat": 1,
        "requests": 10,
    }
    assert candidate["side"] == "candidate"
    assert base["searching"] is not None and candidate["searching"] is not None
    first, second = base["instructions"], candidate["instructions"]
    assert isinstance(first, float) and isinstance(second, float)
    assert 5 * STEPS < second - first < 1000 * STEPS
    smallest = min(selftest.MORE_INSTRUCTIONS.values()) * first
    assert 10 * (second - first) / STEPS < 0.2 * smallest


def test_a_class_that_is_changed_is_searched_anew(counted: Counted) -> None:
    """With each request, and by more than 1 % of it, which is told apart from its instructions."""
    with changed(mutants.CHANGED_CLASS) as root:
        side = look(Role.CANDIDATE, "x", root, Path(sys.executable), STACKS)
        (after,) = _count(side, Patience())
    before = counted.base
    assert isinstance(before["searching"], float) and isinstance(after["searching"], float)
    assert isinstance(before["instructions"], float)
    assert after["searching"] - before["searching"] > 0.01 * before["instructions"]


def test_no_second_passes_for_a_server_that_is_counted() -> None:
    """Its Date stands still, so that no window has to pay for writing another one."""
    case = CASES["plain"]
    with counting("aiohttp", SETTINGS, still=True, begun=False) as counter:
        address = counter.server.host, counter.server.port
        with raw_request.connect(*address) as connection:
            dates = []
            for _ in range(2):
                reply = raw_request.exchange(connection, case.request, "localhost")
                dates.append(reply.header("date"))
                time.sleep(1.1)
    first, second = dates
    assert first is not None and first == second


@dataclass(frozen=True)
class Dumps:
    """What Quart on Hypercorn did for 80 requests, 20 at a time, after it had answered as many; and
    then for ten requests each that take much memory."""

    plain: list[str]
    large: list[str]


@pytest.fixture(scope="module")
def dumps() -> Dumps:
    """Of one server."""
    with counting("quart-hypercorn", SETTINGS, still=True, begun=False) as counter:
        address = counter.server.host, counter.server.port
        sender = Sender(counter, CASES["plain"], Patience())
        with raw_request.connect(*address) as connection:
            sender.send(connection, 80)
            counter.begin()
            counter.dump(lambda: None)
            plain = [sender.dump(connection, 20).read_text() for _ in range(4)]
        large = []
        for name in ("upload-65536", "items-1000", "json-deep"):
            sender = Sender(counter, CASES[name], Patience())
            with raw_request.connect(*address) as connection:
                sender.send(connection, WARM_REQUESTS)
                large.append(sender.dump(connection, 10).read_text())
        counter.cease()
    return Dumps(plain, large)


def test_no_cancelled_timers_are_cleared_in_a_server_that_is_counted(dumps: Dumps) -> None:
    """Hypercorn sets one and cancels it with each request, and asyncio clears a hundred at a time:
    of 160 requests, the last 80 meet none."""
    assert [calls(dump, "_heapq_heappush") for dump in dumps.plain] == [20] * 4
    assert [calls(dump, "_heapq_heapify") for dump in dumps.plain] == [0] * 4


def test_each_request_to_a_server_that_is_counted_sets_slots_in_the_same_way(dumps: Dumps) -> None:
    """CPython 3.11 gives up its specialised instructions for the slots of asyncio's handles once in
    some fifty timers, which then pass through them no more: of 80 requests, each 20 call the
    general function as often."""
    assert len({calls(dump, "PyMember_SetOne") for dump in dumps.plain}) == 1


def test_a_server_that_is_counted_keeps_its_heap(dumps: Dumps) -> None:
    """glibc gives the end of its heap back where that is free, and asks for it again, ten times in
    such a request of Quart, where it is not told to keep it."""
    assert all(calls(dump, "malloc") > 100 for dump in dumps.large)
    assert [calls(dump, "sbrk") for dump in dumps.large] == [0, 0, 0]


class _Slow(Sender):
    """Lets a window lie open for a second."""

    def send(self, connection: socket, requests: int) -> float:
        time.sleep(1.0)
        return 1.0 + super().send(connection, requests)


class _Halted(Sender):
    """Lets a window lie open for two seconds in which its server gets no CPU, as on a busy
    machine."""

    def send(self, connection: socket, requests: int) -> float:
        pid = self._counter.server.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(2.0)
        finally:
            os.kill(pid, signal.SIGCONT)
        return 2.0 + super().send(connection, requests)


def test_what_a_server_does_unasked_is_taken_off() -> None:
    """uvicorn wakes ten times a second: a window that lies open for a second more has more
    instructions, and as many a request. One in which it could not wake has as many a request,
    too."""
    case = CASES["plain"]
    with counting("asgi-uvicorn", SETTINGS, still=True) as counter:
        counter.dump(lambda: None)
        senders = [kind(counter, case, Patience()) for kind in (Sender, Sender, _Slow, _Halted)]
        with raw_request.connect(counter.server.host, counter.server.port) as connection:
            _, short, long, halted = (sender.count(connection, 10) for sender in senders)
        idle = idle_work(counter)
        counter.cease()
    assert idle.works and 5 <= idle.timers <= 11
    assert long.timers >= short.timers + 5
    assert long.instructions > 1.05 * short.instructions
    assert halted.timers < halted.lasted_s * idle.timers - 10
    short_, long_, halted_ = (
        count.per_request(idle).instructions for count in (short, long, halted)
    )
    assert long_ == pytest.approx(short_, rel=0.03)
    assert halted_ == pytest.approx(short_, rel=0.03)


@pytest.mark.parametrize(
    ("timers", "lasted_s", "own"),
    [(0, 0.5, 0), (8, 0.8, 8), (4, 4.6, 4), (20, 0.1, 0), (24, 1.0, 4), (24, 2.6, 24), (0, 1.0, 0)],
)
def test_timers_of_requests_are_told_from_the_server_s_own(
    timers: int, lasted_s: float, own: int
) -> None:
    """Each of twenty requests waits for as many timers, mostly none, and the time says about how
    many remain."""
    count = Count(20, 12_000_000, 20_000, timers, lasted_s)
    assert Idle(600_000, 100, 10).seconds_in(count) == own / 10
    assert Idle(600_000, 100, 0).seconds_in(count) == lasted_s
    assert Idle(700, 0, 0).seconds_in(count) == 0


def test_searches_of_classes_are_no_instructions_of_a_request() -> None:
    """Those of the windows and of what a server does unasked; where they are not known, nothing is
    taken off, and they are no zero."""
    idle = Idle(600_000, 2_000, 10)
    counts = [Count(20, 12_000_000, searched, 28, 0.8) for searched in (21_600, None)]
    assert [count.per_request(idle) for count in counts] == [
        RequestCount((12_000_000 - 480_000) / 20 - 1_000, 1_000.0),
        RequestCount((12_000_000 - 480_000) / 20, None),
    ]


def test_a_server_that_crashes_while_it_is_counted(tmp_path: Path) -> None:
    """One line that names the stack and the case."""
    side = look(Role.BASE, "x", edited(tmp_path, CRASHING), Path(sys.executable), STACKS)
    why = r"^no route was counted: aiohttp under callgrind, asked for async: has ended"
    with pytest.raises(HarnessError, match=why):
        _count(side, Patience(), "async")


def test_valgrind_that_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A valgrind that cannot run is a server that did not start, said with its own last line."""
    program = tmp_path / "valgrind"
    program.write_text("#!/bin/sh\necho 'valgrind: out of luck' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path(shutil.which('env') or '').parent}", prepend=":")
    side = look(Role.BASE, "x", ROOT, Path(sys.executable), STACKS)
    from loopbench.servers.errors import ServerError

    with pytest.raises(ServerError, match="valgrind: out of luck"):
        _count(side, Patience())
