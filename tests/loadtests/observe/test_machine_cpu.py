"""Who else was at work: /proc/stat by arithmetic, and a real disturbance that is seen."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.messages.specs import BlockSpec, Target
from loopbench.loadtests.observe.machine_cpu import (
    MachineReading,
    family,
    others_cpu,
    own_cpu_s,
    read_machine,
    stolen_s,
)
from loopbench.loadtests.scenarios.models import Closed, Load
from loopbench.servers.contract.cases import CASES
from loopbench.servers.lifecycle.process import server_process

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def test_a_reading_adds_up_what_is_work(tmp_path: Path) -> None:
    """Idle and waiting for disks are not work; guests are in `user` already; stolen time is
    apart."""
    stat = tmp_path / "stat"
    #                      user nice system idle iowait irq softirq steal guest guest_nice
    stat.write_text("cpu  1000 200 30 99999 88888 4 5 600 7777 8888\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    seen = read_machine(stat)
    assert seen is not None
    assert seen.busy_s == pytest.approx((1000 + 200 + 30 + 4 + 5) * TICK_S)
    assert seen.steal_s == pytest.approx(600 * TICK_S)


def test_what_the_hypervisor_took_is_told_of_the_cpus_that_are_named(tmp_path: Path) -> None:
    """The mean over them; nothing of none, nor of one that is not there."""
    stat = tmp_path / "stat"
    lines = [f"cpu{number} 1 1 1 1 1 1 1 {steal} 0 0" for number, steal in enumerate((7, 40, 60))]
    stat.write_text("\n".join(["cpu  3 3 3 3 3 3 3 107 0 0", *lines, "intr 9 9", "ctxt 9", ""]))
    assert stolen_s((1,), stat) == pytest.approx(40 * TICK_S)
    assert stolen_s((1, 2), stat) == pytest.approx(50 * TICK_S)
    assert stolen_s((), stat) is None
    assert stolen_s((1, 3), stat) is None


def test_without_proc_nothing_is_read(tmp_path: Path) -> None:
    """No /proc/stat means not measured."""
    assert read_machine(tmp_path / "stat") is None
    assert stolen_s((0,), tmp_path / "stat") is None


def test_others_are_what_is_left() -> None:
    """Busy time less our own, and stolen time, as a share of one CPU."""
    before, after = MachineReading(100.0, 5.0), MachineReading(103.0, 5.25)
    assert others_cpu(before, after, 2.5, 2.0) == pytest.approx((3.0 - 2.5 + 0.25) / 2.0)


def test_coarse_ticks_do_not_make_others_negative() -> None:
    """Our own clocks may run ahead of the kernel's ticks; that is no negative work."""
    before, after = MachineReading(100.0, 5.0), MachineReading(101.0, 5.0)
    assert others_cpu(before, after, 1.02, 1.0) == 0.0


@pytest.mark.parametrize(
    ("before", "after", "wall_s"),
    [
        (None, MachineReading(1.0, 0.0), 1.0),
        (MachineReading(1.0, 0.0), None, 1.0),
        (MachineReading(1.0, 0.0), MachineReading(2.0, 0.0), 0.0),
    ],
)
def test_a_missing_reading_is_not_measured(
    before: MachineReading | None, after: MachineReading | None, wall_s: float
) -> None:
    """Without both edges, or without time between them, there is no share."""
    assert others_cpu(before, after, 0.5, wall_s) is None


@pytest.mark.skipif(sys.platform != "linux", reason="on Linux only: reads /proc/stat")
def test_a_process_that_spins_is_seen() -> None:
    """Another process that uses a CPU counts as others, whatever else the machine does."""
    spin = [sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(spin) as process:
        try:
            time.sleep(0.1)
            before, own, began = read_machine(), own_cpu_s(), time.monotonic()
            time.sleep(0.5)
            after, wall_s = read_machine(), time.monotonic() - began
            share = others_cpu(before, after, own_cpu_s() - own, wall_s)
        finally:
            process.kill()
    assert share is not None
    # Half a CPU at least, also where a neighbour takes its turn.
    assert share > 0.4


def test_own_cpu_time_counts_this_process() -> None:
    """It grows by what this process computes."""
    before, began = own_cpu_s(), time.process_time()
    while time.process_time() - began < 0.1:
        pass
    assert 0.08 <= own_cpu_s() - before <= 0.5


def test_a_process_and_its_children_are_a_family(generator: Generator) -> None:
    """The generator's gauge, while a Block is open, and not those of anybody else; of a process
    that is gone nothing is added."""
    with server_process("asyncio") as server:
        alone = family(generator.pid)
        load = Load("main", CASES["async"], Closed(1))
        target = Target("one", server.host, server.port, (server.pid,), load)
        generator.open_block(BlockSpec((target,), (), 5.0, 0.3, seed=1), 5.0)
        both = family(generator.pid)
        generator.close_block(5.0)
    assert alone == (generator.pid,)
    assert both[0] == generator.pid
    (gauge,) = both[1:]
    assert gauge != server.pid
    assert family(2**22 + 1) == (2**22 + 1,)
