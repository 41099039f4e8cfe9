"""With LOOPBENCH_NO_SKIPS=1 a test that is skipped is one that fails.

For a machine on which everything is installed that tests need, as `.ci/run` sees to. What such a
machine may lack all the same is in ALLOWED.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

ONLY_ROOT = "only root may"
NOT_PERMITTED = "not permitted here:"
NOT_IN_THE_KERNEL = "the kernel lacks"
OTHER_PLATFORM = "on Linux only:"
NO_SUCH_CALL = "this platform lacks"

ALLOWED = (ONLY_ROOT, NOT_PERMITTED, NOT_IN_THE_KERNEL, OTHER_PLATFORM, NO_SUCH_CALL)
"""How reasons begin that no package can mend: an ordinary user, a container, a kernel, a platform
without it."""


def forbidden(reason: str) -> bool:
    """Whether a skip for this reason is a failure, where none is wanted."""
    return not reason.removeprefix("Skipped: ").startswith(ALLOWED)


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("LOOPBENCH_NO_SKIPS") != "1":
        return
    if not report.skipped or hasattr(report, "wasxfail") or not isinstance(report.longrepr, tuple):
        return
    file, line, reason = report.longrepr
    if forbidden(reason):
        report.outcome = "failed"
        report.longrepr = f"{file}:{line}: no skip is wanted here (LOOPBENCH_NO_SKIPS): {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _judge(report)
    return report
