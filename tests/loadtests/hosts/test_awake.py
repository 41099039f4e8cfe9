"""Idle CPUs are kept from sleeping as long as somebody asks for it, and no longer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loopbench.loadtests.hosts.awake import DEVICE, kept_awake

IDLE = Path("/sys/devices/system/cpu")
SETTLED_S = 0.05


def test_a_file_is_held_open_with_a_bound_of_zero(tmp_path: Path) -> None:
    """And closed again, also where something breaks; a child does not hold it."""
    device = tmp_path / "latency"
    device.touch()
    program = "import os; print(os.path.realpath('/proc/self/fd/{}'.format(*os.sys.argv[1:])))"
    with kept_awake(device) as awake:
        assert awake
        assert device.read_bytes() == bytes(4)
        (descriptor,) = holders(device)
        child = [sys.executable, "-c", program, descriptor]
        told = subprocess.run(child, capture_output=True, text=True, close_fds=False).stdout
        assert told.strip() != str(device.resolve())
    assert holders(device) == []
    with pytest.raises(KeyError, match="broken"):
        break_within(device)
    assert holders(device) == []


def break_within(device: Path) -> None:
    """Raise something while it is held."""
    with kept_awake(device):
        raise KeyError("broken")


def holders(file: Path) -> list[str]:
    """The descriptors by which this process has a file open."""
    folder = Path("/proc/self/fd")
    return [
        name
        for name in os.listdir(folder)
        if os.path.realpath(folder / name) == str(file.resolve())
    ]


def test_where_it_cannot_be_had_everything_goes_on(tmp_path: Path) -> None:
    """No such device, as in most containers; one that takes nothing."""
    with kept_awake(tmp_path / "none") as awake:
        assert not awake
    with kept_awake(Path("/dev/full")) as awake:
        assert not awake
    assert holders(Path("/dev/full")) == []


def idle_states() -> dict[Path, str]:
    """What each CPU may do while it is idle, by the folder that tells how often it did."""
    names = IDLE.glob("cpu[0-9]*/cpuidle/state*/name")
    return {name.parent: name.read_text().strip() for name in names}


def halts() -> int:
    """How often idle CPUs have halted: entered any state but that of polling."""
    halting = [state for state, name in idle_states().items() if name != "POLL"]
    return sum(int((state / "usage").read_text()) for state in halting)


@pytest.mark.skipif(
    not os.access(DEVICE, os.W_OK),
    reason="only root may keep CPUs awake, and not in every container",
)
def test_no_cpu_halts_meanwhile() -> None:
    """Where the kernel tells; a CPU that is never idle does not halt anyway."""
    if "POLL" not in idle_states().values():
        pytest.skip("the kernel lacks idle CPUs that poll, or an account of them")
    with kept_awake() as awake:
        assert awake
        time.sleep(SETTLED_S)  # a CPU that halts as it begins is woken
        before = halts()
        time.sleep(10 * SETTLED_S)
        assert halts() == before
