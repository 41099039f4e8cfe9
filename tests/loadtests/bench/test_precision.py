"""Where the next Round goes, and what is said of ratios that are not tight enough."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from loopbench.loadtests.bench.precision import VAIN, Allowance, Vain, choose, unsettled, worst
from loopbench.results.stats.summaries.precision import Width


def width(scenario: str, reach: float | None, n: int = 5) -> Width:
    return Width(scenario, "slow", "fast", "throughput_rps", reach, n)


def test_the_widest_ratio_of_a_scenario_counts() -> None:
    """One without an interval is wider than any."""
    assert worst([width("a", 0.02), width("a", 0.05), width("b", None)]) == {
        "a": 0.05,
        "b": math.inf,
    }


def test_a_round_goes_where_the_interval_is_widest() -> None:
    """Until all are within the goal; where only a time was given, also beyond."""
    allowance = Allowance(None)
    known = [width("a", 0.02), width("b", 0.06), width("c", 0.04)]
    assert choose(known, 0.03, allowance, settle=True) == "b"
    assert choose([width("a", 0.02)], 0.03, allowance, settle=True) is None
    assert choose([width("a", 0.02)], 0.03, allowance, settle=False) == "a"
    assert choose([], 0.03, allowance, settle=False) is None


def test_the_widest_ratio_does_not_take_all_of_a_time() -> None:
    """A Round goes where it takes most off the squares of the reaches: to one of 5 % after five
    Rounds, not to one of 8 % after twenty; where a precision is asked for, to the wider one."""
    known = [width("noisy", 0.08, 20), width("calm", 0.05, 5)]
    assert choose(known, 0.03, Allowance(None), settle=False) == "calm"
    assert choose(known, 0.03, Allowance(None), settle=True) == "noisy"
    known[1] = replace(known[1], reach=0.03)
    assert choose(known, 0.03, Allowance(None), settle=False) == "noisy"


def test_what_takes_longer_has_to_gain_more() -> None:
    """Twice as long a Block is worth a reach that is wider by the square root of two; where nobody
    knows yet how long one takes, as in a folder that is resumed, Blocks count alike."""
    allowance, known = Allowance(None), [width("long", 0.05), width("short", 0.04)]
    assert choose(known, 0.03, allowance, settle=False) == "long"
    allowance.spent("long", 8.0)
    assert choose(known, 0.03, allowance, settle=False) == "long"
    allowance.spent("short", 4.0)
    assert choose(known, 0.03, allowance, settle=False) == "short"
    assert choose(known, 0.03, allowance, settle=True) == "long"
    known[0] = replace(known[0], reach=0.06)
    assert choose(known, 0.03, allowance, settle=False) == "long"


def test_of_those_without_an_interval_the_one_with_the_fewest_rounds_comes_first() -> None:
    """Whatever their order: a fourth Round is worth more to one than a fifth to another."""
    known = [width("a", None, 4), width("b", None, 3), width("c", 0.3, 5)]
    assert choose(known, 0.03, Allowance(None), settle=False) == "b"
    assert choose(known[:1] + known[2:], 0.03, Allowance(None), settle=False) == "a"


def test_a_closed_loop_comes_first_where_only_a_time_is_given() -> None:
    """The ratio of another counts a quarter; where a precision is asked for, each counts alike."""
    known = [width("closed", 0.04), replace(width("open", 0.12), closed=False)]
    assert choose(known, 0.03, Allowance(None), settle=False) == "closed"
    assert choose(known, 0.03, Allowance(None), settle=True) == "open"
    known[1] = replace(known[1], reach=0.2)
    assert choose(known, 0.03, Allowance(None), settle=False) == "open"
    known = [replace(width("open", None), closed=False), width("closed", None), width("far", 0.3)]
    assert choose(known, 0.03, Allowance(None), settle=False) == "closed"
    assert choose([known[0], known[2]], 0.03, Allowance(None), settle=False) == "open"


def test_what_does_not_fit_into_the_time_is_not_begun() -> None:
    """Going by the longest Block of the scenario so far; another one may still fit."""
    allowance = Allowance(10.0)
    allowance.spent("long", 8.0)
    allowance.spent("long", 60.0)
    allowance.spent("short", 1.0)
    known = [width("long", 0.2), width("short", 0.1)]
    assert not allowance.fits("long")
    assert choose(known, 0.03, allowance, settle=True) == "short"
    assert Allowance(0.0).left_s() <= 0


def test_a_ratio_that_was_not_settled_says_how_much_it_needs() -> None:
    """The reach falls with the square root of the Rounds: twice as tight takes four times as
    many, so fifteen more than five, here of two seconds each."""
    (line,) = unsettled([width("a", 0.04)], 0.02, {"a": [2.0, 1.5]})
    assert line == (
        "a: throughput_rps of slow over fast is known to ±4.0% only, needs about 30 s more"
    )
    assert unsettled([width("a", 0.02)], 0.02, {"a": [2.0]}) == []
    (line,) = unsettled([width("a", None, 2)], 0.02, {})
    assert line == "a: throughput_rps of slow over fast has no interval yet, after 2 Rounds"


@pytest.mark.parametrize("budget_s", [None, 100.0])
def test_a_scenario_that_was_never_measured_is_begun(budget_s: float | None) -> None:
    """Nothing is known of how long it takes."""
    assert Allowance(budget_s).fits("new")


def test_a_ratio_that_gets_no_figures_any_more_is_given_up() -> None:
    """Without an end `--precision` would go on for it, where its server dies each time. The others
    of its Scenario are not, nor is one that gets a figure now and then."""
    vain, dying, alive = Vain(), width("a", None, 2), replace(width("a", 0.5), stack="alive")
    for n in range(VAIN):
        vain.note("a", [dying, replace(alive, n=5 + n)])
        assert vain.without([dying, alive]) == [dying, alive]
        assert vain.lines([dying]) == []
    vain.note("a", [dying, replace(alive, n=5 + VAIN)])
    assert vain.without([dying, alive, width("b", None, 2)]) == [alive, width("b", None, 2)]
    assert vain.lines([dying, alive]) == [
        "a: throughput_rps of slow over fast got no figures in 3 Rounds in a row: it has those of 2"
    ]
    vain.note("a", [replace(dying, n=3), alive])
    assert vain.without([dying]) == [dying]
