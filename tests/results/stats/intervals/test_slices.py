"""From Slices to a ratio: known numbers, what is left out, and how often intervals are right."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import pytest

from loopbench.results.schema import Row
from loopbench.results.stats.intervals import blocks, slices


def rows(values: Sequence[float | None], failures: Sequence[int] = ()) -> tuple[Row, ...]:
    """Slices of one Run, one a Turn, with these throughputs."""
    lost = [*failures, *[0] * (len(values) - len(failures))]
    return tuple(
        {"turn": turn, "throughput_rps": value, "failures": failed}
        for turn, (value, failed) in enumerate(zip(values, lost, strict=True), start=1)
    )


def estimate(run: Sequence[Row], reference: Sequence[Row]) -> blocks.BlockEstimate:
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
    """Both are the fast end. The other half of the estimate is the middle of the ratios."""
    values, others = [8.0, 9.0, 9.5, 10.0], [1.0, 1.0, 1.0, 1.0]
    upper, middle, lower = (
        slices.quantile_of([math.log(one) for one in values], share)
        for share in (1 - slices.FAST, slices.MIDDLE, slices.FAST)
    )
    assert estimate(rows(values), rows(others)).value == pytest.approx((upper + middle) / 2)
    times: list[tuple[Row, ...]] = [
        tuple(
            {"turn": turn, "service_time_p50_ms": one, "failures": 0}
            for turn, one in enumerate(of, start=1)
        )
        for of in (values, others)
    ]
    found = slices.block_estimate(times[0], times[1], "service_time_p50_ms")
    assert found is not None
    assert found.value == pytest.approx((lower + middle) / 2)
    assert lower < middle < upper


def test_a_machine_that_becomes_faster_within_a_turn_moves_the_ratio_little() -> None:
    """In the sixth of eight Turns only the second stack still met the slow machine: the quartiles
    differ by a quarter of the change, the middle of the ratios by hardly anything."""
    run, reference = [20.0] * 5 + [30.0] * 3, [10.0] * 6 + [15.0] * 2
    found = estimate(rows(run), rows(reference))
    quartiles = [
        slices.quantile_of([math.log(one) for one in of], 1 - slices.FAST)
        for of in (run, reference)
    ]
    apart = quartiles[0] - quartiles[1] - math.log(2)
    assert apart > math.log(1.5) / 4
    assert found.value - math.log(2) == pytest.approx(apart / 2, rel=0.02)


def test_stacks_with_few_turns_in_common_are_read_apart() -> None:
    """Where each failed in other Turns, ratios within Turns say too little."""
    run = rows([20.0] * 8, failures=[1, 1, 1, 0, 0, 0, 0, 0])
    reference = rows([*[10.0] * 4, 11.0, *[10.0] * 3], failures=[0, 0, 0, 0, 0, 0, 1, 1])
    lower = [math.log(20.0)] * 5, [*[math.log(10.0)] * 5, math.log(11.0)]
    apart = [slices.quantile_of(of, 1 - slices.FAST) for of in lower]
    assert estimate(run, reference).value == pytest.approx(apart[0] - apart[1])


def test_what_failed_or_is_missing_is_left_out() -> None:
    """A Slice counts where it has a value and no failure; fewer than four say nothing."""
    run = rows([2, 2, 2, 2, None, 50], failures=[0, 0, 0, 0, 0, 1])
    found = estimate(run, rows([1] * 6))
    assert found.n == 4
    assert math.exp(found.value) == pytest.approx(2.0)
    assert slices.block_estimate(run, rows([1, 1, 1, None]), "throughput_rps") is None


def on_changing_cpu(slow: Sequence[float], took: float, *, told: bool = True) -> tuple[Row, ...]:
    """Slices of a stack whose requests take as long, on a CPU that is so many times as slow as
    told by the work."""
    return tuple(
        {
            "turn": turn,
            "throughput_rps": 1 / (took * times),
            "cpu_us_per_request": took * times,
            "failures": 0,
            "short_work_us": 20 * times if told else None,
        }
        for turn, times in enumerate(slow, start=1)
    )


CHANGING = [1.0, 1.5, 1.1, 0.9, 1.3, 1.0], [1.4, 0.9, 1.0, 1.2, 1.0, 1.1]


@pytest.mark.parametrize(("metric", "ratio"), [("throughput_rps", 0.5), ("cpu_us_per_request", 2)])
def test_the_speed_of_the_cpu_drops_out_where_the_short_work_tells_it(
    metric: str, ratio: float
) -> None:
    """Exactly, where the figure follows the work; a Block of the same stack without such work is
    read as it is."""
    told, untold = (
        (
            on_changing_cpu(CHANGING[0], 2.0, told=told),
            on_changing_cpu(CHANGING[1], 1.0, told=told),
        )
        for told in (True, False)
    )
    one, other = slices.block_estimates([told, untold], metric)
    assert one is not None
    assert math.exp(one.value) == pytest.approx(ratio)
    assert one.error == pytest.approx(0.0, abs=1e-9)
    assert other == slices.block_estimate(*untold, metric)
    assert other is not None
    assert other.error > 0.05


def robbed(row: Row, share: float) -> Row:
    """As it would have been, had the hypervisor taken this share of the window, which is told by
    half a step more."""
    rate = row["throughput_rps"]
    assert isinstance(rate, float)
    return {
        **row,
        "throughput_rps": rate * (1 - share),
        "stolen_share": share + 0.05 if share else 0.0,
    }


@pytest.mark.parametrize("told", [True, False])
def test_what_the_hypervisor_took_drops_out(*, told: bool) -> None:
    """Of the throughput, exactly, with the CPU's speed or where no work tells that; the CPU time of
    a request does not contain it, and stays."""
    slow = CHANGING if told else ([1.0] * 6, [1.0] * 6)
    shares = [0.0, 0.2, 0.4, 0.0, 0.1, 0.0], [0.1, 0.0, 0.0, 0.5, 0.3, 0.0]
    run, reference = (
        tuple(map(robbed, on_changing_cpu(of, took, told=told), taken))
        for of, took, taken in zip(slow, (2.0, 1.0), shares, strict=True)
    )
    for metric, ratio in (("throughput_rps", 0.5), ("cpu_us_per_request", 2.0)):
        (found,) = slices.block_estimates([(run, reference)], metric)
        assert found is not None
        assert math.exp(found.value) == pytest.approx(ratio)
        assert found.error == pytest.approx(0.0, abs=1e-9)
    plain = slices.block_estimate(run, reference, "throughput_rps")
    assert plain is not None
    assert plain.error > 0.05


def test_nothing_taken_changes_nothing() -> None:
    """As where there is no hypervisor: the share is 0 throughout."""
    pairs = [on_changing_cpu(of, took) for of, took in zip(CHANGING, (2.0, 1.0), strict=True)]
    run, reference = (tuple({**row, "stolen_share": 0.0} for row in rows) for rows in pairs)
    (one,) = slices.block_estimates([(run, reference)], "throughput_rps")
    (other,) = slices.block_estimates([(pairs[0], pairs[1])], "throughput_rps")
    assert one is not None
    assert other is not None
    assert one.value == pytest.approx(other.value, rel=1e-12)


def test_a_window_that_was_taken_whole_is_not_infinitely_slow() -> None:
    """In steps of 10 ms, more than the window may seem to have been taken."""
    pairs = [on_changing_cpu(of, took) for of, took in zip(CHANGING, (2.0, 1.0), strict=True)]
    run, reference = (
        tuple({**row, "stolen_share": share} for row, share in zip(rows, taken, strict=True))
        for rows, taken in zip(pairs, ([1.05, 0, 0, 0, 0, 0], [0, 0, 0, 1.0, 0, 0]), strict=True)
    )
    (found,) = slices.block_estimates([(run, reference)], "throughput_rps")
    assert found is not None
    assert math.isfinite(found.value)


def test_a_slice_that_does_not_count_says_nothing_of_the_slope() -> None:
    """One that failed, and one in which the probe watched, whose figures follow nothing."""
    run, reference = (on_changing_cpu(of, took) for of, took in zip(CHANGING, (2, 1), strict=True))
    wild = {"throughput_rps": 1e-3, "cpu_us_per_request": 1e6, "short_work_us": 40.0}
    failed = {**run[0], **wild, "turn": 7, "failures": 1}
    watched = {**run[0], **wild, "turn": 8, "watched": True}
    there = tuple({**reference[0], "turn": turn} for turn in (7, 8))
    (found,) = slices.block_estimates(
        [((*run, failed, watched), (*reference, *there))], "cpu_us_per_request"
    )
    assert found is not None
    # The reference has two Slices more, which are as the work says, too.
    assert math.exp(found.value) == pytest.approx(2.0)


def test_where_no_slice_has_a_figure_there_is_no_estimate() -> None:
    """As of a server that answered nothing in any window, though the CPU's speed is known."""
    run, reference = (on_changing_cpu(of, took) for of, took in zip(CHANGING, (2, 1), strict=True))
    nothing = tuple({**row, "throughput_rps": 0.0} for row in run)
    assert slices.block_estimates([(nothing, reference)], "throughput_rps") == (None,)
