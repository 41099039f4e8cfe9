"""A new Warning touches two files: its threshold with its words, and its check. It is raised."""

from __future__ import annotations

from pathlib import Path

from loopbench.results.schema import RUNS
from loopbench.results.schema.files import open_text
from tests.walks.scratch import Scratch

WORDS = "results/schema/warnings.py"
CHECKS = "loadtests/rows/warning_checks.py"

WORDING = """    Code.MANY_REQUESTS: Wording(
        f"{MANY_REQUESTS} requests or more were measured",
        "this is about a walk through the house",
        "nothing",
        LOAD_TIMES,
    ),
"""


def test_a_warning_is_its_words_and_its_check(tmp_path: Path) -> None:
    """It stands in runs.csv, and in words in the table and the report."""
    scratch = Scratch(tmp_path / "tree")
    scratch.put(WORDS, "FEW_REQUESTS = 100\n", "MANY_REQUESTS = 3\n")
    scratch.put(
        WORDS, '    FEW_REQUESTS = "few-requests"\n', '    MANY_REQUESTS = "many-requests"\n'
    )
    scratch.put(WORDS, "    Code.FEW_REQUESTS: Wording(\n", WORDING)
    scratch.put(CHECKS, "    FEW_REQUESTS,\n", "    MANY_REQUESTS,\n")
    check = "    Code.MANY_REQUESTS: lambda seen: (seen.requests or 0) >= MANY_REQUESTS,\n"
    scratch.put(CHECKS, "    Code.FEW_REQUESTS: lambda", check)
    assert scratch.edited == {WORDS, CHECKS}
    folder = scratch.bench("async-1")
    with open_text(folder / RUNS.filename) as handle:
        assert "many-requests" in handle.read()
    assert "3 requests or more were measured" in scratch.run("results", "show", "run")
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "`many-requests`: 3 requests or more were measured." in report
