"""Centres and intervals: worked examples, scipy as a second opinion, coverage by simulation."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from loopbench.results.stats.comparisons.compare import unpaired_ratio
from loopbench.results.stats.intervals.location import Interval, locate, raised
from loopbench.results.stats.summaries.sample import Sample

REPEATS = 3000


def test_one_bad_round_of_five_does_not_move_the_centre() -> None:
    """Worked on paper: 10 and 1030 are left out; the winsorised squares add up to 400, so the
    standard error is sqrt(400 / 6), and t for two degrees of freedom is 4.3027."""
    located = locate([1000.0, 1010.0, 1020.0, 1030.0, 10.0])
    reach = 4.302653 * math.sqrt(400 / 6)
    assert located.centre == 1010.0
    assert located.interval is not None
    assert located.interval.low == pytest.approx(1010 - reach, abs=1e-4)
    assert located.interval.high == pytest.approx(1010 + reach, abs=1e-4)


def test_three_rounds_have_their_median_and_students_interval() -> None:
    """Worked on paper: mean 20, standard deviation 10, t for two degrees of freedom 4.3027."""
    located = locate([10.0, 20.0, 30.0])
    reach = 4.302653 * 10 / math.sqrt(3)
    assert located.centre == 20.0
    assert located.interval is not None
    assert located.interval.low == pytest.approx(20 - reach, abs=1e-4)
    assert located.interval.high == pytest.approx(20 + reach, abs=1e-4)


@pytest.mark.parametrize(("values", "centre"), [([7.0], 7.0), ([7.0, 9.0], 8.0)])
def test_one_or_two_rounds_have_no_interval(values: list[float], centre: float) -> None:
    """The centre is there; how sure it is cannot be said."""
    assert locate(values).centre == centre
    assert locate(values).interval is None


@pytest.mark.parametrize("n", range(3, 16))
def test_the_interval_is_that_of_scipy(n: int) -> None:
    """Yuen's test of the values against zeros has the same interval, for every n."""
    # Imported here: it takes long, and each process of the tests reads all their files.
    from scipy import stats

    values = [random.Random(n * 100 + place).gauss(50, 3) for place in range(n)]
    said = stats.ttest_ind(values, [0.0] * n, trim=0.2, equal_var=False).confidence_interval()
    interval = locate(values).interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((said.low, said.high), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(3, 3), (3, 7), (5, 5), (6, 11), (10, 4)])
def test_the_unpaired_ratio_is_that_of_scipy(n: int, m: int) -> None:
    """Yuen's test for unequal variances on the logarithms gives the same ends."""
    from scipy import stats

    draw = random.Random(n * 100 + m)
    before = [math.exp(draw.gauss(0, 0.05)) for _ in range(n)]
    after = [math.exp(draw.gauss(0.1, 0.2)) for _ in range(m)]
    said = stats.ttest_ind(
        [math.log(value) for value in after],
        [math.log(value) for value in before],
        trim=0.2,
        equal_var=False,
    ).confidence_interval()
    _, interval = unpaired_ratio(_sample(before), _sample(after))
    assert interval is not None
    ends = (math.log(interval.low), math.log(interval.high))
    assert ends == pytest.approx((said.low, said.high), rel=1e-9)


def test_a_ratio_beyond_all_numbers_has_no_interval() -> None:
    """Logarithms that cannot be raised again give nothing instead of an overflow."""
    assert raised(Interval(-1.0, 5000.0)) is None


def _sample(values: list[float]) -> Sample:
    by_round = dict(enumerate(values, start=1))
    return Sample("a", "b", "main", "throughput_rps", by_round)


Draw = Callable[[random.Random], float]


def _laplace(draw: random.Random) -> float:
    return draw.expovariate(1.0) * draw.choice((-1.0, 1.0))


def _contaminated(draw: random.Random) -> float:
    """One in twenty has ten times the spread."""
    return draw.gauss(0, 10 if draw.random() < 0.05 else 1)


DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda draw: draw.gauss(0, 1),
    "laplace": _laplace,
    "contaminated": _contaminated,
}


@pytest.mark.parametrize("n", range(3, 11))
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_interval_covers_about_95_percent(name: str, n: int) -> None:
    """Over seeded repetitions the truth, 0, lies inside in 92 to 98 % of them: 93 to 97 % and
    three standard errors of the simulation."""
    draw = random.Random(f"{name} {n}")
    covered = 0
    for _ in range(REPEATS):
        interval = locate(DISTRIBUTIONS[name](draw) for _ in range(n)).interval
        covered += interval is not None and 0.0 in interval
    assert 0.92 <= covered / REPEATS <= 0.98


@pytest.mark.parametrize("n", range(3, 11))
def test_one_bad_round_makes_no_false_claim(n: int) -> None:
    """With one value eight standard deviations off, the truth is still inside in 93 %."""
    draw = random.Random(n)
    covered = 0
    for _ in range(REPEATS):
        values = [draw.gauss(0, 1) for _ in range(n)]
        values[0] -= 8
        interval = locate(values).interval
        covered += interval is not None and 0.0 in interval
    assert covered / REPEATS >= 0.93


@pytest.mark.parametrize("n", range(5, 11))
def test_one_bad_round_of_five_or_more_leaves_the_interval_narrow(n: int) -> None:
    """The value may be as bad as it likes: beyond the trimmed values it changes nothing."""
    values = [float(place) for place in range(1, n)]
    assert locate([*values, 1e3]) == locate([*values, 1e6])


@pytest.mark.parametrize("n", [3, 5, 8])
def test_unchanged_stacks_rarely_differ(n: int) -> None:
    """Two samples of one distribution: at most 7 % of the unpaired intervals leave out 1."""
    draw = random.Random(n)
    alarms = 0
    for _ in range(REPEATS):
        one, other = ([math.exp(draw.gauss(0, 0.03)) for _ in range(n)] for _ in range(2))
        _, interval = unpaired_ratio(_sample(one), _sample(other))
        alarms += interval is not None and 1.0 not in interval
    assert alarms / REPEATS <= 0.07
