"""What every test lives under: it leaves no process behind; and files that tests generate."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.house.long import is_long
from tests.house.order import longest_first
from tests.house.quick import is_quick
from tests.house.skips import (  # noqa: F401  (hooks)
    pytest_make_collect_report,
    pytest_runtest_makereport,
)
from tests.servers.processes import descendants

ROOT = Path(__file__).resolve().parent.parent

_ENDING_BOUND_S = 20.0
"""How long a child may take to end after the test that started it."""

_NOT_HANDED_ON = (
    # Under `make test` a make that a test starts would be a part of that one, with its choices.
    *("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"),
    # What is printed would be as wide and as coloured as the terminal around the tests.
    *("COLUMNS", "LINES", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
)
"""Variables of the tests' own surroundings that what they start does not inherit."""

_NO_CERTIFICATES = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}
"""aiohttp reads all certificates of the machine as it is imported, which takes a third of the CPU
time of that import, in each of a thousand processes. No test asks anybody over TLS; pip has
certificates of its own."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-generated",
        action="store_true",
        help="write generated documentation and golden files anew instead of comparing them",
    )


def pytest_configure() -> None:
    # Whatever a shell starts in the background ignores interrupts, and hands that on to children.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for inherited in _NOT_HANDED_ON:
        os.environ.pop(inherited, None)
    os.environ.update(_NO_CERTIFICATES)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # one process among several
        items[:] = longest_first(items, ROOT)
    for item in items:
        if "generated" in getattr(item, "fixturenames", ()):
            item.add_marker("generated")
        if is_quick(item.path, ROOT):
            item.add_marker("quick")
        if is_long(item.path, ROOT):
            item.add_marker("long")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Under `-m quick` the other files are not even read: that takes longer than most tests."""
    if config.option.markexpr != "quick" or not collection_path.name.startswith("test_"):
        return None
    return True if not is_quick(collection_path, ROOT) else None


def pytest_collection_finish() -> None:
    """Take what has been imported and collected out of the garbage collector's sight.

    It lives as long as the tests do. Each full collection would go through some 400,000 objects,
    0.1 s, and tests that look for what is left behind ask for hundreds of them.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def generated(pytestconfig: pytest.Config) -> Callable[[Path, str], None]:
    """`generated(path, text)`: the committed file must hold exactly this text.

    Under `make docs` the file is written instead. For golden files, and for
    documentation that derives from tables or from what tests saw.
    """

    def check(path: Path, text: str) -> None:
        if pytestconfig.getoption("--write-generated"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        remedy = "`make docs` writes it anew"
        assert path.is_file(), f"{path.relative_to(ROOT)} is missing; {remedy}"
        assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(ROOT)}: {remedy}"

    return check


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    """Fail the test that leaves a child process, and end that process."""
    with none_left():
        yield


@contextmanager
def none_left() -> Iterator[None]:
    """Raise AssertionError for child processes that were started within and still live, and end
    them."""
    before = descendants()
    yield
    started = descendants() - before
    if not started:
        return
    _, left = psutil.wait_procs(_processes(started), timeout=_ENDING_BOUND_S)
    described = []
    for child in left:
        with child.oneshot():
            described.append(f"{child.pid} ({child.status()}): {' '.join(child.cmdline())}")
        child.kill()
    assert not left, f"processes left behind: {'; '.join(described)}"


def _processes(pids: set[int]) -> Iterator[psutil.Process]:
    """Those of the processes that still exist."""
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            yield psutil.Process(pid)
