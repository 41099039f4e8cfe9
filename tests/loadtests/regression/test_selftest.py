"""What the self-test makes of findings: an alarm on equal sides is none of its successes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from loopbench.loadtests.cli import cli
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression import selftest
from loopbench.loadtests.regression.selftest import (
    Met,
    Outcome,
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


def test_a_trial_that_cannot_be_measured_costs_its_own_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one after it is begun all the same, and either says why."""
    monkeypatch.setenv("PATH", str(tmp_path))
    wish = Wish(layers=(Layer.INSTRUCTIONS,), stacks=("aiohttp",), cells=(), seed=1)
    both = [Trial(name, (), wish, "silence", (), silent) for name in "xy"]
    monkeypatch.setattr(selftest, "trials", lambda *_: iter(both))
    outcomes = list(selftest.run(wish, tmp_path / "kept", lambda line: None))
    assert [(one.change, one.met) for one in outcomes] == [("x", Met.UNDONE), ("y", Met.UNDONE)]
    assert all("valgrind" in one.reported for one in outcomes)


@pytest.mark.parametrize(
    ("met", "status"),
    [
        ([Met.YES], 0),
        ([Met.YES, Met.UNDECIDED], 2),
        ([Met.UNDECIDED, Met.UNDONE], 3),
        ([Met.UNDECIDED, Met.UNDONE, Met.NO], 1),
    ],
)
def test_the_status_of_a_self_test(
    met: list[Met], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not seen outweighs what was not measured, and that a doubt."""
    outcomes = [Outcome("a change", "silence", "nothing", one, 1.0) for one in met]
    monkeypatch.setattr(selftest, "run", lambda *_: iter(outcomes))
    done = CliRunner().invoke(cli, ["regression-selftest", "--out", str(tmp_path / "kept")])
    assert done.exit_code == status, done.output
    assert done.output.count("a change") == len(met)


def test_what_was_told_before_an_error_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line of the table has taken minutes."""

    def broken(*_: object) -> Iterator[Outcome]:
        yield Outcome("a change", "silence", "nothing", Met.YES, 1.0)
        raise HarnessError("a step did not show")

    monkeypatch.setattr(selftest, "run", broken)
    done = CliRunner().invoke(cli, ["regression-selftest", "--out", str(tmp_path / "kept")])
    assert done.exit_code == 3
    assert "a change" in done.output
    assert "a step did not show" in done.output
