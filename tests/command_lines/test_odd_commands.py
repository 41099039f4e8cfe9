"""Command lines that cannot be obeyed: usage errors in one line, before anything is begun."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from loopbench.loadtests.cli import cli as loadtests
from loopbench.servers.__main__ import cli as servers
from tests.conftest import ROOT

BENCH = ("bench", "--stack", "asyncio", "--scenario", "async-1")
WORKER = ("worker", "--master", "127.0.0.1:9")
VIA = (*BENCH, "--server-via", "env", "--server-host")
RUN = ("run", "aiohttp", "--port", "0")

LOADTESTS = [
    (*BENCH, "--out", ""),
    (*BENCH, "--out", " "),
    (*BENCH, "--out", "\x1b]0;owned\x07"),
    (*BENCH, "--duration", "nan"),
    (*BENCH, "--seed", str(10**400)),
    *((*BENCH, "--redis", url) for url in ("redis://[::1", "redis://h:99999", "redis://h?db=x")),
    *((*BENCH, "--redis", f"redis://h:{port}") for port in ("٣", "0", "-1", "")),
    *((*BENCH, "--database", url) for url in ("postgresql://[::", "postgresql://h/x?nosuch=1")),
    *((*VIA, host) for host in ("", "no such\nhost", "x" * 300, "-x")),
    *((*VIA, "127.0.0.1", "--server-cpus", cpus) for cpus in ("", "²", "٣", "9" * 20)),
    *(
        (*BENCH, "--expect-workers", "1", "--bind", bind)
        for bind in ("127.0.0.1:0", "127.0.0.1:5٣", "[zz]:5", "a b:5", "..:5")
    ),
    *(
        ("worker", "--master", master)
        for master in ("x:0", "[zz]:5", "127.0.0.1:٣", "a b:5", "x" * 300 + ":5", "..:5", "ü:5")
    ),
    *((*WORKER, "--cpus", cpus) for cpus in ("", "99", "²", "٣", "9" * 25, "0,", "1-2")),
    *((*WORKER, "--patience", seconds) for seconds in ("nan", "inf", "1e300", "0")),
    ("behaviour", "--out", "", "disconnect.plain-await"),
    ("instructions", "--out", ""),
    ("instructions", "--tunables", "", "--out", "."),
]
SERVERS = [
    *((*RUN, "--upstream-url", url) for url in ("", "x", "http://[::", "http://h:99999")),
    *((*RUN, "--redis-url", url) for url in ("", "redis://[::1", "redis://h?db=x")),
    *((*RUN, "--database-url", url) for url in ("", "x", "postgresql://[::")),
    *((*RUN, option, str(10**30)) for option in ("--body-limit-bytes", "--upload-limit-bytes")),
    (*RUN, "--keep-alive-s", "nan"),
]


@pytest.mark.parametrize("words", LOADTESTS, ids=lambda words: " ".join(words)[:60])
def test_loadtests_refuses(words: tuple[str, ...]) -> None:
    """A usage error, whose message is printable and ends at once."""
    _expect_usage_error(loadtests, words)


@pytest.mark.parametrize("words", SERVERS, ids=lambda words: " ".join(words)[:60])
def test_servers_refuses(words: tuple[str, ...]) -> None:
    """The same of the server in the foreground."""
    _expect_usage_error(servers, words)


def _expect_usage_error(command: object, words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(command, list(words))  # type: ignore[arg-type]
    assert done.exit_code == 2, (done.output, done.exception)
    assert all(line.isprintable() for line in done.output.splitlines())


def test_the_regression_check_refuses_with_its_own_status() -> None:
    """2 is a verdict there, "cannot tell"; 3 says that it could not be run."""
    done = CliRunner().invoke(loadtests, ["regression", "--out", ""])
    assert done.exit_code == 3
    assert done.output == "error: Invalid value for '--out': '' is no name of a folder.\n"


def test_the_current_folder_is_not_filled(tmp_path: Path) -> None:
    """`--out ''` from another folder: nothing is written there."""
    command = [sys.executable, "-m", "loopbench.loadtests", *BENCH, "--out", ""]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_is_not_there_is_an_unknown_run() -> None:
    """`~nouser/x` for the commands that read a run."""

    def run(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "results", name, "~nouser/x"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(run, ("show", "report", "pack", "picture")):
            assert done.returncode == 2
            assert done.stderr.startswith("error: unknown run '~nouser/x'")
            assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scenario", "echo*"), "did you mean ws-echo-1 or ws-echo-32 or ws-echo-500"),
        (("--scenario", "zzz"), "unknown scenario 'zzz'; 83 are known, such as async-32, sync-32"),
        (("--stack", "zzz"), "unknown stack 'zzz'; known are aiohttp, quart-hypercorn, "),
    ],
)
def test_an_unknown_name_is_answered_with_names_that_one_can_read(
    words: tuple[str, ...], said: str
) -> None:
    """The nearest; where none is near, all of a short table, and the first of a long one."""
    refused = CliRunner().invoke(loadtests, ["bench", *words])
    assert refused.exit_code == 2
    assert said in refused.output
    assert len(refused.output.splitlines()[-1]) < 500
