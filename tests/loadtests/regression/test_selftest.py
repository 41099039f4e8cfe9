"""What the self-test makes of findings: an alarm on equal sides is none of its successes."""

from __future__ import annotations

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.selftest import (
    Met,
    Trial,
    about,
    busy,
    met_by,
    says,
    silent,
    sized,
)
from loopbench.loadtests.regression.wish import Wish
from loopbench.results.schema import Row
from loopbench.results.schema.regression import Layer


def _row(layer: str, verdict: str, subject: str = "plain", metric: str = "status") -> Row:
    return {
        "layer": layer,
        "stack": "aiohttp",
        "subject": subject,
        "metric": metric,
        "verdict": verdict,
    }


QUIET = [
    *(_row(layer, "same") for layer in ("facts", "instructions", "memory", "tails")),
    _row("time", "cannot-tell"),
]


def test_silence_is_no_alarm_in_any_layer() -> None:
    """Also a doubt is silence, and so is what is only shown."""
    assert silent(QUIET)
    assert silent([*QUIET, _row("time", "shown"), _row("time", "ruled-out")])


@pytest.mark.parametrize(
    ("layer", "verdict"),
    [
        ("facts", "changed"),
        ("facts", "missing"),
        ("instructions", "regressed"),
        ("time", "regressed"),
    ],
)
def test_an_alarm_is_no_silence(layer: str, verdict: str) -> None:
    """One is enough."""
    assert not silent([*QUIET, _row(layer, verdict)])


def test_a_layer_that_did_not_run_is_no_silence() -> None:
    """Neither where it says so nor where it is missing."""
    assert not silent(QUIET[:-1])
    assert not silent([*QUIET[:-1], _row("time", "not-run")])


def test_a_demand_is_about_its_place() -> None:
    """Another subject's verdict does not meet it, nor does none at all."""
    demand = says(("facts", "aiohttp", "sync", "thread"), ["changed"])
    assert demand([*QUIET, _row("facts", "changed", "sync", "thread")])
    assert not demand([*QUIET, _row("facts", "changed", "async", "thread")])
    assert not demand([*QUIET, _row("facts", "same", "sync", "thread")])
    assert not demand(QUIET)


@pytest.mark.parametrize(
    ("verdicts", "met"),
    [
        (["regressed"], Met.YES),
        (["cannot-tell"], Met.UNDECIDED),
        (["same"], Met.NO),
        (["regressed", "cannot-tell"], Met.NO),
        ([], Met.NO),
    ],
)
def test_a_doubt_is_neither_success_nor_failure(verdicts: list[str], met: Met) -> None:
    """Where the noise of a busy machine hides what had to be seen, that is said."""
    where = ("instructions", "aiohttp")
    wish = Wish(layers=(Layer.INSTRUCTIONS,), stacks=("aiohttp",), cells=(), seed=1)
    trial = Trial("x", (), wish, "regressed", where, says(where, ["regressed"]))
    findings = [_row("instructions", verdict) for verdict in verdicts]
    assert met_by(trial, findings) is met


@pytest.mark.parametrize(
    ("warnings", "is_busy"),
    [
        (["generator-lag;machine-busy", "machine-busy", None], True),
        (["machine-busy", None], False),
        (["generator-lag", None, None], False),
    ],
)
def test_times_that_other_work_met_decide_nothing(
    warnings: list[str | None], is_busy: bool
) -> None:
    """Most slots have its Warning, so the size of the change is not known either."""
    assert busy([{"warnings": one} for one in warnings]) is is_busy


def test_every_finding_there_has_to_have_the_verdict() -> None:
    """One that is ruled out spoils a place where the other is regressed."""
    where = ("time", "aiohttp")
    findings = [_row("time", "regressed"), _row("time", "ruled-out")]
    assert not says(where, ["regressed", "cannot-tell"])(findings)
    assert says(where, ["regressed", "cannot-tell"])(findings[:1])
    assert about(findings, where) == findings


@pytest.mark.parametrize("of_the_edit", [0.0, -2_500.0, 4_000.0])
def test_added_work_is_sized_with_what_the_edit_itself_costs(of_the_edit: float) -> None:
    """A step takes 7 instructions: those that are wanted are there, and at most a step more."""
    steps = sized(20_000.0, of_the_edit + 2500 * 7, of_the_edit + 5000 * 7)
    assert 20_000 <= of_the_edit + steps * 7 < 20_007


def test_added_work_that_does_not_show_sizes_nothing() -> None:
    """It would be as many steps as chance has it."""
    with pytest.raises(HarnessError, match="did not show"):
        sized(20_000.0, 17_500.0, 17_500.0)
