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


def polling() -> list[Path]:
    """The accounts of CPUs that poll while they are idle."""
    states = [name.parent for name in IDLE.glob("cpu[0-9]*/cpuidle/state0/name")]
    return [state for state in states if (state / "name").read_text().strip() == "POLL"]


def polled_us() -> int:
    """For how long idle CPUs have polled."""
    return sum(int((state / "time").read_text()) for state in polling())


@pytest.mark.skipif(
    not os.access(DEVICE, os.W_OK),
    reason="only root may keep CPUs awake, and not in every container",
)
def test_the_kernel_lets_idle_cpus_poll_meanwhile() -> None:
    """Where it tells how they wait; one that is never idle would not."""
    if not polling():
        pytest.skip("the kernel lacks an account of how idle CPUs wait")
    with kept_awake() as awake:
        assert awake
        before = polled_us()
        for _ in range(500):
            if polled_us() > before:
                break
            time.sleep(0.01)
        assert polled_us() > before
