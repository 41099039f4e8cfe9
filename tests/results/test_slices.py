"""From Slices to a ratio: known numbers, what is left out, and how often intervals are right."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence

import pytest

from loopbench.results.schema import Row
from loopbench.results.stats import slices
from loopbench.results.stats.location import quantile


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


def test_a_block_is_the_trimmed_mean_of_its_turns() -> None:
    """Of five Turns the lowest and the highest ratio are left out: here 1 and 100."""
    found = estimate(rows([10, 2, 4, 2, 100]), rows([10, 1, 2, 1, 1]))
    assert math.exp(found.value) == pytest.approx(2.0)
    assert found.error == pytest.approx(0.0)
    assert found.n == 5


def test_slices_are_paired_by_turn() -> None:
    """A machine that halves its speed between Turns changes no ratio."""
    speed = [1.0, 0.5, 0.7, 1.0, 0.5, 0.8]
    found = estimate(rows([300 * s for s in speed]), rows([100 * s for s in speed]))
    assert math.exp(found.value) == pytest.approx(3.0)
    assert found.error == pytest.approx(0.0)


def test_what_failed_or_is_missing_on_one_side_is_left_out_on_both() -> None:
    """A Turn counts where both have a value and no failure."""
    run = rows([2, 2, 2, 2, None, 50], failures=[0, 0, 0, 0, 0, 1])
    assert estimate(run, rows([1] * 6)).n == 4
    assert slices.block_estimate(run, rows([1, 1, 1, None, 1, 1]), "throughput_rps") is None


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
    """Then it is as wide as the Turns within them predict."""
    found = slices.over_blocks([slices.BlockEstimate(0.1, 0.03, 11)] * 3)
    assert found.interval is not None
    reach = (math.log(found.interval.high) - math.log(found.interval.low)) / 2
    assert reach == pytest.approx(quantile(30) * 0.03 / math.sqrt(3))


def test_two_blocks_have_no_interval_and_four_none_where_it_stopped_at_a_width() -> None:
    """Who stops at a narrow interval needs more Blocks, and gets a wider one of the same."""
    blocks = [slices.BlockEstimate(value, 0.01, 10) for value in (0.0, 0.1, 0.05, 0.02, 0.03)]
    assert slices.over_blocks(blocks[:2]).interval is None
    assert slices.over_blocks(blocks[:4]).interval is not None
    assert slices.over_blocks(blocks[:4], sequential=True).interval is None
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
