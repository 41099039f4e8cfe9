"""What `results compare` says of threads, loops and answers that changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from loopbench.results.folder import folder as folders
from loopbench.results.schema import BEHAVIOUR, ENVIRONMENT_FILE, OBSERVATIONS, Row
from loopbench.results.stats.comparisons.compare import Difference, differences
from loopbench.results.stats.comparisons.compare_facts import otherwise
from tests.conftest import ROOT
from tests.results.examples import report_folder
from tests.results.examples.folders import put


def _answer(setting: str, answer: str, *, varies: bool = False) -> Row:
    return {
        "question": "order.hooks",
        "topic": "Order",
        "asks": "In which order?",
        "stack": "aiohttp",
        "setting": setting,
        "answer": answer,
        "evidence": "seen",
        "varies": varies,
        "took_s": 0.1,
        "versions": "aiohttp 1.0",
        "python": "3.11.7",
    }


def _folders(tmp_path: Path) -> tuple[Path, Path]:
    """The same rows, but a sync route on the loop, and one answer another, in the second."""
    one, other = (report_folder.write(tmp_path / name) for name in ("one", "other"))
    moved = [
        {**row, "is_loop_thread": True, "loop_class": report_folder.LOOP}
        if row["route"] == "sync" and "aiohttp" in str(row["run_id"])
        else row
        for row in report_folder.observation_rows()
    ]
    put(other, OBSERVATIONS, moved)
    for folder, answer in ((one, "in, out"), (other, "out, in")):
        put(
            folder,
            BEHAVIOUR,
            [
                _answer("default", answer),
                _answer("same", "equal"),
                _answer("odd", answer, varies=True),
            ],
        )
    return one, other


def test_facts_that_changed_are_told_before_and_after(tmp_path: Path) -> None:
    """Not those that are equal, and not an answer that varies by itself."""
    one, other = _folders(tmp_path)
    assert otherwise(folders.load(one), folders.load(other)) == (
        Difference(
            "aiohttp sync ran on",
            "a worker thread, no loop",
            f"the loop's thread, {report_folder.LOOP}",
        ),
        Difference("order.hooks, aiohttp", "in, out", "out, in"),
    )
    assert otherwise(folders.load(one), folders.load(one)) == ()


def test_stacks_that_only_one_run_has_are_no_difference_of_the_occasions(tmp_path: Path) -> None:
    """Nor is what they have otherwise than the others; a setting of a stack of both is one."""
    runs = []
    for name, backlog, stacks in (
        ("one", 2048, ("aiohttp", "asyncio")),
        ("other", 9, ("aiohttp",)),
    ):
        path = report_folder.write(tmp_path / name)
        file = path / ENVIRONMENT_FILE
        environment = json.loads(file.read_text())
        environment["stacks"] = {stack: environment["stacks"][stack] for stack in stacks}
        environment["stacks"]["aiohttp"]["in_force"]["backlog"] = backlog
        environment["parity"] = {"reference": name, "differences": [{"stack": stacks[-1]}]}
        file.write_text(json.dumps(environment))
        runs.append(folders.load(path))
    assert differences(*runs) == (Difference("stacks.aiohttp.in_force.backlog", "2048", "9"),)


def test_the_comparison_prints_them(tmp_path: Path) -> None:
    """Under a heading of their own, below the figures."""
    one, other = _folders(tmp_path)
    command = [sys.executable, "-m", "results", "compare", str(one), str(other)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Other differences between the stacks:" in done.stdout
    assert "order.hooks, aiohttp: in, out in the first, out, in in the second" in done.stdout
