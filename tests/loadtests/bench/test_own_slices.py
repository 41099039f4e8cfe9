"""A person's own application in Slices, which they ask for."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from loopbench.results.folder import folder as folders
from loopbench.results.schema import SLICES, Code, read_table
from loopbench.results.stats.intervals import slices
from tests.loadtests.bench.benches import SHORT, Bench, codes, ended, one_error

_APP = '''"""An application with a quick answer and one that has to wait."""
import asyncio

from aiohttp import web


async def quick(request):
    return web.json_response({"answer": 42})


async def waiting(request):
    await asyncio.sleep(0.1)
    return web.json_response({"answer": 42})


def make_app():
    app = web.Application()
    app.router.add_get("/quick", quick)
    app.router.add_get("/waiting", waiting)
    return app
'''

_LOADS = """[thinking]
path = "/quick"
users = 2
think_s = [0.01, 0.02]

[both]
path = ["/quick", "/waiting"]
users = 2
"""

_ON = ("aiohttp", "aiohttp-uvloop")


@pytest.fixture
def app(tmp_path: Path) -> tuple[str, ...]:
    """Options for the application above, on two servers."""
    (tmp_path / "quick_app.py").write_text(_APP, encoding="utf-8")
    (tmp_path / "loads.toml").write_text(_LOADS, encoding="utf-8")
    on = (word for server in _ON for word in ("--on", server))
    return ("--app", "quick_app:make_app", "--app-dir", str(tmp_path), *on, *SHORT)


def test_its_servers_are_loaded_in_turn(tmp_path: Path, app: tuple[str, ...]) -> None:
    """Side by side: every closed loop has Slices of both, so that they make a ratio, and resuming
    the whole folder measures nothing."""
    asked = (*app, "--get", "/quick", "--slice", "0.1", "--rounds", "1")
    with Bench(tmp_path / "run", *asked) as bench:
        done = ended(bench)
    assert done.status == 0, done.errors
    found = slices.by_run(read_table(bench.folder, SLICES))
    assert found.keys() == {f"01.app-{server}.quick-{users}" for server in _ON for users in (32, 1)}
    for rows in found.values():
        measured = [row for row in rows if not row["watched"]]
        assert len(measured) == slices.LEAST_TURNS
        assert all(row["failures"] == 0 and row["cpu_us_per_request"] for row in measured)
    assert folders.load(bench.folder).plan.raw["slices_s"] == {"quick-32": 0.1, "quick-1": 0.1}
    with Bench(tmp_path / "run", *asked, "--resume") as again:
        resumed = ended(again)
    assert (resumed.status, resumed.rows) == (0, done.rows), resumed.errors


def test_slices_that_are_too_short_say_so(tmp_path: Path, app: tuple[str, ...]) -> None:
    """Users wait 0.1 s for an answer: none comes in a window of half of that, one in 0.15 s, and
    more in a longer one, which has the rate that follows from the wait."""
    asked = (*app, "--get", "/waiting", "--rounds", "1")
    found = {}
    for slice_s in ("0.05", "0.15", "0.5"):
        with Bench(tmp_path / slice_s, *asked, "--slice", slice_s) as bench:
            found[slice_s] = ended(bench)
    none, short, long = found.values()
    assert none.status == 1
    assert "none ended within the window of a Slice" in one_error(none.errors)
    assert (short.status, long.status) == (0, 0), short.errors + long.errors
    for one, said in ((none, True), (short, True), (long, False)):
        assert len(one.rows) == 2 * len(_ON)
        assert [Code.SLICES_SHORT in codes(row) for row in one.rows] == [said] * len(one.rows)
    rates = [row["throughput_rps"] for row in long.rows if row["users"] == 1]
    assert statistics.fmean(rates) == pytest.approx(10, rel=0.1)


def test_what_cannot_be_in_slices_is_refused_or_stays_whole(
    tmp_path: Path, app: tuple[str, ...]
) -> None:
    """Users who think, and several loads at once, beside a loop that can; alone, one line."""
    loads = ("--scenarios", str(tmp_path / "loads.toml"), "--rounds", "1", "--slice", "0.1")
    with Bench(tmp_path / "alone", *app, *loads) as bench:
        assert "none of these scenarios can be measured in Slices" in one_error(ended(bench).errors)
    assert not bench.folder.exists()
    with Bench(tmp_path / "beside", *app, *loads, "--get", "/quick") as bench:
        done = ended(bench)
    assert done.status == 0, done.errors
    sliced = {str(row["run_id"]).split(".")[2] for row in read_table(bench.folder, SLICES)}
    assert sliced == {"quick-32", "quick-1"}
    assert {row["scenario"] for row in done.rows} == sliced | {"thinking", "both"}
