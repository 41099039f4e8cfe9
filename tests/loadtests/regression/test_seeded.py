"""Changes on purpose are in the rows that are measured, and what else breaks costs no other row."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from loopbench.loadtests.observe.callgrind import missing
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.regression import mutants
from loopbench.loadtests.regression.layers import facts, instructions, limits, memory, tails
from loopbench.loadtests.regression.mutants import CASE, Edit
from loopbench.loadtests.regression.sides.sides import Role, Side, look
from loopbench.results.schema import Row
from loopbench.servers.contract.cases import CASES
from tests.conftest import ROOT
from tests.loadtests.regression.trees import CRASHING, STACKS, changed, edited, rows_of

ASKED = 240


@contextmanager
def _side(*edits: Edit) -> Iterator[Side]:
    with changed(*edits) as root:
        yield look(Role.CANDIDATE, "x", root, Path(sys.executable), STACKS)


@pytest.fixture(scope="module")
def unchanged() -> Iterator[Side]:
    """A tree as it is, that changed ones are compared with."""
    with _side() as side:
        yield side


@pytest.fixture(scope="module")
def before(unchanged: Side, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Row]:
    """Its facts, of all subjects that a change here is about."""
    subjects = {CASE, facts.DATE, *(one for _, one, _ in mutants.FACTS_OF_HEADERS.values())}
    log, only = tmp_path_factory.mktemp("before") / "log", [("aiohttp", one) for one in subjects]
    rows = rows_of(facts.measure(unchanged, STACKS, log, Patience(), only))
    assert {row["subject"] for row in rows} == subjects
    return rows


def _kept(side: Side, folder: Path) -> Row:
    """What one request for CASE leaves behind."""
    rows = rows_of(
        memory.measure(
            side, {CASE: CASES[CASE]}, STACKS, folder / "log", Patience(), ASKED, repeats=1
        )
    )
    assert [row["subject"] for row in rows] == [CASE, *limits.ENDINGS]
    assert all(row["reason"] is None for row in rows)
    return rows[0]


def test_a_leak_of_an_object_is_a_block_a_request(unchanged: Side, tmp_path: Path) -> None:
    """Less than half of one without the leak, one and less than two with it."""
    with _side(mutants.LEAK_OF_AN_OBJECT) as leaking:
        without, with_ = (_kept(side, tmp_path) for side in (unchanged, leaking))
    assert isinstance(without["blocks"], float) and isinstance(with_["blocks"], float)
    assert -0.6 < without["blocks"] < 0.6
    assert 0.6 < with_["blocks"] - without["blocks"] < 1.6


def test_a_leak_of_bytes_is_resident_memory(tmp_path: Path) -> None:
    """10 KB a request are not in Python's blocks, and in the process they are."""
    with _side(mutants.LEAK_OF_BYTES) as side:
        kept = _kept(side, tmp_path)
    assert isinstance(kept["resident_bytes"], float)
    assert kept["resident_bytes"] > 5_000


def test_a_wrong_answer_costs_its_own_subject(tmp_path: Path) -> None:
    """It has the reason in place of readings, and the other case has readings."""
    edit, _, _ = mutants.FACTS_OF_HEADERS["a 204"]
    cases = {name: CASES[name] for name in ("json", "async")}
    with _side(edit) as side:
        rows = rows_of(
            memory.measure(side, cases, STACKS, tmp_path / "log", Patience(), 5, repeats=1)
        )
    reasons = {str(row["subject"]): row["reason"] for row in rows}
    assert str(reasons["json"]).startswith("json: status 204")
    assert reasons["async"] is None


def test_every_hundredth_request_that_is_slow_is_counted(unchanged: Side, tmp_path: Path) -> None:
    """One a batch at least on the side that has them, and both sides' batches are there.

    They are slow for ten times as long as those of the self-test, which asks on a quiet machine:
    beside other work a request in the middle of its batch may well take 5 ms."""
    base = replace(unchanged, role=Role.BASE)
    with _side(mutants.seldom_slow(0.05)) as candidate:
        plan = tails.Plan([("aiohttp", CASE)], seed=1, batches=3)
        (rows,) = tails.measure(plan, [base, candidate], tmp_path / "log")
    slow = {
        side: [row["slow"] for row in rows if row["side"] == side] for side in ("base", "candidate")
    }
    assert [len(one) for one in slow.values()] == [3, 3]
    assert all(isinstance(one, int) and one >= 1 for one in slow["candidate"])
    assert {row["failures"] for row in rows} == {0}


@pytest.mark.parametrize("change", list(mutants.FACTS_OF_HEADERS))
def test_what_changes_in_an_answer_is_a_fact(
    change: str, before: Sequence[Row], tmp_path: Path
) -> None:
    """A header that is gone, a clock that stands still, another status."""
    edit, subject, fact = mutants.FACTS_OF_HEADERS[change]
    with _side(edit) as side:
        after = rows_of(
            facts.measure(side, STACKS, tmp_path / "log", Patience(), [("aiohttp", subject)])
        )
    assert {row["subject"] for row in after} == {subject}
    old, new = (
        {row["value"] for row in rows if (row["subject"], row["fact"]) == (subject, fact)}
        for rows in (before, after)
    )
    assert old and new and not old & new


def test_dates_are_there_and_tell_the_time(before: Sequence[Row], tmp_path: Path) -> None:
    """Of an answer that has one, of one whose clock stands still, and of the header itself."""
    edit, _, _ = mutants.FACTS_OF_HEADERS["a Date that stands still"]
    only = [("aiohttp", CASE), ("aiohttp", facts.DATE)]
    with _side(edit) as side:
        after = rows_of(facts.measure(side, STACKS, tmp_path / "log", Patience(), only))
    old, new = (
        {str(row["fact"]): row["value"] for row in rows if ("aiohttp", row["subject"]) in only}
        for rows in (before, after)
    )
    assert (old["date"], old["moves"]) == ("the time", "with the clock")
    assert (new["date"], new["moves"]) == ("another time", "stands still")


counts = pytest.mark.skipif(missing() is not None, reason=str(missing()))
PLAN = instructions.Plan(requests=3, repeats=1)


@counts
def test_a_count_that_cannot_be_had_costs_its_own_route(tmp_path: Path) -> None:
    """A wrong answer, and a server that ends: the routes before and behind each of them are
    counted, those behind the end in another process."""
    edit, _, _ = mutants.FACTS_OF_HEADERS["a 204"]
    tree = edited(tmp_path, CRASHING)
    mutants.apply(edit, tree)
    side = look(Role.BASE, "x", tree, Path(sys.executable), STACKS)
    cases = {name: CASES[name] for name in (CASE, "async", "query", "json", "form")}
    found = instructions.measure(side, {"aiohttp": cases}, PLAN, Patience())
    assert [row["route"] for row in found.rows] == [CASE, "query", "form"]
    assert list(found.reasons) == [("aiohttp", "async"), ("aiohttp", "json")]
    assert "has ended" in found.reasons["aiohttp", "async"]
    assert "204" in found.reasons["aiohttp", "json"]


def test_routes_in_doubt_are_counted_again() -> None:
    """Where the repeats of one side lie so far apart that 1 % could not be told; not where one
    disturbed repeat stands beside three that agree, nor where nothing grew. Searches of classes may
    be in doubt, too."""

    def rows(side: str, counts: Sequence[float], searching: float | None = None) -> list[Row]:
        where = {"side": side, "stack": "aiohttp", "route": "r", "searching": searching}
        return [{**where, "instructions": count} for count in counts]

    base = rows("base", [100_000, 100_002, 100_004])
    assert instructions.in_doubt(base, rows("candidate", [100_000, 100_300, 102_000])) == (
        ("aiohttp", "r"),
    )
    assert not instructions.in_doubt(base, rows("candidate", [100_000, 100_010, 102_000, 100_004]))
    assert not instructions.in_doubt(base, rows("candidate", [100_000, 100_300, 100_100]))
    assert not instructions.in_doubt(base, rows("candidate", [105_000, 105_001, 105_002]))
    assert not instructions.in_doubt(base[:2], rows("candidate", [100_000, 100_100]))
    once, more, less = (rows("base", [100_000], searching) for searching in (0, 1_600, 1_400))
    assert instructions.in_doubt(once, more) == (("aiohttp", "r"),)
    assert not instructions.in_doubt(once, less)


def test_routes_in_threads_are_counted_apart() -> None:
    """Those that are in doubt bring those with them that the same process is asked before them."""
    side = look(Role.BASE, "x", ROOT, Path(sys.executable), STACKS)
    asked = {"aiohttp": instructions.cases_of(side)}

    def processes(*only: str) -> list[set[str]]:
        chosen = [("aiohttp", name) for name in only] or None
        return [set(cases) for _, cases in instructions._processes(side, asked, chosen)]

    in_order = list(asked["aiohttp"])

    def on_the_loop_until(last: str) -> set[str]:
        return set(in_order[: in_order.index(last) + 1]) - side.in_thread

    on_the_loop, in_threads = processes()
    assert in_threads == {"sync", "sleep-sync-0", "burn-sync-0"}
    assert on_the_loop | in_threads == asked["aiohttp"].keys()
    until_plain, until_json = (on_the_loop_until(name) for name in ("plain", "json"))
    assert until_plain < until_json < on_the_loop
    assert processes("plain") == [until_plain]
    assert processes("json", "plain") == [until_json]
    assert processes(*on_the_loop) == [on_the_loop]
    assert processes("plain", in_order[-1]) == [until_plain, in_threads]


def test_a_small_growth_is_counted_again_before_it_is_called() -> None:
    """And one of any size where counts of both sides overlap; a large one is not called by two, and
    what is counted once has not grown only where it is below half of what is called."""

    def doubted(base: Sequence[int], candidate: Sequence[int]) -> bool:
        return bool(instructions.in_doubt(rows(base), rows(candidate)))

    def rows(counts: Sequence[int]) -> list[Row]:
        route = {"stack": "s", "route": "r", "searching": None}
        return [{**route, "instructions": 100_000 + one} for one in counts]

    assert doubted([0] * 3, [1_300] * 3)
    assert not doubted([0] * 6, [1_300] * 6)
    assert doubted([0] * 3, [1_999] * 3)
    assert not doubted([0] * 3, [2_000] * 3)
    assert doubted([0] * 4, [9_000] * 3 + [0])
    assert doubted([0] * 2, [9_000] * 2)
    assert not doubted([0] * 3, [9_000] * 3)
    assert doubted([0], [9_000])
    assert doubted([0], [501])
    assert not doubted([0], [499])
    assert not doubted([0], [-999])
    assert doubted([0], [-1_001])
    assert doubted([0] * 2 + [-600], [0])


def test_another_tree_is_asked_what_it_holds(unchanged: Side, tmp_path: Path) -> None:
    """What reads memory is put into the process by the harness: a tree needs nothing for it."""
    assert not (unchanged.root / "loadtests" / "regression" / "inside").exists()
    assert unchanged.root != ROOT
    with memory._readable(unchanged, "aiohttp", tmp_path / "log") as (_, read):
        first, second = read(), read()
    assert first.blocks > 10_000 and first.resident_bytes > 1_000_000
    assert abs(second.blocks - first.blocks) < 1_000
