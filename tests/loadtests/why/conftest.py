"""What the tests of `why` share."""

from __future__ import annotations

from multiprocessing import resource_tracker

import pytest


@pytest.fixture(scope="session", autouse=True)
def resource_tracker_of_this_process() -> None:
    """Python starts it with the first pool of processes, and it lives as long as this process:
    no test leaves it, whichever comes first."""
    resource_tracker.ensure_running()
