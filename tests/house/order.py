"""The order in which the workers of `make test` are handed files: those that take longest first.

A worker takes a file at a time (`--dist loadfile`), so that the servers which its tests share are
started once, and the next one as soon as it is done. What begins late must be short: a long file
that comes last leaves the other workers without work for as long as it takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeVar

LONGEST = (
    "tests/servers/contract/test_data.py",
    "tests/loadtests/why/test_measure.py",
    "tests/loadtests/regression/test_seeded.py",
    "tests/loadtests/behaviour/test_published.py",
    "tests/loadtests/scenarios/custom/test_scenarios.py",
    "tests/results/stats/queueing/test_rate_limit.py",
    "tests/loadtests/regression/layers/test_facts.py",
    "tests/loadtests/scenarios/custom/test_answers.py",
    "tests/loadtests/scenarios/custom/test_shapes.py",
    "tests/loadtests/scenarios/custom/test_examples.py",
    "tests/loadtests/regression/test_check.py",
    "tests/servers/managers/test_managed.py",
    "tests/loadtests/distributed/test_fleet.py",
    "tests/loadtests/regression/test_command.py",
    "tests/loadtests/regression/sides/test_equal_paths.py",
    "tests/loadtests/regression/layers/test_instructions.py",
    "tests/results/regression/test_simulated.py",
    "tests/loadtests/why/instructions/test_counts.py",
    "tests/loadtests/services/test_secrets.py",
    "tests/house/test_house.py",
    "tests/servers/lifecycle/test_process_end.py",
    "tests/results/report/page/test_hostile.py",
    "tests/servers/lifecycle/test_parity.py",
    "tests/loadtests/rows/test_edited_folders.py",
    "tests/servers/contract/test_sockets.py",
    "tests/servers/lifecycle/test_start_failures.py",
    "tests/results/report/page/test_browser.py",
    "tests/loadtests/distributed/test_strangers.py",
    "tests/servers/lifecycle/test_process.py",
    "tests/loadtests/scenarios/custom/test_locustfile.py",
    "tests/loadtests/regression/sides/test_packages.py",
    "tests/servers/probe/test_probe.py",
    "tests/servers/lifecycle/test_lifecycle.py",
    "tests/loadtests/regression/layers/test_slices.py",
    "tests/loadtests/distributed/test_joining.py",
    "tests/loadtests/regression/test_action.py",
    "tests/servers/contract/test_uploads.py",
    "tests/servers/contract/test_contract.py",
    "tests/loadtests/regression/sides/test_sides.py",
    "tests/servers/probe/test_probe_inside.py",
    "tests/servers/test_cli.py",
    "tests/servers/probe/test_thread_pools.py",
    "tests/loadtests/regression/layers/test_started.py",
    "tests/loadtests/distributed/test_place.py",
    "tests/servers/lifecycle/test_replicas.py",
    "tests/results/report/test_scale.py",
    "tests/walks/test_new_load_model.py",
    "tests/servers/contract/test_framing.py",
    "tests/results/stats/intervals/test_blocks.py",
    "tests/loadtests/behaviour/test_two_stores.py",
    "tests/loadtests/behaviour/test_processes.py",
    "tests/loadtests/why/test_sampling.py",
)
"""By path from the root of the project, longest first; the others follow as they are collected.
Under `--durations=0` pytest prints what each test takes."""


class InFile(Protocol):
    """Something of a file, such as a test."""

    @property
    def path(self) -> Path: ...


T = TypeVar("T", bound=InFile)


def longest_first(tests: Iterable[T], root: Path) -> list[T]:
    """The tests of each file in LONGEST, in that order, and then all others as they were."""
    place = {name: number for number, name in enumerate(LONGEST)}

    def key(test: T) -> int:
        return place.get(test.path.relative_to(root).as_posix(), len(place))

    return sorted(tests, key=key)
