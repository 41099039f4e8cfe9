"""The short table's verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopbench.results.folder.folder import load
from loopbench.results.schema import RUNS
from loopbench.results.stats.summaries.summary import summarise
from loopbench.results.terminal.brief import brief
from tests.results.examples import folders


@pytest.mark.parametrize("doubtful", ["aiohttp", "quart", ""])
def test_what_is_not_to_be_compared_has_no_verdict(tmp_path: Path, doubtful: str) -> None:
    """Whichever side the Warning is about: the mark beside it says which it is."""
    rows = [
        folders.run_row(
            number,
            stack,
            "async-32",
            load_model="closed",
            users=32,
            throughput_rps=rps + number,
            warnings="saves-differ" if stack == doubtful else None,
        )
        for number in (1, 2, 3)
        for stack, rps in (("aiohttp", 1000.0), ("quart", 500.0))
    ]
    folder = load(folders.write(tmp_path / "run", {RUNS: rows}))
    (line,) = brief(folder, summarise(folder), ()).lines
    assert line.verdict == ("not comparable" if doubtful else "slower")
    assert line.marks == ("[1!]" if doubtful else "")
