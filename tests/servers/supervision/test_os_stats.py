"""What a process reads of itself."""

from __future__ import annotations

import os
from pathlib import Path

from loopbench.servers.supervision import os_stats
from tests.servers.processes import needs_proc


@needs_proc
def test_descriptors_are_those_of_the_server_and_not_of_readings(tmp_path: Path) -> None:
    """Another thread of the suite's may be reading in /proc meanwhile."""
    before = os_stats.read().descriptors
    assert before is not None
    with open(os_stats.STATUS), open(tmp_path / "a", "w"):
        reader, writer = os.pipe()
        try:
            assert os_stats.read().descriptors == before + 3
        finally:
            os.close(reader)
            os.close(writer)
    assert os_stats.read().descriptors == before
