"""The tests that `make test-quick` runs: of tables and texts, and of servers that start once.

They are chosen by file, so that the choice stands in one place. What is not here starts a bench,
a browser, or several processes.
"""

from __future__ import annotations

from pathlib import Path

QUICK = frozenset(
    {
        "tests/loadtests/distributed/test_options.py",
        "tests/loadtests/test_arrivals.py",
        "tests/loadtests/test_cpus.py",
        "tests/loadtests/test_doubts.py",
        "tests/loadtests/test_histogram.py",
        "tests/loadtests/test_plan.py",
        "tests/loadtests/test_probe_rows.py",
        "tests/loadtests/test_rows.py",
        "tests/loadtests/test_scenarios.py",
        "tests/loadtests/test_store.py",
        "tests/loadtests/test_timeline_rows.py",
        "tests/results/test_capacity.py",
        "tests/results/test_compare_facts.py",
        "tests/results/test_documents.py",
        "tests/results/test_figures.py",
        "tests/results/test_limit.py",
        "tests/results/test_moving.py",
        "tests/results/test_reading.py",
        "tests/results/test_split.py",
        "tests/results/test_summary.py",
        "tests/servers/test_parity.py",
    }
)
"""By path from the root of the project."""


def is_quick(path: Path, root: Path) -> bool:
    """Whether the tests of a file are quick."""
    return path.relative_to(root).as_posix() in QUICK
