"""From Slices to a ratio: known numbers, what is left out, and how often intervals are right."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence

import pytest

from loopbench.results.schema import SLICES, Row, read_table
from loopbench.results.stats.intervals import slices
from loopbench.results.stats.intervals.location import quantile
from tests.conftest import ROOT


def rows(values: Sequence[float | None], failures: Sequence[int] = ()) -> tuple[Row, ...]:
    """Slices of one Run, one a Turn, with these throughputs."""
    lost = [*failures, *[0] * (len(values) - len(failures))]
    return tuple(
        {"turn": turn, "throughput_rps": value, "failures": failed}
        for turn, (value, failed) in enumerate(zip(values, lost, strict=True), start=1)
    )


def estimate(run: Sequence[Row], reference: Sequence[Row]) -> slices.BlockEstimate:
    found = slices.block_estimate(run, reference, "throughput_rps")
    assert found is not None
    return found


def test_a_quantile_is_that_of_scipy() -> None:
    """Harrell and Davis, as scipy.stats.mstats has them."""
    # Imported here: it takes long, and each process of the tests reads all their files.
    from scipy.stats.mstats import hdquantiles

    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.3]
    for share in (0.25, 0.5, 0.75):
        expected = float(hdquantiles(values, [share])[0])
        assert slices.quantile_of(values, share) == pytest.approx(expected)


def test_the_error_of_a_block_is_that_of_the_jackknife_over_turns() -> None:
    """Written down from its definition: without each Turn once, of both stacks."""
    run, reference = [8.0, 9.0, 9.5, 10.0, 7.0], [1.0, 1.1, 0.9, 1.3, 1.2]
    without = [
        estimate(rows(run[:turn] + run[turn + 1 :]), rows(reference[:turn] + reference[turn + 1 :]))
        for turn in range(5)
    ]
    middle = statistics.fmean(one.value for one in without)
    variance = 4 / 5 * sum((one.value - middle) ** 2 for one in without)
    assert estimate(rows(run), rows(reference)).error == pytest.approx(math.sqrt(variance))


def test_what_slows_a_turn_of_both_stacks_is_no_error_of_their_ratio() -> None:
    """Moods of the machine that last for a Turn move both alike."""
    moods = [1.0, 0.5, 0.9, 0.4, 1.0, 0.6, 0.8, 0.45]
    found = estimate(rows([20 * mood for mood in moods]), rows([10 * mood for mood in moods]))
    assert math.exp(found.value) == pytest.approx(2.0)
    assert found.error == pytest.approx(0.0, abs=1e-9)


def test_a_turn_that_one_stack_lacks_is_left_out_of_the_other_alone() -> None:
    """A Slice that failed costs its own figure only."""
    found = estimate(rows([2.0] * 6, failures=[0, 1]), rows([1.0, 1.1, 0.9, 1.0, 1.2, 0.8]))
    assert found.n == 5
    assert 0 < found.error < 0.2


def test_what_slows_some_slices_down_hardly_reaches_a_block() -> None:
    """Three of ten Slices at a tenth of the speed move a ratio of 2 by less than a tenth; the
    mean of the ratios would have moved to half of it."""
    found = estimate(rows([20.0] * 7 + [2.0] * 3), rows([10.0] * 10))
    assert math.exp(found.value) == pytest.approx(2.0, rel=0.1)
    assert math.exp(statistics.fmean([math.log(2.0)] * 7 + [math.log(0.2)] * 3)) < 1.05


def test_a_rate_is_read_at_its_upper_end_and_a_time_at_its_lower() -> None:
    """Both are the fast end."""
    values, others = [8.0, 9.0, 9.5, 10.0], [1.0, 1.0, 1.0, 1.0]
    upper = slices.quantile_of([math.log(one) for one in values], 1 - slices.FAST)
    lower = slices.quantile_of([math.log(one) for one in values], slices.FAST)
    assert estimate(rows(values), rows(others)).value == pytest.approx(upper)
    times: list[tuple[Row, ...]] = [
        tuple(
            {"turn": turn, "service_time_p50_ms": one, "failures": 0}
            for turn, one in enumerate(of, start=1)
        )
        for of in (values, others)
    ]
    found = slices.block_estimate(times[0], times[1], "service_time_p50_ms")
    assert found is not None
    assert found.value == pytest.approx(lower)
    assert lower < upper


def test_what_failed_or_is_missing_is_left_out() -> None:
    """A Slice counts where it has a value and no failure; fewer than four say nothing."""
    run = rows([2, 2, 2, 2, None, 50], failures=[0, 0, 0, 0, 0, 1])
    found = estimate(run, rows([1] * 6))
    assert found.n == 4
    assert math.exp(found.value) == pytest.approx(2.0)
    assert slices.block_estimate(run, rows([1, 1, 1, None]), "throughput_rps") is None


def test_the_interval_is_students_over_blocks() -> None:
    """Three Blocks that differ by far more than their Turns predict."""
    values = [0.10, 0.12, 0.20]
    found = slices.over_blocks([slices.BlockEstimate(value, 0.001, 10) for value in values])
    reach = quantile(2) * statistics.stdev(values) / math.sqrt(3)
    middle = statistics.fmean(values)
    assert found.n == 3
    assert found.interval is not None
    assert found.centre == pytest.approx(math.exp(middle))
    assert found.interval.low == pytest.approx(math.exp(middle - reach))
    assert found.interval.high == pytest.approx(math.exp(middle + reach))


def test_blocks_that_agree_by_chance_do_not_make_it_narrow() -> None:
    """Then it is three quarters as wide as the Slices within them predict."""
    found = slices.over_blocks([slices.BlockEstimate(0.1, 0.03, 11)] * 3)
    assert found.interval is not None
    reach = (math.log(found.interval.high) - math.log(found.interval.low)) / 2
    assert reach == pytest.approx(slices.FLOOR * quantile(30) * 0.03 / math.sqrt(3))


@pytest.mark.parametrize("metric", ["throughput_rps", "cpu_us_per_request", "service_time_p50_ms"])
def test_intervals_of_measured_twins_cover_the_truth(metric: str) -> None:
    """Rows of 200 Blocks in which a stack was measured beside itself: of sets of five Blocks 93 to
    97 in 100 have an interval that contains 1, and the mean over all of them is 1."""
    runs = slices.by_run(read_table(ROOT / "results" / "noise", SLICES))
    covered, sets, values = 0, 0, []
    generator = random.Random(1)
    for stack in ("aiohttp", "quart-hypercorn"):
        estimates = [
            found
            for run_id, of_run in runs.items()
            if run_id.partition(".")[2] == f"{stack}.async-32"
            and (found := slices.block_estimate(runs[_twin(run_id, stack)], of_run, metric))
        ]
        assert len(estimates) == 100
        values += [estimate.value for estimate in estimates]
        for _ in range(100):
            drawn = generator.sample(estimates, len(estimates))
            for begin in range(0, len(drawn), 5):
                interval = slices.over_blocks(drawn[begin : begin + 5]).interval
                assert interval is not None
                covered += 1.0 in interval
                sets += 1
    assert 0.93 <= covered / sets <= 0.97
    assert abs(math.exp(statistics.fmean(values)) - 1) <= 0.005


def _twin(run_id: str, stack: str) -> str:
    return run_id.replace(f".{stack}.", f".{stack}twin.")


def test_two_blocks_have_no_interval_and_five_a_wider_one_where_it_may_have_stopped_there() -> None:
    """Fewer were all that the time allowed, so that their interval is as of planned Rounds."""
    blocks = [slices.BlockEstimate(value, 0.01, 10) for value in (0.0, 0.1, 0.05, 0.02, 0.03)]
    assert slices.over_blocks(blocks[:2]).interval is None
    assert slices.over_blocks(blocks[:4]).interval is not None
    assert slices.over_blocks(blocks[:4], sequential=True) == slices.over_blocks(blocks[:4])
    plain = slices.over_blocks(blocks).interval
    wider = slices.over_blocks(blocks, sequential=True).interval
    assert plain is not None
    assert wider is not None
    width = math.log(wider.high / wider.low) / math.log(plain.high / plain.low)
    assert width == pytest.approx(slices.SEQUENTIAL_FACTOR)


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
        found = slices.over_blocks([slices.BlockEstimate(one, error, 18) for one in values])
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
    generator, covered, tries = random.Random(2), 0, 1500
    for _ in range(tries):
        values = blocks_of(generator, 40, sd, error)
        blocks = [slices.BlockEstimate(one, error, 18) for one in values]
        for count in range(slices.LEAST_SEQUENTIAL_BLOCKS, len(blocks) + 1):
            interval = slices.over_blocks(blocks[:count], sequential=True).interval
            assert interval is not None
            if math.log(interval.high / interval.low) / 2 <= goal:
                break
        assert interval is not None
        covered += 1.0 in interval
    assert covered / tries >= 0.93
