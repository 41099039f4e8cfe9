"""A server of another tree, run by another interpreter, through the same control pipe."""

from __future__ import annotations

import http.client
import sys
import venv
from contextlib import closing
from pathlib import Path

import pytest

from loopbench.servers.contract.cases import CASES
from loopbench.servers.errors import StartupFailed
from loopbench.servers.lifecycle.process import server_process
from tests.servers.processes import BOUND_S
from tests.trees import SERVERS, copy_suite


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the servers, whose `/query` answers another status."""
    copy_suite(tmp_path, SERVERS)
    work = tmp_path / "servers" / "handlers" / "basic.py"
    text = work.read_text()
    assert text.count('    return as_json({"query": _grouped(pairs)})\n') == 1
    work.write_text(text.replace('{"query": _grouped(pairs)}', '{"changed": _grouped(pairs)}'))
    return tmp_path


def _body(host: str, port: int) -> bytes:
    with closing(http.client.HTTPConnection(host, port, timeout=BOUND_S)) as connection:
        connection.request("GET", CASES["query-empty"].request.target)
        return connection.getresponse().read()


def test_the_code_of_another_tree_serves(tree: Path) -> None:
    """Beside one of this tree, each answers as its own code says."""
    with (
        server_process("asyncio", root=tree) as other,
        server_process("asyncio") as usual,
    ):
        assert _body(other.host, other.port) == b'{"changed":{}}'
        assert _body(usual.host, usual.port) == b'{"query":{}}'


def test_another_interpreter_runs_it(tmp_path: Path) -> None:
    """The packages that it has, or has not, are those of its own environment."""
    venv.create(tmp_path / "bare")
    python = tmp_path / "bare" / "bin" / "python"
    with pytest.raises(StartupFailed, match="install aiohttp, "):
        with server_process("aiohttp", python=python):
            raise AssertionError("a server without its framework")


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    """The command that could not be run is named."""
    python = tmp_path / "python"
    with pytest.raises(StartupFailed, match=rf"cannot run {python}: No such file"):
        with server_process("asyncio", python=python):
            raise AssertionError("a server without an interpreter")
    assert Path(sys.executable).exists()
