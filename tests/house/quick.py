"""The tests that `make test-quick` runs: of tables and texts, the contract on every stack, and the
asking of Questions; some of each package.

They are chosen by file, so that the choice stands in one place. What is not here starts a bench,
a browser, or a process for each test. On two CPUs that sixteen other programs wanted, they took
84 s of CPU in all, imports included.
"""

from __future__ import annotations

from pathlib import Path

QUICK = frozenset(
    {
        "tests/loadtests/behaviour/test_asking.py",
        "tests/loadtests/behaviour/test_parsing.py",
        "tests/loadtests/bench/test_plan.py",
        "tests/loadtests/distributed/test_options.py",
        "tests/loadtests/distributed/test_shares.py",
        "tests/loadtests/hosts/test_cpus.py",
        "tests/loadtests/observe/test_machine_cpu.py",
        "tests/loadtests/rows/test_histogram.py",
        "tests/loadtests/rows/test_probe_rows.py",
        "tests/loadtests/rows/test_results_folder.py",
        "tests/loadtests/rows/test_run_rows.py",
        "tests/loadtests/rows/test_timeline_rows.py",
        "tests/loadtests/rows/test_warning_checks.py",
        "tests/loadtests/scenarios/test_arrivals.py",
        "tests/loadtests/scenarios/test_table.py",
        "tests/loadtests/why/attribution/test_attribution.py",
        "tests/results/folder/test_documents.py",
        "tests/results/folder/test_reading.py",
        "tests/results/regression/layers/test_timing.py",
        "tests/results/regression/test_verdict.py",
        "tests/results/report/sections/test_moving.py",
        "tests/results/stats/test_bottleneck.py",
        "tests/results/stats/test_capacity.py",
        "tests/results/stats/comparisons/test_compare_facts.py",
        "tests/results/stats/test_formatting.py",
        "tests/results/stats/comparisons/test_framework_split.py",
        "tests/results/stats/intervals/test_location.py",
        "tests/results/stats/summaries/test_summary.py",
        "tests/results/why/test_why.py",
        "tests/servers/apps/test_handlers.py",
        "tests/servers/contract/test_contract.py",
        "tests/servers/lifecycle/test_parity.py",
        "tests/servers/probe/stalls/test_causes.py",
        "tests/servers/supervision/test_messages.py",
        "tests/servers/test_stacks.py",
    }
)
"""By path from the root of the project."""


def is_quick(path: Path, root: Path) -> bool:
    """Whether the tests of a file are quick."""
    return path.relative_to(root).as_posix() in QUICK
