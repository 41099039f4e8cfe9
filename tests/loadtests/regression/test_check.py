"""A check writes what it measured, and why it did not measure the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe.callgrind import missing
from loopbench.loadtests.regression.check import measure
from loopbench.loadtests.regression.folder import Folder
from loopbench.loadtests.regression.layers import facts, instructions
from loopbench.loadtests.regression.measuring import not_compared
from loopbench.loadtests.regression.sides.sides import Role, Side, look
from loopbench.loadtests.regression.wish import Wish, cells_of
from loopbench.results.schema import FACTS, INSTRUCTIONS, SCHEMA_VERSION, read_table
from loopbench.results.schema.regression import BROKEN_OFF, SIDES_FILE, TABLE_OF, Layer
from loopbench.servers.contract.cases import CASES
from tests.conftest import ROOT
from tests.loadtests.regression.trees import (
    STACKS,
    UNSTARTABLE,
    ask_few_limits,
    edited,
    python,
    with_few_cases,
)

PYTHON = Path(sys.executable)
FAST = ("asyncio",)
"""What is measured where it does not matter of which stack: it starts in half of the CPU time,
under valgrind, too."""


def _say(line: str) -> None:
    pass


def _wish(*layers: Layer, stacks: tuple[str, ...] = FAST) -> Wish:
    return Wish(layers=layers, stacks=stacks, cells=((stacks[0], "async"),), seed=1)


def _check(wish: Wish, sides: Sequence[Side], path: Path) -> dict[str, Any]:
    folder = Folder(path, ("python", "-m", "loadtests"), sides)
    folder.begin(wish.layers)
    measure(wish, sides, folder, _say)
    return _written(path)


def _written(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((path / SIDES_FILE).read_text())
    return document


@pytest.fixture(scope="module")
def sides() -> list[Side]:
    """This tree, twice, with few of its Cases."""
    return [with_few_cases(look(role, "this tree", ROOT, PYTHON, FAST)) for role in Role]


@dataclass(frozen=True)
class Checked:
    """A check that has ended. begun: by layer, whether the facts were there at its first line."""

    folder: Folder
    begun: dict[str, bool]


@pytest.fixture(scope="module")
def checked(sides: list[Side], tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """Facts of both sides, and beside them the instructions of one route."""
    begun: dict[str, bool] = {}
    folder = Folder(tmp_path_factory.mktemp("checked"), ("python", "-m", "loadtests"), sides)

    def say(line: str) -> None:  # the first line of a layer; a busy machine may cause more
        begun.setdefault(line.split(":")[0], folder.layers[Layer.FACTS].run)

    wish = replace(
        _wish(Layer.FACTS, Layer.INSTRUCTIONS),
        routes=("plain",),
        counts=instructions.Plan(requests=3, repeats=1, most=1),
    )
    with pytest.MonkeyPatch.context() as patch:
        ask_few_limits(patch)
        folder.begin(wish.layers)
        measure(wish, sides, folder, say)
    return Checked(folder, begun)


def test_a_layer_that_was_measured_and_those_that_were_not_asked(checked: Checked) -> None:
    """Both sides' rows are there, and sides.json says what they are without naming a place."""
    document = _written(checked.folder.path)
    assert document["schema_version"] == SCHEMA_VERSION
    assert list(document["sides"]) == ["base", "candidate"]
    assert document["layers"]["facts"]["run"] is True
    assert document["layers"]["facts"]["bound"]["stacks"] == list(FAST)
    for layer in document["layers"].keys() - {"facts", "instructions"}:
        assert document["layers"][layer] == {"run": False, "why_not": "not asked", "bound": {}}
    rows = list(read_table(checked.folder.path, FACTS))
    base, candidate = (
        [row for row in rows if row["side"] == side] for side in ("base", "candidate")
    )
    names = [
        {(row["stack"], row["subject"], row["fact"]) for row in one} for one in (base, candidate)
    ]
    assert names[0] == names[1] != set()
    assert facts.differing(base, candidate) == set()
    assert str(ROOT) not in json.dumps(document)


def test_a_folder_that_holds_a_check_is_not_written_over(sides: list[Side], tmp_path: Path) -> None:
    """What was measured stays as it is."""
    (tmp_path / SIDES_FILE).write_text("{}")
    with pytest.raises(HarnessError, match="holds a check already"):
        Folder(tmp_path, (), sides).begin([Layer.FACTS])
    assert (tmp_path / SIDES_FILE).read_text() == "{}"


def test_a_base_that_does_not_start(tmp_path: Path) -> None:
    """The layer is not measured, with the side and its last line as the reason."""
    broken = look(Role.BASE, "v0", edited(tmp_path, UNSTARTABLE), PYTHON, STACKS)
    whole = look(Role.CANDIDATE, "this tree", ROOT, PYTHON, STACKS)
    wish = _wish(Layer.FACTS, stacks=STACKS)
    document = _check(wish, [broken, whole], tmp_path / "folder")
    told = document["layers"]["facts"]
    assert told["run"] is False
    assert told["why_not"].startswith("base (v0): ")
    assert "this tree is broken" in told["why_not"]
    assert "\n" not in told["why_not"]
    assert not (tmp_path / "folder" / FACTS.filename).exists()


def test_a_machine_without_valgrind(
    sides: list[Side], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layer says what is missing and how to get it; nothing is counted some other way."""
    monkeypatch.setenv("PATH", str(tmp_path))
    document = _check(_wish(Layer.INSTRUCTIONS), sides, tmp_path / "folder")
    told = document["layers"]["instructions"]
    assert told["run"] is False
    assert told["why_not"] == (
        "instructions cannot be counted: valgrind, vgdb, setarch, taskset, chrt not found; "
        "install util-linux, valgrind"
    )


def test_cases_whose_requests_differ_are_not_compared(sides: list[Side]) -> None:
    """The name is the same, the question is not: it is listed, and neither counted nor loaded."""
    other = replace(CASES["plain"], request=replace(CASES["plain"].request, target="/plain?x=1"))
    changed = replace(sides[0], cases={**sides[0].cases, "plain": other})
    assert not_compared(sides) == []
    assert not_compared([changed, sides[1]]) == ["plain"]
    assert cells_of(("a",)) == tuple(("a", case) for case in ("async", "sync", "plain", "form"))


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_instructions_are_counted_beside_the_facts(checked: Checked) -> None:
    """Both are whole, and the counts have begun before the facts are there."""
    asked = {Layer.FACTS, Layer.INSTRUCTIONS}
    assert {layer for layer, state in checked.folder.layers.items() if state.run} == asked
    assert checked.begun == {"facts": False, "instructions": False}
    counted = list(read_table(checked.folder.path, INSTRUCTIONS))
    assert [(row["side"], row["route"]) for row in counted] == [
        ("base", "plain"),
        ("candidate", "plain"),
    ]


@pytest.mark.parametrize(
    ("layers", "roles", "stacks"),
    [
        ("(Layer.FACTS,)", "Role", STACKS),  # those of a fast stack may be there before the signal
        # A server of one side under valgrind takes as long to start as all the rest.
        ("(Layer.FACTS, Layer.INSTRUCTIONS)", "[Role.CANDIDATE]", FAST),
    ],
)
def test_an_interrupted_check_says_so(
    layers: str, roles: str, stacks: tuple[str, ...], tmp_path: Path
) -> None:
    """Ctrl-C in the middle of a layer: it counts as broken off, as does what is counted beside
    it, and no server is left."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from loopbench.loadtests.regression.check import measure\n"
        "from loopbench.loadtests.regression.wish import Wish\n"
        "from loopbench.loadtests.regression.folder import Folder, Layer\n"
        "from loopbench.results.schema import ROOT\n"
        "from loopbench.loadtests.regression.sides.sides import Role, look\n"
        f"roles = {roles}\n"
        f"sides = [look(role, 'x', ROOT, Path(sys.executable), {stacks}) for role in roles]\n"
        f"folder = Folder(Path({str(tmp_path)!r}), (), sides)\n"
        f"wish = Wish({layers}, {stacks}, (), 1)\n"
        "folder.begin(wish.layers)\n"
        "measure(wish, sides, folder, lambda line: print(line, flush=True))\n"
    )
    with python(program) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(("facts: ", "instructions: "))
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=240)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in said
    for layer, told in _written(tmp_path)["layers"].items():
        asked = layer.upper() in layers
        assert told["why_not"] == (BROKEN_OFF if asked else "not asked")
        # Parts of the facts may be there by now.
        assert told["run"] == os.path.exists(tmp_path / TABLE_OF[Layer(layer)].filename)
    assert not os.path.exists(tmp_path / INSTRUCTIONS.filename)


def test_a_layer_that_ended_beside_an_interrupted_one_is_whole(
    sides: list[Side], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How it ended is written at once: here that there is nothing to count with."""
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = Folder(tmp_path / "folder", (), sides)

    def say(line: str) -> None:
        if line.startswith("facts: "):
            while folder.layers[Layer.INSTRUCTIONS].why_not == BROKEN_OFF:
                time.sleep(0.01)
            raise KeyboardInterrupt

    wish = _wish(Layer.FACTS, Layer.INSTRUCTIONS)
    folder.begin(wish.layers)
    with pytest.raises(KeyboardInterrupt):
        measure(wish, sides, folder, say)
    layers = _written(folder.path)["layers"]
    assert layers["facts"]["why_not"] == BROKEN_OFF
    assert layers["instructions"]["why_not"].startswith("instructions cannot be counted: valgrind")


_ROUNDS = """
import sys
from pathlib import Path
from loopbench.loadtests.regression import check, command, measuring
from loopbench.loadtests.regression.folder import Folder, Layer
from loopbench.loadtests.regression.sides.sides import Role, look
from loopbench.loadtests.regression.wish import Wish
from loopbench.results.schema import ROOT

measuring.MIN_ROUNDS = 1
sides = [look(role, "x", ROOT, Path(sys.executable), {stacks}) for role in Role]
folder = Folder(Path({path!r}), (), sides)
wish = Wish((Layer.TIME,), {stacks}, (({stacks}[0], "async"),), 1, rounds=20, yardstick=())
folder.begin(wish.layers)
try:
    check.measure(wish, sides, folder, lambda line: print(line, flush=True))
except KeyboardInterrupt:
    command._interrupted(folder)
"""


def test_rounds_that_ended_before_an_interrupt_can_be_judged(tmp_path: Path) -> None:
    """As many as were whole are the Rounds of the layer, which says that there are no more; the
    command that judges them is printed, and works."""
    with python(_ROUNDS.format(stacks=FAST, path=str(tmp_path))) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("time: Round 2 "):
                break
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    told = _written(tmp_path)["layers"]["time"]
    assert (told["run"], told["why_not"]) == (True, BROKEN_OFF)
    assert told["bound"]["rounds"] == 1
    assert told["bound"]["cells"] == [[FAST[0], "async"]]
    begin = "interrupted; what was measured is kept; it is judged by: "
    last = said.splitlines()[-1]
    assert last.startswith(begin)
    assert last.endswith(f" regression {tmp_path}")
    command = [sys.executable, "-m", "results", "regression", str(tmp_path)]
    judged = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert judged.returncode == 2
    assert f"Not judged: time: the rest of it: {BROKEN_OFF}" in judged.stdout


def test_a_layer_that_fails_keeps_what_was_kept_of_it(sides: list[Side], tmp_path: Path) -> None:
    """With the settings of that; one that was not kept has nothing."""
    folder = Folder(tmp_path, (), sides)
    folder.begin([Layer.TIME, Layer.TAILS])
    folder.kept(Layer.TIME, {"rounds": 7})
    for layer in (Layer.TIME, Layer.TAILS):
        folder.failed(layer, "the load generator has ended", {"rounds": 24})
    layers = _written(tmp_path)["layers"]
    why_not = "the load generator has ended"
    assert layers["time"] == {"run": True, "why_not": why_not, "bound": {"rounds": 7}}
    assert layers["tails"] == {"run": False, "why_not": why_not, "bound": {"rounds": 24}}
    assert not any(state.whole for state in folder.layers.values())
