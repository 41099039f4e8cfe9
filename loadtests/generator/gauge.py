"""The generator's side of the CPU gauge: exact CPU time of servers, without asking them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from gevent.socket import wait_read

from loopbench.results.schema import ROOT


@dataclass(frozen=True, slots=True)
class GaugeReading:
    """CPU time of every target at one instant, ns. None: one of its processes has ended."""

    monotonic_ns: int
    cpu_ns: tuple[int | None, ...]


class Gauge:
    """A live `observe.cpu_gauge` on the servers' CPUs; a context manager that ends it."""

    def __init__(self, cpus: Sequence[int]) -> None:
        names = ",".join(map(str, cpus)) or "any"
        module = "loopbench.loadtests.observe.cpu_gauge"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._pending = b""

    def watch(self, targets: Sequence[Sequence[int]]) -> None:
        """Read these processes from now on, some for each target."""
        self._ask("P " + " ".join(",".join(map(str, pids)) for pids in targets))

    def read(self) -> GaugeReading:
        """CPU times now, and the instant. Raises OSError where the gauge is gone."""
        at_ns, *cpu_ns = map(int, self._ask("R").split())
        return GaugeReading(at_ns, tuple(None if ns < 0 else ns for ns in cpu_ns))

    def work_ns(self) -> int:
        """How long the fixed piece of work takes on the servers' CPU right now."""
        return int(self._ask("W"))

    def start_short_work(self, every_us: int) -> None:
        """Let it do the short work so often, for nothing else to be asked until it ends."""
        self._ask(f"S {every_us}")

    def end_short_work(self) -> float | None:
        """How many ns a piece of the short work took since it started, by the mean of the speeds;
        None where none was done."""
        done, ns = self._ask("E").split()
        return float(ns) if int(done) else None

    def _ask(self, line: str) -> str:
        os.write(self._in, line.encode() + b"\n")
        while b"\n" not in self._pending:
            wait_read(self._out)
            chunk = os.read(self._out, 4096)
            if not chunk:
                raise OSError("the CPU gauge has ended")
            self._pending += chunk
        answer, _, self._pending = self._pending.partition(b"\n")
        return answer.decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
