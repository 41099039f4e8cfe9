"""The tests that take most of the CPU time of all: `make test` leaves them to `make test-long`.

One test in seven takes three fifths of the time. They are chosen by file, by what the files took,
so that the choice stands in one place; `.ci/run` runs both kinds.
"""

from __future__ import annotations

from pathlib import Path

LONG = frozenset(
    {
        # Counts under valgrind, in which a server is some fifty times as slow.
        "tests/loadtests/observe/test_callgrind.py",
        "tests/loadtests/regression/layers/test_instructions.py",
        "tests/loadtests/why/instructions/test_counts.py",
        "tests/loadtests/why/test_measure.py",
        # The regression check as a whole, and its sides' environments.
        "tests/loadtests/regression/layers/test_facts.py",
        "tests/loadtests/regression/layers/test_started.py",
        "tests/loadtests/regression/sides/test_equal_paths.py",
        "tests/loadtests/regression/sides/test_packages.py",
        "tests/loadtests/regression/test_action.py",
        "tests/loadtests/regression/test_check.py",
        "tests/loadtests/regression/test_interrupted.py",
        "tests/loadtests/regression/test_seeded.py",
        # Simulations: hundreds of tables and searches, whose truth is known.
        "tests/results/regression/test_simulated.py",
        "tests/results/stats/intervals/test_blocks.py",
        "tests/results/stats/queueing/test_queues.py",
        "tests/results/stats/queueing/test_rate_limit.py",
        # A bench for each of many faults.
        "tests/loadtests/bench/test_bad_days.py",
        "tests/loadtests/bench/test_interrupted.py",
        "tests/loadtests/distributed/test_fleet.py",
        "tests/loadtests/distributed/test_joining.py",
        "tests/loadtests/distributed/test_network.py",
        "tests/loadtests/distributed/test_strangers.py",
        "tests/loadtests/hosts/test_machine_limits.py",
        "tests/loadtests/rows/test_edited_folders.py",
        "tests/loadtests/rows/test_folder_lock.py",
        "tests/loadtests/services/test_bad_days.py",
        "tests/loadtests/services/test_secrets.py",
        # A bench for each of many applications, settings or managers.
        "tests/loadtests/bench/test_managed.py",
        "tests/loadtests/bench/test_more_rounds.py",
        "tests/loadtests/bench/test_own_slices.py",
        "tests/loadtests/scenarios/custom/test_answers.py",
        "tests/loadtests/scenarios/custom/test_examples.py",
        "tests/loadtests/scenarios/custom/test_shapes.py",
        "tests/servers/managers/test_managed.py",
        # What a change touches, tried in a copy of the tree.
        "tests/walks/test_new_load_model.py",
        "tests/walks/test_new_metric.py",
        "tests/walks/test_new_scenario.py",
        "tests/walks/test_new_stack.py",
        "tests/walks/test_new_warning.py",
    }
)
"""By path from the root of the project."""


def is_long(path: Path, root: Path) -> bool:
    """Whether the tests of a file are long."""
    return path.relative_to(root).as_posix() in LONG
