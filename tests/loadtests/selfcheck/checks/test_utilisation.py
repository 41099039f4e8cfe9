"""The utilisation of a loop as its probe and strace tell it, and what the check makes of both."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.table import Load, Open
from loopbench.loadtests.selfcheck.checks.utilisation import Window, traced, verdict
from loopbench.loadtests.selfcheck.witnesses import strace
from loopbench.loadtests.selfcheck.witnesses.strace import Call, within
from loopbench.servers.contract.http import Case, get, written

HOLDING = Load(
    "main", Case("sleep-blocking-4", get("/sleep/blocking?ms=4"), written({"ms": 4})), Open(120, 64)
)
"""A handler that holds the loop and computes nothing, for about half of the time."""

AT = "1700000000.0000"


@pytest.fixture
def stracing(tmp_path: Path) -> None:
    """What the test needs: strace, and the right to trace."""
    if shutil.which("strace") is None:
        pytest.skip("needs the package strace")
    command = ["strace", "-o", str(tmp_path / "true"), "true"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"not permitted here: {done.stderr.strip()}")


@pytest.mark.usefixtures("stracing")
@pytest.mark.parametrize("stack", ["aiohttp", "aiohttp-uvloop"])
def test_the_probe_tells_what_strace_sees(stack: str) -> None:
    """Of a loop that is held without computing, so that the kernel's figures of its thread would
    call it idle. How near they are on a quiet machine is what `selfcheck utilisation` asks."""
    with traced(stack) as on:
        window = on.window(HOLDING, measured_s=0.8)
    assert window.read_by == ("libuv" if "uvloop" in stack else "selector")
    assert window.truth > 0.3
    assert abs(window.difference) < 0.2


@pytest.mark.usefixtures("stracing")
def test_a_program_that_is_not_traced_is_no_truth() -> None:
    """Rather an error than a share of 1."""
    with pytest.raises(HarnessError, match="strace saw no wait for events"):
        strace.calls(Path("nothing"), os.getpid())


def test_calls_are_read_with_whether_they_may_wait(tmp_path: Path) -> None:
    """A wait, one that was cut short by a signal, and a look that does not wait; what strace says
    of signals, of other calls and of a call that lasts is none."""
    (tmp_path / "out.7").write_text(
        f"{AT}01000 epoll_wait(0x5, 0x7ffd, 0x3, 0xffffffff) = 0x1 <0.000000500>\n"
        f"{AT}02000 epoll_pwait(0x5, 0x7ffd, 0x400, 0xa, 0, 0x8) = ? EINTR (Interrupted) "
        "<0.000000100>\n"
        f"{AT}03000 epoll_pwait(0x5, 0x7ffd, 0x400, 0, 0, 0x8) = 0 <0.000000200>\n"
        f"{AT}04000 +++ exited with 0 +++\n"
        f"{AT}05000 epoll_wait(0x5, 0x7ffd, 0x3, 0xa"
    )
    base = 1_700_000_000 * 10**9
    assert strace.calls(tmp_path / "out", 7) == [
        Call(base + 1000, base + 1500, True),
        Call(base + 2000, base + 2100, True),
        Call(base + 3000, base + 3200, False),
    ]


def test_only_what_lies_in_the_window_was_waited_in_it() -> None:
    """Calls over its edges count in part, those outside of it and those that do not wait not."""
    found = [Call(0, 10, True), Call(12, 15, False), Call(15, 40, True), Call(50, 60, True)]
    assert list(within(found, 5, 30)) == [5, 15]


@pytest.mark.parametrize(
    ("told", "truth", "stopped", "met"),
    [(0.51, 0.5, 0.01, True), (0.475, 0.5, 0.01, False), (0.5, 0.5, 0.07, False)],
)
def test_a_verdict_needs_a_truth_that_is_near(
    told: float, truth: float, stopped: float, met: bool
) -> None:
    """Not met where the probe is more than two points off, nor where strace itself held the thread
    for so long that it cannot tell."""
    one = verdict("aiohttp, half", Window(told, truth, stopped, "selector", 100.0))
    assert one.met is met
    assert f"{told:.1%} by selector, {truth:.1%} by strace" in one.outcome


def test_without_strace_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cause and remedy in one line."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HarnessError, match="strace is missing; install the package strace"):
        strace.prefix(tmp_path / "out")
