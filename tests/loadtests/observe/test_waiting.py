"""How long threads waited for a CPU is read when no wait is under way."""

from __future__ import annotations

import subprocess
import sys

from loopbench.loadtests.observe.waiting import Waits

COMPUTED_S = 0.3
PROGRAM = f"""\
import sys, time
print(flush=True)
until = time.process_time() + {COMPUTED_S}
while time.process_time() < until:
    pass
sys.stdin.read()
"""


def test_a_process_that_wants_a_cpu_is_waited_for() -> None:
    """Until it has computed all that it has to, however long others have the CPU."""
    command = [sys.executable, "-c", PROGRAM]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        waits = Waits(process.pid)
        waits.await_sleep(120)
        assert waits.main_ran_ns() >= COMPUTED_S * 1e9
        process.stdin.close()


def test_a_process_that_never_rests_is_not_waited_for_for_ever() -> None:
    """It computes still when the bound has passed."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            Waits(process.pid).await_sleep(0.1)
            assert process.poll() is None
        finally:
            process.kill()
