"""What the load's tests share: one generator, a counting server, a small disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopbench.loadtests.distributed.generator_process import Generator, generator_process
from tests.forked import Program, program
from tests.loadtests.generator.counting import Counting, case, counting_server
from tests.servers.processes import eventually


@pytest.fixture(scope="session")
def generator() -> Iterator[Generator]:
    """One generator for the loads of all tests, one after another."""
    with generator_process() as running:
        yield running


IMPORTED = ("loopbench.loadtests.cli", "loopbench.loadtests.bench_command")
"""What the program imports late, and most command lines of the tests need."""


@pytest.fixture(scope="session")
def loadtests() -> Iterator[Program]:
    """`python -m loadtests`, imported once for all command lines that measure nothing."""
    with program("loadtests", *IMPORTED) as ready:
        yield ready


@pytest.fixture
def server() -> Iterator[Counting]:
    """A counting server."""
    with counting_server() as counting:
        yield counting


@pytest.fixture
def stamps() -> Iterator[None]:
    """Answers are stamped from the first one on: the kernel begins with it some time after the
    first socket has asked for it, and goes on while there is one."""
    from loopbench.loadtests.generator.clients.http1 import AnswerBook, Connection

    wanted = case("/now")
    book, payload = AnswerBook(wanted), wanted.request.encode("test")
    with counting_server() as counting:
        held = Connection(counting.host, counting.port)

        def stamped() -> bool:
            before = held.user_clock_reads
            assert held.exchange(payload, book) is None
            return held.user_clock_reads == before

        assert eventually(stamped)
        yield
        held.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64k", "loopbench-test", str(place)]
    if sys.platform != "linux":
        pytest.skip("on Linux only: mounts a tmpfs")
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    done = subprocess.run(["mount", *options], capture_output=True, text=True)
    if "permission denied" in done.stderr:
        pytest.skip(f"not permitted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
