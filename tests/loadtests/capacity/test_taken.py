"""What others took of a server's CPUs: by arithmetic, and beside a real process that spins."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loopbench.loadtests.capacity.taken import Instant
from loopbench.loadtests.observe.machine_cpu import MachineReading
from loopbench.results.schema.tables.capacity import Taker

BEFORE = Instant(10.0, MachineReading(100.0, 5.0), 50.0, 20.0)


@pytest.mark.parametrize(
    ("after", "stolen", "others"),
    [
        # Of two seconds the server had one, and waited for half of one in which others ran.
        (Instant(12.0, MachineReading(101.5, 5.2), 51.0, 20.5), 0.1, 0.25),
        # Others ran for longer, while it had nothing to do.
        (Instant(12.0, MachineReading(101.8, 5.0), 51.0, 20.5), 0.0, 0.25),
        # Its threads waited for each other.
        (Instant(12.0, MachineReading(101.1, 5.0), 51.0, 20.5), 0.0, 0.05),
        # Its own time is known more exactly than the machine's, which is told in steps.
        (Instant(12.0, MachineReading(100.9, 5.0), 51.0, 20.5), 0.0, 0.0),
    ],
)
def test_others_took_what_the_server_waited_for(
    after: Instant, stolen: float, others: float
) -> None:
    """And no more than they used."""
    taken = after.taken_since(BEFORE)
    assert taken == pytest.approx({Taker.HYPERVISOR: stolen, Taker.PROGRAMS: others})


@pytest.mark.parametrize(
    ("after", "known"),
    [
        (Instant(12.0, None, None, None), set()),
        (Instant(12.0, MachineReading(101.0, 5.0), None, 20.5), {Taker.HYPERVISOR}),
        (Instant(12.0, MachineReading(101.0, 5.0), 51.0, None), {Taker.HYPERVISOR}),
    ],
)
def test_what_was_not_read_is_not_zero(after: Instant, known: set[Taker]) -> None:
    """A server without CPUs of its own, one that is gone, a kernel that does not tell."""
    assert set(after.taken_since(BEFORE)) == known


@pytest.mark.skipif(sys.platform != "linux", reason="on Linux only: reads /proc")
def test_a_program_on_the_same_cpu_is_seen() -> None:
    """Two processes that spin have half of it each; one that is gone is not known of."""
    cpu = min(os.sched_getaffinity(0))
    with _spinning(cpu) as server, _spinning(cpu):
        before = Instant.read([server.pid], [cpu])
        time.sleep(0.5)
        taken = Instant.read([server.pid], [cpu]).taken_since(before)
    assert 0.25 < taken[Taker.PROGRAMS] < 1
    gone = Instant.read([server.pid], [cpu])
    assert (gone.server_s, gone.waited_s) == (None, None)
    assert Instant.read([server.pid], []).machine is None


@contextmanager
def _spinning(cpu: int) -> Iterator[subprocess.Popen[bytes]]:
    program = f"import os; os.sched_setaffinity(0, [{cpu}])\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-S", "-c", program]) as process:
        try:
            time.sleep(0.1)
            yield process
        finally:
            process.kill()
