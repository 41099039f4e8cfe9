"""Keeps the CPUs of this machine from sleeping while something is measured.

A CPU with nothing to do halts. To wake it takes some microseconds, and on a virtual machine some
tens of them, since its hypervisor must be asked, and may be busy. Where one request is under way at
a time, server and generator sleep in turn, and each request pays for that several times, the same
time whichever server it is: a part of the figure that is the machine's, and changes from one
sitting to the next.

As long as /dev/cpu_dma_latency is open with a bound of 0 µs, the kernel lets idle CPUs poll for
work in place of halting (Linux, PM Quality of Service Interface,
https://docs.kernel.org/power/pm_qos_interface.html). cyclictest and the latency profiles of tuned
do the same. Nothing is left of it once the file is closed, whatever closes it.

What decided for it: docs/slices.md has the four benches. With one user the ratio of throughput was
0.300x ±8.4 % and 0.294x ±12 % with CPUs that sleep, and 0.173x ±3.8 % and 0.183x ±5.5 % with CPUs
that do not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DEVICE = Path("/dev/cpu_dma_latency")

_AT_ONCE = (0).to_bytes(4, sys.byteorder)
"""Within so many microseconds an idle CPU shall be back at work."""


@contextmanager
def kept_awake(device: Path = DEVICE) -> Iterator[bool]:
    """Let no CPU of this machine sleep meanwhile; whether the system allows that: it takes Linux,
    and mostly root."""
    held = _held(device)
    try:
        yield held is not None
    finally:
        if held is not None:
            os.close(held)


def _held(device: Path) -> int | None:
    """The open file; None where it cannot be had."""
    try:
        held = os.open(device, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        os.write(held, _AT_ONCE)
    except OSError:
        with suppress(OSError):
            os.close(held)
        return None
    return held
