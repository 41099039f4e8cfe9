"""Blocks of live servers in Slices: what is counted, and what a bad day costs."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from loopbench.loadtests.bench.loads.block import BlockPlan, Contender, measure_in_slices
from loopbench.loadtests.bench.plan import arrivals_seed
from loopbench.loadtests.distributed.generator_process import Generator, generator_process
from loopbench.loadtests.hosts.cpus import CpuPlan
from loopbench.loadtests.messages.reports import SliceResult
from loopbench.loadtests.messages.specs import BlockSpec, Phase, Target
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.rows.run_result import RunResult
from loopbench.loadtests.rows.run_rows import rows_of
from loopbench.loadtests.scenarios.arrivals import Arrivals
from loopbench.loadtests.scenarios.models import Closed, Load, Open, Scenario
from loopbench.results.schema import Code
from loopbench.servers.contract.cases import CASES
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.settings import Settings
from tests.servers.probe.probes import known
from tests.servers.processes import held_up_s, needs_proc

USERS, TURNS, SLICE_S, WATCHED_S = 4, 3, 0.1, 0.2
LEAD_IN_NS = 50_000_000
"""Of a Slice of an open loop."""
SCENARIO = Scenario(
    "made-up",
    "",
    (Load("main", CASES["async"], Closed(USERS)),),
    settings=Settings(probe=True),
    slice_s=SLICE_S,
)
PLAN = BlockPlan(SLICE_S, 0.1, TURNS, 1, CpuPlan(None, None, ()), WATCHED_S)


def contender(name: str, stack: str = "asyncio", **changes: Any) -> Contender:
    start = partial(server_process, stack, settings=SCENARIO.settings, **changes)
    return Contender(PlannedRun(name, 1, 1, name, SCENARIO.name), SCENARIO, start)


def codes(result: RunResult) -> set[Code]:
    return set(result.codes)


@needs_proc
def test_each_server_is_visited_once_a_turn(generator: Generator) -> None:
    """Its Slices add up to its row, but for the last, in which the probe watches; the probe has
    counted the requests of that one, and no other. CPU time is read of each."""
    contenders = [contender("one"), contender("two", "aiohttp")]
    results = measure_in_slices(contenders, generator, PLAN)
    assert [result.planned.stack for result in results] == ["one", "two"]
    for result in results:
        *slices, watched = result.slices
        assert [one.turn for one in result.slices] == [1, 2, 3, 4]
        assert [one.watched for one in result.slices] == [False, False, False, True]
        assert {one.position for one in result.slices} <= {1, 2}
        row = rows_of(result).runs[0]
        completed = sum(one.result.requests for one in slices)
        seconds = sum(one.result.seconds for one in slices)
        assert row["failures"] == 0
        assert row["measured_s"] == pytest.approx(seconds)
        assert row["throughput_rps"] == pytest.approx(completed / seconds)
        assert seconds > 0
        # Begun in a window, and completed in one, differ by what was under way at its edges.
        assert abs(int(str(row["requests"])) - completed) <= TURNS * USERS
        for one in slices:
            assert one.cpu_us_per_request is not None
            assert 0 < one.cpu_us_per_request < 1e6 * one.result.seconds
            # Little's law of the answers that were counted: to the nanosecond, on any machine.
            assert one.result.cycles_s is not None
            assert one.result.cycles_s == pytest.approx(USERS * one.result.seconds, rel=1e-9)
        assert float(str(row["cpu_us_per_request"])) > 0
        assert watched.result.seconds > SLICE_S
        probe, report = result.observed.probe, result.report
        assert probe is not None
        assert report is not None
        told = report.loads["main"].watched
        assert told is not None
        assert sum(tally.requests for tally in probe.routes["async"]) == told.begun
        assert told.begun >= watched.result.requests
        assert float(str(row["in_handler_mean_ms"])) > 0
        assert row["watched_s"] == pytest.approx(watched.result.lead_in_s + watched.result.seconds)


@needs_proc
def test_each_slice_tells_what_its_cpu_did(generator: Generator) -> None:
    """The short work, not while the probe watches, and in an open loop and for one user only where
    CPUs are kept awake; what the hypervisor took, not in an open loop; neither where the servers
    have no CPU of their own."""
    cpu = frozenset({max(os.sched_getaffinity(0))})
    on_one = replace(PLAN, cpus=CpuPlan(cpu, None, ()))
    awake = replace(on_one, awake=True)
    pinned = contender("one", cpus=cpu)
    in_open, for_one = (
        replace(pinned, scenario=replace(SCENARIO, loads=(Load("main", CASES["async"], model),)))
        for model in (Open(400.0, 8), Closed(1))
    )
    for one, plan, done, closed in (
        (pinned, on_one, [True] * TURNS + [False], True),
        (pinned, PLAN, [False] * (TURNS + 1), False),
        (in_open, on_one, [False] * (TURNS + 1), False),
        (for_one, on_one, [False] * (TURNS + 1), True),
        (in_open, awake, [True] * TURNS + [False], False),
        (for_one, awake, [True] * TURNS + [False], True),
    ):
        (result,) = measure_in_slices([one], generator, plan)
        told = [one.result.short_work_us for one in result.slices]
        assert [us is not None for us in told] == done
        assert all(us is None or 0 < us < 1e6 * SLICE_S for us in told)
        taken = [one.result.stolen_share for one in result.slices]
        assert [share is not None for share in taken] == [closed] * (TURNS + 1)
        # A tick more than the window has room for, at most; more than the whole of it in no case.
        assert all(share is None or 0 <= share < 2 for share in taken)


def arrivals(model: Open, seed: int, visit: int) -> tuple[int, int]:
    """How many are due in the lead-in and in the window of a Slice."""
    schedule = Arrivals(model.rate_rps, LEAD_IN_NS + int(SLICE_S * 1e9), f"{seed}/main/{visit}")
    due = list(iter(schedule.take, None))
    inside = sum(at >= LEAD_IN_NS for at in due)
    return len(due) - inside, inside


def test_an_open_loop_offers_every_server_the_same_arrivals(generator: Generator) -> None:
    """In each Slice those that its number draws from the seed: what is due in the windows is
    measured, the lead-ins are not, and the probe has counted those of the last."""
    model = Open(400.0, 8)
    scenario = replace(SCENARIO, loads=(Load("main", CASES["async"], model),))
    contenders = [replace(contender("one"), scenario=scenario)]
    contenders.append(replace(contender("two", "aiohttp"), scenario=scenario))
    drawn = [arrivals(model, arrivals_seed(PLAN.seed, 1), visit) for visit in range(1, TURNS + 2)]
    before_s = held_up_s(generator.pid)
    results = measure_in_slices(contenders, generator, PLAN)
    late_s = 0.06 + held_up_s(generator.pid) - before_s
    for result in results:
        report, probe = result.report, result.observed.probe
        assert report is not None
        assert probe is not None
        told, row = report.loads["main"], rows_of(result).runs[0]
        assert told.measured.begun == sum(inside for _, inside in drawn[1:]) == row["requests"]
        assert row["failures"] == 0
        assert row["measured_s"] == pytest.approx(TURNS * SLICE_S, abs=late_s)
        assert float(str(row["response_time_p99_ms"])) > 0
        assert told.watched is not None
        assert told.watched.begun == sum(tally.requests for tally in probe.routes["async"])
        for one in result.slices:
            assert one.result.response_time_p50_ms is not None
            assert one.result.lead_in_s >= LEAD_IN_NS / 1e9


@needs_proc
def test_what_an_open_loop_could_not_send_in_time_has_failed(generator: Generator) -> None:
    """A server that answers nothing for a while: of its Slice each arrival is a failure, once, and
    the next Slice begins anew."""
    load = Load("main", CASES["async"], Open(400.0, 4))
    with server_process("asyncio") as server:
        target = Target("one", server.host, server.port, (server.pid,), load)
        generator.open_block(BlockSpec((target,), (), 5.0, 0.3, seed=1), 5.0)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            stopped = generator.slice("one", SLICE_S, Phase.MEASURED, bound_s=10.0)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        after = generator.slice("one", SLICE_S, Phase.MEASURED, bound_s=10.0)
        told = generator.close_block(5.0)["one"].loads["main"]
    assert isinstance(load.model, Open)
    first, second = (arrivals(load.model, 1, visit) for visit in (1, 2))
    assert stopped.requests == 0
    assert stopped.failures == sum(first)
    assert told.measured.failed == first[1]
    assert told.warmup.failed == first[0]
    assert after.failures == 0
    assert told.measured.answers == second[1]


@pytest.mark.parametrize("stack", ["aiohttp", "aiohttp-uvloop"])
def test_the_probe_watches_one_slice(generator: Generator, stack: str) -> None:
    """The loop's time is that of the watched Slice with its lead-in, not that of the others."""
    results = measure_in_slices([contender("one", stack), contender("two", stack)], generator, PLAN)
    for result in results:
        probe, watched = result.observed.probe, result.slices[-1].result
        assert probe is not None
        seen_s = probe.loop.wall_ns / 1e9
        assert watched.lead_in_s + WATCHED_S <= seen_s
        assert seen_s < sum(one.result.seconds + one.result.lead_in_s for one in result.slices)
        assert 0 <= known(probe.loop.idle_ns) <= probe.loop.wall_ns
        assert sum(count for _, count in probe.loop.delay_us) * 10 <= seen_s * 1000 + 10


def test_a_server_that_does_not_start_costs_only_itself(generator: Generator) -> None:
    """The other is measured as if it were alone."""
    results = measure_in_slices(
        [contender("good"), contender("bad", ready_timeout_s=0.001)], generator, PLAN
    )
    good, bad = results
    assert len(good.slices) == TURNS + 1
    assert rows_of(good).runs[0]["throughput_rps"]
    assert Code.SERVER_NOT_READY in codes(bad)
    assert rows_of(bad).runs[0].get("requests") is None


@needs_proc
def test_a_server_that_dies_in_the_middle_costs_its_own_slices(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is visited no more, and its row says so without figures; the other goes on to the end."""
    visit, visits = generator.slice, 0

    def kill_on_the_way(target: str, seconds: float, phase: Phase, **more: Any) -> SliceResult:
        nonlocal visits
        visits += 1
        if visits == 5:  # two lead-ins, the first Turn, and now
            os.kill(pids["weak"], signal.SIGKILL)
        return visit(target, seconds, phase, **more)

    pids: dict[str, int] = {}
    contenders = [contender("strong"), contender("weak")]
    opened = generator.open_block

    def remember(spec: BlockSpec, bound_s: float) -> None:
        pids.update({target.name: target.pids[0] for target in spec.targets})
        opened(spec, bound_s)

    monkeypatch.setattr(generator, "slice", kill_on_the_way)
    monkeypatch.setattr(generator, "open_block", remember)
    strong, weak = measure_in_slices(contenders, generator, PLAN)
    assert len(strong.slices) == TURNS + 1
    row = rows_of(strong).runs[0]
    assert row["failures"] == 0
    assert float(str(row["throughput_rps"])) > 0
    assert Code.SERVER_DIED in codes(weak)
    assert len(weak.slices) < TURNS
    assert weak.ended is not None
    assert weak.ended.exit_code == -signal.SIGKILL
    assert rows_of(weak).runs[0].get("throughput_rps") is None


@needs_proc
def test_a_generator_that_dies_leaves_rows_that_say_so() -> None:
    """Of a Block that lost its generator nothing is kept but that."""
    with generator_process() as mortal:  # no other test is to lose its own
        visit = mortal.slice

        def die(target: str, seconds: float, phase: Phase, **more: Any) -> SliceResult:
            if phase is Phase.MEASURED:
                os.kill(mortal.pid, signal.SIGKILL)
            return visit(target, seconds, phase, **more)

        mortal.slice = die  # type: ignore[method-assign]
        for result in measure_in_slices([contender("one"), contender("two")], mortal, PLAN):
            assert Code.GENERATOR_DIED in codes(result)
            assert not result.slices
            assert rows_of(result).runs[0].get("throughput_rps") is None
