"""What the short table says of instructions, which have no interval."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopbench.results.folder.folder import load
from loopbench.results.schema import RUNS, Row
from loopbench.results.stats.summaries.summary import summarise
from loopbench.results.terminal.brief import INSTRUCTIONS, brief
from tests.results.examples import folders


@pytest.mark.parametrize(
    ("counted", "ratio", "said"),
    [
        (250_000.0, "1.00x", "no difference"),
        (250_700.0, "1.00x", "no difference"),  # as equal code may differ
        (249_300.0, "0.997x", "no difference"),
        (251_000.0, "1.00x", "more"),
        (1_500_000.0, "6.00x", "more"),
        (125_000.0, "0.500x", "less"),
    ],
)
def test_a_count_is_more_where_it_is_by_more_than_equal_code_s(
    tmp_path: Path, counted: float, ratio: str, said: str
) -> None:
    """To three parts in a thousand it is the same."""
    runs: list[Row] = [
        folders.run_row(1, stack, "async-32", case="async", load_model="closed", users=32)
        for stack in ("aiohttp", "quart-hypercorn")
    ]
    folders.write(tmp_path / "run", {RUNS: runs})
    folder = load(tmp_path / "run")
    counts: tuple[Row, ...] = tuple(
        {"stack": stack, "case": "async", "instructions": value}
        for stack, value in (("aiohttp", 250_000.0), ("quart-hypercorn", counted))
    )
    found = brief(folder, summarise(folder), counts)
    (line,) = (line for line in found.lines if line.measure == INSTRUCTIONS)
    assert (line.stack, line.ratio, line.verdict) == ("quart-hypercorn", ratio, said)
