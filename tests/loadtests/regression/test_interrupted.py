"""A check that is interrupted in the middle of a layer keeps the parts that were whole."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loopbench.results.schema import FACTS, MEMORY, SIDE_ANSWERS, TAILS, Table, read_table
from loopbench.results.schema.regression import BROKEN_OFF, SIDES_FILE
from tests.conftest import ROOT
from tests.loadtests.regression.trees import python

_CHECK = """
import os, signal, sys
from functools import partial
from pathlib import Path
from loopbench.loadtests.regression import check, command, parts
from loopbench.loadtests.regression.folder import Folder, Layer
from loopbench.loadtests.regression.layers import limits, memory, started, tails
from loopbench.loadtests.regression.sides.sides import Role, look
from loopbench.loadtests.regression.wish import Wish
from loopbench.results.schema import ROOT
from tests.loadtests.regression.trees import with_few_cases

stacks = {stacks}
limits.SIZES, limits.BODIES, started.QUESTIONS = {{}}, {{}}, ()
sides = [look(role, "x", ROOT, Path(sys.executable), stacks) for role in Role]
sides = [with_few_cases(side) for side in sides]
folder = Folder(Path({path!r}), (), sides)
cells = tuple((stack, "plain") for stack in stacks)
wish = Wish(({layer},), stacks, cells, 1, questions={questions})
folder.begin(wish.layers)


def interrupt_at(stack, what):
    # Both sides are in the middle of their work: one thread of each.
    add, there = parts.Parts.add, set()

    def then(self, side, part):
        add(self, side, part)
        if part.name == (stack, what):
            there.add(side.role)
            if len(there) == len(sides):
                os.kill(os.getpid(), signal.SIGINT)

    parts.Parts.add = then


{more}
try:
    check.measure(wish, sides, folder, lambda line: print(line, flush=True))
except KeyboardInterrupt:
    command._interrupted(folder)
"""
STACKS = ("asyncio", "aiohttp")


def _interrupted(folder: Path, layer: str, more: str = "") -> Mapping[str, Any]:
    """What sides.json says of a layer that interrupts itself. more: a line of the program."""
    program = _CHECK.format(
        stacks=STACKS, path=str(folder), layer=f"Layer.{layer}", more=more, questions=()
    )
    with python(program) as process:
        _, said = process.communicate(timeout=240)
    assert process.returncode == 130, said
    assert "what was measured is kept; it is judged by: " in said
    return _told(folder, layer)


def _told(folder: Path, layer: str) -> Mapping[str, Any]:
    told: Mapping[str, Any] = json.loads((folder / SIDES_FILE).read_text())["layers"][layer.lower()]
    assert (told["run"], told["why_not"]) == (True, BROKEN_OFF)
    return told


def _names(folder: Path, table: Table, column: str) -> list[set[tuple[str, str]]]:
    """Stack and value of a column in the rows of the base, and those of the candidate."""
    rows = list(read_table(folder, table))
    return [
        {(str(row["stack"]), str(row[column])) for row in rows if row["side"] == side}
        for side in ("base", "candidate")
    ]


def _judged(folder: Path) -> str:
    """What is said of the folder, on lines of any length; its status is "cannot tell"."""
    command = [sys.executable, "-m", "results", "regression", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stdout + done.stderr
    return re.sub(r"\s+", " ", done.stdout)


def test_facts_of_a_stack_that_was_whole_are_judged(tmp_path: Path) -> None:
    """They are the same; what was not reached of the other stack is named, with how to have it,
    and none of it is taken for gone."""
    more = 'interrupt_at("asyncio", "limits and connections")'
    told = _interrupted(tmp_path, "FACTS", more)
    left = [("aiohttp", "answers"), ("aiohttp", "threads, loops and blocking")]
    assert [tuple(one) for one in told["bound"]["not_reached"]][:2] == left
    assert told["bound"]["stacks"] == list(STACKS)
    base, candidate = _names(tmp_path, FACTS, "fact")
    assert base == candidate
    assert {"status", "thread", "descriptors"} <= {fact for _, fact in base}
    assert {stack for stack, _ in base} == {"asyncio"}
    said = _judged(tmp_path)
    assert "40 facts: 40 same" in said
    assert "missing" not in said
    assert "CANNOT TELL: aiohttp not-run: not reached: answers, threads, " in said
    again = "LAYERS=facts, or --layer facts, measures it again"
    assert f"Not judged: facts: the rest of it: {BROKEN_OFF} ({again})" in said
    assert "Not judged: facts: aiohttp, not reached: answers, threads, loops and blocking" in said


def test_memory_of_subjects_that_were_whole_is_judged(tmp_path: Path) -> None:
    """A subject is whole with the last of its repeats on both sides."""
    more = 'memory.REQUESTS = 5; interrupt_at("asyncio", "sync")'
    told = _interrupted(tmp_path, "MEMORY", more)
    base, candidate = _names(tmp_path, MEMORY, "subject")
    assert base == candidate >= {("asyncio", "plain"), ("asyncio", "sync")}
    left = {tuple(one) for one in told["bound"]["not_reached"]}
    assert ("aiohttp", "plain") in left and not left & base
    rows = list(read_table(tmp_path, MEMORY))
    assert len(rows) == 2 * 2 * len(base)
    assert f"memory: {2 * len(base)} figures: " in _judged(tmp_path).replace("Memory ", "memory: ")


def test_tails_of_cells_that_were_whole_are_judged(tmp_path: Path) -> None:
    """A cell is whole with the last of its batches."""
    more = (
        "tails.Plan = partial(tails.Plan, batches=2, requests=5)\n"
        "kept = Folder.kept\n"
        "def then(self, layer, bound):\n"
        "    kept(self, layer, bound)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "Folder.kept = then\n"
    )
    told = _interrupted(tmp_path, "TAILS", more)
    assert told["bound"]["not_reached"] == [["aiohttp", "plain"]]
    assert _names(tmp_path, TAILS, "case") == [{("asyncio", "plain")}] * 2
    said = _judged(tmp_path)
    assert "Tails 1 cells: 1 " in said
    assert "Not judged: tails: aiohttp, not reached: plain" in said


QUICK, LONG = "dispatch.sync-route", "blocking.websocket-unread"


@pytest.mark.parametrize("group", [False, True])
def test_questions_that_both_sides_answered_are_judged(
    tmp_path: Path, group: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base has answered both, and the candidate the quick one, when it is told to stop. Ctrl-C
    at a terminal comes to every process of the group at once."""
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")  # the log has each answer at once
    program = _CHECK.format(
        stacks=("aiohttp",),
        path=str(tmp_path),
        layer="Layer.BEHAVIOUR",
        more="os.setpgid(0, 0)",
        questions=(QUICK, LONG),
    )
    with python(program) as process:
        deadline = time.monotonic() + 240
        while _answers(tmp_path / "log.txt") < 2 and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.01)
        (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    told = _told(tmp_path, "BEHAVIOUR")
    assert {tuple(one)[1].partition(" ")[0] for one in told["bound"]["not_reached"]} == {LONG}
    assert _names(tmp_path, SIDE_ANSWERS, "question") == [{("aiohttp", QUICK)}] * 2
    judged = _judged(tmp_path)
    assert "Behaviour 1 answers: 1 same" in judged
    assert f"Not judged: behaviour: aiohttp, not reached: {LONG} " in judged


def _answers(log: Path) -> int:
    """How often the quick question has been answered."""
    return log.read_text().count(f"{QUICK} aiohttp") if log.exists() else 0
