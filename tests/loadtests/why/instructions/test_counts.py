"""Instructions of chosen cases: counted, written, and told by the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopbench.loadtests.observe.callgrind import missing
from loopbench.loadtests.observe.request_counts import REPEATS, RequestCount
from loopbench.loadtests.why.instructions.counts import Count, count, write
from loopbench.results.report.blocks import Table
from loopbench.results.schema import COUNTS, read_table
from tests.loadtests.bench.benches import SHORT, Bench, ended
from tests.results.examples import report_folder
from tests.results.report.reports import made


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_more_work_is_more_instructions() -> None:
    """Thirty layers against none, on the yardstick; each counted as often as it says, told in
    the order asked for, and alike in each of the fresh processes."""
    said: list[str] = []
    cases = ("sync", "middleware-0", "middleware-30")
    sync, none, thirty = count(("asyncio",), cases, 20, said.append)
    assert (none.case, thirty.case) == ("middleware-0", "middleware-30")
    assert len(none.values) == len(thirty.values) == REPEATS
    assert sync.median > thirty.median > none.median > 10_000
    assert all(one.spread is not None and one.spread < 0.01 for one in (none, thirty))
    assert all(count.searching is not None for count in none.counts)
    assert [line.partition(":")[0] for line in said] == [
        "asyncio sync",
        "asyncio middleware-0",
        "asyncio middleware-30",
    ]


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_bench_counts_the_routes_that_it_loads_in_slices(tmp_path: Path) -> None:
    """Not those of scenarios that wait; one count has no spread."""
    options = ("--stack", "aiohttp", "--rounds", "1", *SHORT)
    loads = ("--scenario", "plain-32", "--scenario", "cliff-4")
    with Bench(tmp_path / "run", *options, *loads, "--instructions") as bench:
        done = ended(bench)
    assert done.status == 0, done.errors
    assert "counting the instructions of a request: plain\n" in done.errors
    rows = list(read_table(tmp_path / "run", COUNTS))
    assert [(row["stack"], row["case"], row["repeats"], row["spread"]) for row in rows] == [
        ("aiohttp", "plain", 1, None)
    ]


def test_a_bench_without_valgrind_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The measured rows are there, nothing is counted, and the status is that of success."""
    monkeypatch.setenv("PATH", str(tmp_path))
    options = ("--stack", "aiohttp", "--scenario", "plain-32", "--rounds", "1", *SHORT)
    with Bench(tmp_path / "run", *options, "--instructions") as bench:
        done = ended(bench)
    assert done.status == 0, done.errors
    assert len(done.rows) == 1
    assert (
        "the instructions of a request are not counted: "
        "valgrind, vgdb, setarch, taskset, chrt not found" in done.errors
    )
    assert not (tmp_path / "run" / COUNTS.filename).exists()


def _three(*values: float) -> tuple[RequestCount, ...]:
    return tuple(RequestCount(value, 300.0 * place) for place, value in enumerate(values))


COUNTED = (
    Count("aiohttp", "middleware-0", 500, _three(200_000.0, 201_000.0, 200_000.0)),
    Count("aiohttp", "middleware-30", 500, _three(350_000.0, 350_000.0, 350_000.0)),
    Count("quart-hypercorn", "middleware-0", 500, _three(*(1_000_000.0,) * 3)),
    Count("quart-hypercorn", "middleware-30", 500, (RequestCount(1_900_000.0, None),) * 3),
)


def test_the_rows_are_medians_with_their_spread(tmp_path: Path) -> None:
    """Written anew each time."""
    for _ in range(2):
        write(tmp_path, COUNTED)
    rows = list(read_table(tmp_path, COUNTS))
    assert len(rows) == 4
    assert rows[0]["instructions"] == 200_000.0
    assert rows[0]["spread"] == 0.005
    assert [row["searching"] for row in rows] == [300.0, 300.0, 300.0, None]


def test_the_report_tells_what_a_layer_costs(tmp_path: Path) -> None:
    """(350,000 - 200,000) / 30 is 5,000, which is 2.5 % of 200,000."""
    folder = report_folder.write(tmp_path / "known")
    write(folder, COUNTED)
    (speed,) = (section for section in made(folder).sections if section.anchor == "speed")
    titled = {part.title: part for part in speed.parts if isinstance(part, Table)}
    (counts,) = (part for title, part in titled.items() if title.startswith("Instructions of a r"))
    assert counts.header == ("case", "aiohttp", "quart-hypercorn")
    assert counts.rows[0] == ("middleware-0", "200,000", "1,000,000")
    assert "at most 0.50%" in counts.title
    (layer,) = (part for title, part in titled.items() if title.startswith("Instructions of one"))
    assert layer.rows == (
        ("aiohttp", "5,000", "2.50%"),
        ("quart-hypercorn", "30,000", "3.00%"),
    )
