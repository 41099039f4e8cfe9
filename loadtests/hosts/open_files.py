"""How many descriptors a bench needs in one process, said before the load instead of under it."""

from __future__ import annotations

import resource
from collections.abc import Mapping

from loopbench.loadtests.errors import HarnessError

A_USER = 2
"""Descriptors of a user in the generator: its connection, and its timer. A server needs one."""

BESIDE_USERS = 100
"""Descriptors that a generator or a server needs beside its users, with room to spare."""


def expect_enough(users: Mapping[str, int]) -> None:
    """Raise HarnessError, with the number needed and the remedy, where the hard limit is lower.

    users: by scenario, how many one process offers at the same time. The soft
    limit does not matter: every process of a bench raises its own.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        return
    largest = max(users, key=lambda name: users[name])
    needed = users[largest] * A_USER + BESIDE_USERS
    if needed > hard:
        raise HarnessError(
            f"{largest} needs {needed:,} open files in one process, and the hard limit is "
            f"{hard:,}: raise it (ulimit -Hn {needed}, LimitNOFILE= of systemd, --ulimit nofile= "
            "of a container), or leave the scenario out"
        )
