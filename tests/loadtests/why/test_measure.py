"""Counting by function for real: callgrind runs, on an application whose costs are known."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe.callgrind import missing
from loopbench.loadtests.scenarios.custom.scenarios import prepare
from loopbench.loadtests.why import interpreter, rows
from loopbench.loadtests.why.attribution import perf_map
from loopbench.loadtests.why.attribution.tree import by_function, mean
from loopbench.loadtests.why.interpreter import Interpreter, choose, look_at
from loopbench.loadtests.why.measure import Measured, Plan, Subject, compiled, measure
from loopbench.results.schema import COST_TOTALS, COST_TREE, COSTS, CostKind, Row, read_table
from loopbench.results.why.costs import beside, read
from loopbench.results.why.groups import differences
from loopbench.servers.contract.http import Case, Expected, get
from loopbench.servers.custom.look import Looks
from loopbench.servers.custom.stacks import rows as rows_of
from loopbench.servers.parts import ASGI, OwnApp
from loopbench.servers.stacks import Stack

APPLICATION = """\
TURNS = (None,) * 20_000


async def app(scope, receive, send):
    if scope["type"] == "http":
        work()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})


def work():
    for _ in TURNS:
        pass
"""
"""A loop that allocates nothing: what memory costs depends on what was done before."""
REQUESTS = 5

counts = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@pytest.fixture(scope="module")
def named() -> Interpreter:
    """A Python that names its functions."""
    chosen = choose(None)
    if not chosen.named:
        pytest.skip(interpreter.REMEDY)
    return chosen


CASE = Case("GET /", get("/"), Expected(200, None, b"x"))
"""What each application here answers to whatever it is asked."""


def _stack(module: str, folder: Path, on: str) -> Stack:
    """Its row, without the look and the starts by which `prepare` would find this out."""
    own = OwnApp(f"{module}:app", str(folder), "/")
    (row,) = rows_of(own, Looks(ASGI, "ASGI", (), made=False), (on,)).values()
    return row


def _maps() -> set[Path]:
    return set(Path("/tmp").glob("perf-*.map"))


@pytest.fixture(scope="module")
def maps_before() -> set[Path]:
    """Maps that others have left, as those of a run of these tests that was killed."""
    return _maps()


@pytest.fixture(scope="module")
def measured(
    named: Interpreter, maps_before: set[Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Measured, Plan]:
    """A person's own application, counted once each way."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "measured_shop.py").write_text(APPLICATION)
    own = prepare("measured_shop:app", folder, ("/thing",), None, ("hypercorn",))
    (stack,) = own.stacks.values()
    case = next(iter(own.scenarios.values())).loads[0].case
    python = interpreter.environment(named, False, lambda line: None)
    plan = Plan(python, named.named, REQUESTS, repeats=1)
    (one,) = measure([Subject(stack, {case.name: case})], plan)
    return one, plan


@counts
@pytest.mark.timeout(300)
def test_every_instruction_has_its_owner(measured: tuple[Measured, Plan]) -> None:
    """The tree adds up to what callgrind says; what nobody owns is below 1 %; the loop of 20,000
    turns is the application's own; and without trampolines it costs less."""
    one, _ = measured
    profiled, plain = one.profiles["GET /thing"], one.plain["GET /thing"]
    (total,) = profiled.totals
    found = by_function(mean(profiled.trees))
    assert sum(totals.own for totals in found.values()) == pytest.approx(total, rel=1e-9)
    by_name = {(one.module, one.name): totals for one, totals in found.items()}
    nobody = [totals.own for one, totals in found.items() if one.kind is CostKind.NOBODY]
    assert sum(nobody) < 0.01 * total
    work, app = by_name["measured_shop", "work"], by_name["measured_shop", "app"]
    assert work.calls == 1.0
    assert work.own > 20_000 * 4
    assert app.inclusive > work.inclusive > app.own
    assert by_name["h11._connection", "Connection.next_event"].own > 0
    assert total > plain[0].instructions > work.own
    assert one.versions["hypercorn"]


@counts
@pytest.mark.timeout(300)
def test_no_map_is_left_behind(measured: tuple[Measured, Plan], maps_before: set[Path]) -> None:
    """What CPython writes into /tmp is taken away again, whatever pid it was of."""
    left = [path for path in _maps() - maps_before if "measured_shop" in _text(path)]
    assert left == []


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # somebody else's
        return ""


@counts
@pytest.mark.timeout(300)
def test_the_rows_say_what_was_counted(
    measured: tuple[Measured, Plan], named: Interpreter, tmp_path: Path
) -> None:
    """Three tables that agree: own costs of functions and of paths both add up to the total."""
    one, plan = measured
    for _ in range(2):  # in place of what was there
        rows.write(tmp_path, [one], plan, named)
    (total,) = read_table(tmp_path, COST_TOTALS)
    assert (total["python"], total["named"]) == (named.version, True)
    assert (total["requests"], total["repeats"], total["plain_repeats"]) == (REQUESTS, 1, 1)
    assert total["spread"] is None
    costs, tree = list(read_table(tmp_path, COSTS)), list(read_table(tmp_path, COST_TREE))
    whole = _number(total, "instructions")
    assert sum(_number(row, "own_instructions") for row in costs) == pytest.approx(whole)
    assert sum(_number(row, "own_instructions") for row in tree) == pytest.approx(whole)
    assert sum(_number(row, "share") for row in costs) == pytest.approx(1.0, abs=1e-3)
    assert [row["node"] for row in tree] == list(range(len(tree)))
    assert all(
        row["parent"] is None or _number(row, "parent") < _number(row, "node") for row in tree
    )


def _number(row: Row | Mapping[str, object], column: str) -> float:
    value = row[column]
    assert isinstance(value, int | float)
    return float(value)


@counts
@pytest.mark.timeout(300)
def test_a_function_that_grew_by_two_per_cent_is_named_first(
    measured: tuple[Measured, Plan], named: Interpreter, tmp_path: Path
) -> None:
    """The same application with 400 more turns in its 20,000: of all functions of the request that
    one differs most, and by the 400 turns' share of it."""
    before, plan = measured
    (tmp_path / "measured_shop.py").write_text(APPLICATION.replace("20_000", "20_400"))
    stack = _stack("measured_shop", tmp_path, "hypercorn")
    only_named = replace(plan, plain=False)
    (after,) = measure([Subject(stack, before.subject.cases)], only_named)
    for name, one in (("old", before), ("new", after)):
        rows.write(tmp_path / name, [one], only_named, named)
    costs = beside(read(tmp_path / "old"), read(tmp_path / "new"), ("old", "new"))
    sides = [(f"{stack.name} ({name})", "GET /thing") for name in ("new", "old")]
    first = differences(costs, sides[0], sides[1], "function")[0]
    assert first.name == "measured_shop.work"
    assert first.one / first.other == pytest.approx(1.02, abs=0.001)


CHANGING = APPLICATION.replace("20_000", "MINE").replace(
    "TURNS",
    "with open(__file__, 'a') as file:\n"
    "    file.write('#' * 20_000 + chr(10))\n"
    "    file.flush()\n"
    "    MINE = file.tell()  # where its own line ends, beside another process, too\n"
    "TURNS",
    1,
)
"""An application that has more to do each time that it is started."""


@counts
@pytest.mark.timeout(300)
def test_a_python_that_names_nothing_still_tells_c_apart(tmp_path: Path) -> None:
    """Here the one of this environment is used as if it named nothing, as 3.11 does not. What does
    not repeat is counted once more, and no more often."""
    (tmp_path / "unnamed_shop.py").write_text(CHANGING)
    stack = _stack("unnamed_shop", tmp_path, "uvicorn")
    plan = Plan(Path(sys.executable), False, REQUESTS, repeats=2, most=3)
    (one,) = measure([Subject(stack, {CASE.name: CASE})], plan)
    profiled = one.profiles[CASE.name]
    first, second, third = profiled.totals
    assert len({first, second, third}) == 3
    found = by_function(profiled.trees[0])
    assert sum(totals.own for totals in found.values()) == pytest.approx(first)
    kinds = {function.kind for function in found}
    assert CostKind.INTERPRETER in kinds
    assert CostKind.PYTHON not in kinds
    evaluated = [t.own for f, t in found.items() if f.name.startswith("_PyEval_EvalFrameDefault")]
    assert sum(evaluated) > 20_000 * 4
    assert one.plain[CASE.name] == ()


def test_byte_code_is_written_before_anything_is_counted(tmp_path: Path) -> None:
    """So that the first process that is counted finds it, as the others do."""
    (tmp_path / "fresh_shop.py").write_text(APPLICATION)
    stack = _stack("fresh_shop", tmp_path, "hypercorn")
    written = tmp_path / "__pycache__" / f"fresh_shop.{sys.implementation.cache_tag}.pyc"
    assert not written.exists()
    compiled(Subject(stack, {CASE.name: CASE}), Plan(Path(sys.executable), False))
    assert written.is_file()


def test_a_python_that_does_not_run_is_said_so(tmp_path: Path) -> None:
    """By its name, with what to do; one that says nothing of the kind is none."""
    with pytest.raises(HarnessError, match="no-python does not run; name a Python"):
        choose(str(tmp_path / "no-python"))
    script = tmp_path / "talks"
    script.write_text("#!/bin/sh\necho hello\n")
    script.chmod(0o755)
    assert look_at(script) is None


def test_the_python_that_is_named_is_taken() -> None:
    """Though another one might name its functions."""
    chosen = choose(sys.executable)
    assert chosen.path == Path(sys.executable)
    assert chosen.version.startswith(".".join(map(str, sys.version_info[:3])))
    assert chosen.named is (sys.version_info >= (3, 12))


def test_the_map_is_where_python_writes_it() -> None:
    """CPython takes no notice of TMPDIR."""
    assert perf_map.path_of(123).parts == ("/", "tmp", "perf-123.map")
