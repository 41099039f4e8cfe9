"""From Blocks to an interval: known numbers, and how often intervals are right."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from functools import cache

import pytest

from loopbench.results.schema import SLICES, Row, read_table
from loopbench.results.stats.intervals import blocks, moderation, slices
from loopbench.results.stats.intervals.location import quantile
from tests.conftest import ROOT


def test_the_interval_is_students_over_blocks() -> None:
    """Three Blocks that differ by far more than their Turns predict."""
    values = [0.10, 0.12, 0.20]
    found = blocks.over_blocks([blocks.BlockEstimate(value, 0.001, 10) for value in values])
    reach = quantile(2) * statistics.stdev(values) / math.sqrt(3)
    middle = statistics.fmean(values)
    assert found.n == 3
    assert found.interval is not None
    assert found.centre == pytest.approx(math.exp(middle))
    assert found.interval.low == pytest.approx(math.exp(middle - reach))
    assert found.interval.high == pytest.approx(math.exp(middle + reach))


def test_blocks_that_agree_by_chance_do_not_make_it_narrow() -> None:
    """Then it is three quarters as wide as the Slices within them predict."""
    found = blocks.over_blocks([blocks.BlockEstimate(0.1, 0.03, 11)] * 3)
    assert found.interval is not None
    reach = (math.log(found.interval.high) - math.log(found.interval.low)) / 2
    assert reach == pytest.approx(blocks.FLOOR * quantile(30) * 0.03 / math.sqrt(3))


@cache
def measured() -> Mapping[str, Sequence[Row]]:
    """The Slices of 200 Blocks, by Run."""
    return slices.by_run(read_table(ROOT / "results" / "noise", SLICES))


@cache
def twins(stack: str, metric: str) -> tuple[blocks.BlockEstimate, ...]:
    """What each of a hundred Blocks says of a stack beside itself."""
    runs = measured()
    estimates = tuple(
        found
        for run_id, of_run in runs.items()
        if run_id.partition(".")[2] == f"{stack}.async-32"
        and (found := slices.block_estimate(runs[_twin(run_id, stack)], of_run, metric))
    )
    assert len(estimates) == 100
    return estimates


@pytest.mark.parametrize("moderated", [False, True])
@pytest.mark.parametrize("metric", ["throughput_rps", "cpu_us_per_request", "service_time_p50_ms"])
def test_intervals_of_measured_twins_cover_the_truth(metric: str, moderated: bool) -> None:
    """Rows of 200 Blocks in which a stack was measured beside itself: of sets of five Blocks 93 to
    97 in 100 have an interval that contains 1, and the mean over all of them is 1. So it is where
    twenty sets are taken for a sitting, and learn from one another."""
    covered, sets, values = 0, 0, []
    generator = random.Random(1)
    for stack in ("aiohttp", "quart-hypercorn"):
        estimates = twins(stack, metric)
        values += [estimate.value for estimate in estimates]
        for _ in range(100):
            drawn = generator.sample(estimates, len(estimates))
            of_five = [drawn[begin : begin + 5] for begin in range(0, len(drawn), 5)]
            prior = (
                moderation.learn([s for s in map(blocks.spread_of, of_five) if s])
                if moderated
                else None
            )
            for five in of_five:
                interval = blocks.over_blocks(five, prior=prior).interval
                assert interval is not None
                covered += 1.0 in interval
                sets += 1
    assert 0.93 <= covered / sets <= 0.97
    assert abs(math.exp(statistics.fmean(values)) - 1) <= 0.005


def _twin(run_id: str, stack: str) -> str:
    return run_id.replace(f".{stack}.", f".{stack}twin.")


def test_two_blocks_have_no_interval_and_five_a_wider_one_where_it_may_have_stopped_there() -> None:
    """Fewer were all that the time allowed, so that their interval is as of planned Rounds."""
    every = [blocks.BlockEstimate(value, 0.01, 10) for value in (0.0, 0.1, 0.05, 0.02, 0.03)]
    assert blocks.over_blocks(every[:2]).interval is None
    assert blocks.over_blocks(every[:4]).interval is not None
    assert blocks.over_blocks(every[:4], sequential=True) == blocks.over_blocks(every[:4])
    plain = blocks.over_blocks(every).interval
    wider = blocks.over_blocks(every, sequential=True).interval
    assert plain is not None
    assert wider is not None
    width = math.log(wider.high / wider.low) / math.log(plain.high / plain.low)
    assert width == pytest.approx(blocks.SEQUENTIAL_FACTOR)


def blocks_of(generator: random.Random, count: int, sd: float, error: float) -> list[float]:
    """Estimates of Blocks whose truth is 0: processes differ by `sd`, Turns add `error`."""
    return [generator.gauss(0, sd) + generator.gauss(0, error) for _ in range(count)]


@pytest.mark.parametrize(("sd", "error"), [(0.02, 0.01), (0.03, 0.01), (0.0, 0.02)])
@pytest.mark.parametrize("count", [3, 5, 8])
def test_an_interval_of_fixed_rounds_covers_the_truth(sd: float, error: float, count: int) -> None:
    """In 93 of 100 simulated benches at least; more often where processes do not differ, since it
    is the larger of two intervals."""
    generator, covered, tries = random.Random(1), 0, 2000
    for _ in range(tries):
        values = blocks_of(generator, count, sd, error)
        found = blocks.over_blocks([blocks.BlockEstimate(one, error, 18) for one in values])
        assert found.interval is not None
        covered += 1.0 in found.interval
    assert covered / tries >= 0.93
    assert sd == 0 or covered / tries <= 0.98


@pytest.mark.parametrize(("sd", "error"), [(0.02, 0.01), (0.03, 0.01), (0.015, 0.015)])
@pytest.mark.parametrize("goal", [0.05, 0.03, 0.02])
def test_an_interval_that_was_stopped_at_its_width_covers_the_truth(
    sd: float, error: float, goal: float
) -> None:
    """Looking after every Round, and stopping at the first interval that is narrow enough."""
    generator, covered, tries = random.Random(2), 0, 700
    for _ in range(tries):
        values = blocks_of(generator, 40, sd, error)
        every = [blocks.BlockEstimate(one, error, 18) for one in values]
        for count in range(blocks.LEAST_SEQUENTIAL_BLOCKS, len(every) + 1):
            interval = blocks.over_blocks(every[:count], sequential=True).interval
            assert interval is not None
            if math.log(interval.high / interval.low) / 2 <= goal:
                break
        assert interval is not None
        covered += 1.0 in interval
    assert covered / tries >= 0.93
