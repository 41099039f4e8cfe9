"""Sampled time beside counted instructions: what is laid side by side, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from loopbench.results.__main__ import cli
from loopbench.results.why import witness
from loopbench.results.why.costs import beside, read
from tests.results.why import cost_folder

SLOW, FAST = ("slow", "async"), ("fast", "async")


def test_both_shares_of_each_function_stand_side_by_side(tmp_path: Path) -> None:
    """One that was counted and never sampled has no time; the error is that of 1,000 samples."""
    costs = read(cost_folder.with_samples(tmp_path / "costs"))
    assert witness.taken(costs, SLOW) == 1000
    found = {one.function.name: one for one in witness.shares(costs, SLOW)}
    assert [*found] == ["Connection.next_event", "Request.__init__", "Handle._run", "async_", ""]
    shares = [(one.time, one.instructions, one.kernel) for one in found.values()]
    assert shares == [
        (0.5, 0.4, 0.0),
        (0.28, 0.29, 0.0),
        (0.22, 0.1, 0.5),
        (0.0, 0.2, None),
        (0.0, 0.01, None),
    ]
    assert found["Handle._run"].error == pytest.approx(0.0131, abs=1e-4)
    assert [one.apart for one in found.values()] == [True, False, True, True, False]
    assert witness.shares(costs, FAST) == ()


def test_a_disagreement_is_said_in_words(tmp_path: Path) -> None:
    """With the kernel's part where the time is the larger of both, and it is known."""
    known, unknown = (
        list(witness.sentences(read(cost_folder.with_samples(tmp_path / str(kernel), kernel))))
        for kernel in (True, False)
    )
    assert known == [
        (
            "slow, async: h11._connection.Connection.next_event has 50% of the sampled time and "
            "40% of the instructions; 0% of these samples are from the kernel, which runs its "
            "system calls."
        ),
        (
            "slow, async: asyncio.events.Handle._run has 22% of the sampled time and 10% of the "
            "instructions; 50% of these samples are from the kernel, which runs its system calls."
        ),
        (
            "slow, async: loopbench.servers.apps.asgi_app.async_ has 0% of the sampled time and "
            "20% of the instructions."
        ),
    ]
    assert [line.partition(";")[0].rstrip(".") for line in known] == [
        line.rstrip(".") for line in unknown
    ]


def test_the_terminal_the_page_and_json_show_it(tmp_path: Path) -> None:
    """Only where time was sampled."""
    folder = cost_folder.with_samples(tmp_path / "costs")
    shown = CliRunner().invoke(cli, ["why", str(folder)]).output
    assert "slow, async: shares of instructions and of 1,000 samples of time" in shown
    assert "Handle._run" in shown and "±2.6%" in shown
    assert "of 1,000 samples of CPU time" in (folder / "why.html").read_text()
    document = CliRunner().invoke(cli, ["why", str(folder), "--json"]).output
    assert '"apart": true' in document
    bare = cost_folder.write(tmp_path / "bare")
    assert "samples of" not in CliRunner().invoke(cli, ["why", str(bare)]).output


def test_two_runs_side_by_side_keep_their_samples(tmp_path: Path) -> None:
    """Each under the name of its folder."""
    old = read(cost_folder.write(tmp_path / "old"))
    new = read(cost_folder.with_samples(tmp_path / "new"))
    assert [*beside(old, new, ("old", "new")).samples] == [("slow (new)", "async")]
