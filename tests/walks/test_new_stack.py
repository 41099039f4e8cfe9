"""A new stack on a known server touches one file; a new server two. Both are really started."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from loopbench.results.schema import RUNS, read_table
from loopbench.servers.contract.cases import CASES
from loopbench.servers.installed import available
from loopbench.servers.stacks import STACKS
from tests.trees import copy_suite

BOUND_S = 240.0
TABLE = "servers/stacks.py"

NEW_ROW = """
    combine(
        *("asgi-uvicorn-httptools", ASGI_APP, UVICORN_HTTPTOOLS, ASYNCIO),
        "the bare application on uvicorn, parsed by httptools",
    ),
"""

ADAPTER = """
import asyncio
from wsgiref.simple_server import WSGIRequestHandler, make_server

from loopbench.servers.adapters.server_thread import ServerThread


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


class WsgirefServing:
    def __init__(self, app, host, port):
        self._app = app
        self._server = make_server(host, port, app, handler_class=Quiet)
        self.port = self._server.server_port
        self._thread = ServerThread("wsgiref", self._server.serve_forever)

    async def stop(self):
        await asyncio.to_thread(self._server.shutdown)
        await self.ended()
        self._server.server_close()

    async def ended(self):
        await self._thread.ended()

    def in_force(self):
        return {**self._app.in_force(), "http_parser": "http.server"}


async def serve(app, host, port, settings):
    return WsgirefServing(app, host, port)
"""

SERVER = """
WSGIREF = Server(
    name="wsgiref",
    interface=WSGI,
    adapter="loopbench.servers.adapters.wsgiref_server",
    packages=(),
    manager="wsgiref is one process",
    differs=_IN_THREADS,
)
"""

SERVER_ROW = """
    combine(
        *("flask-wsgiref", FLASK_APP, WSGIREF, NONE),
        "Flask on the server of the standard library",
    ),
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return copy_suite(tmp_path / "tree")


def _insert(tree: Path, before: str, text: str) -> None:
    """Put text into the table of stacks, before a line that stands there once."""
    table = (tree / TABLE).read_text()
    assert table.count(before) == 1
    (tree / TABLE).write_text(table.replace(before, text.strip("\n") + "\n" + before))


ROWS_END = ")\n\nSTACKS: dict[str, Stack]"
LOOPS_BEGIN = 'ASYNCIO = Loop("asyncio")\n'
LAST_SERVERS = "        *(GTHREAD, WAITRESS, ASYNCIO_SERVER),\n"


def _environment(tree: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(tree)}


def _run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=tree,
        env=_environment(tree),
        capture_output=True,
        text=True,
        timeout=BOUND_S,
    )


@contextmanager
def _serving(tree: Path, stack: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`python -m servers run`, and the URL that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "servers", "run", stack, "--port", "0"],
        cwd=tree,
        env=_environment(tree),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def _get(url: str, target: str) -> tuple[int, bytes]:
    with closing(
        http.client.HTTPConnection(url.removeprefix("http://"), timeout=BOUND_S)
    ) as connection:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, response.read()


def _files(tree: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(tree)): path.read_bytes()
        for path in (tree / "servers").rglob("*.py")
        if path.is_file()
    }


def _skip_without(stack: str) -> None:
    obstacle = available(STACKS[stack])
    if obstacle is not None:
        pytest.skip(obstacle)


def test_a_stack_of_known_parts_is_one_row(tree: Path) -> None:
    """The bench holds it to the contract and loads it; no other file knows of it."""
    _skip_without("quart-uvicorn-httptools")
    before = _files(tree)
    _insert(tree, ROWS_END, NEW_ROW)
    after = _files(tree)
    assert {name for name in after if after[name] != before.get(name)} == {TABLE}
    done = _run(
        tree,
        *("loadtests", "bench", "--stack", "asgi-uvicorn-httptools", "--scenario", "plain-32"),
        *("--rounds", "1", "--duration", "0.3", "--warmup", "0.1", "--out", "run"),
    )
    assert done.returncode == 0, done.stderr
    (row,) = read_table(tree / "run", RUNS)
    assert (row["stack"], row["failures"]) == ("asgi-uvicorn-httptools", 0)
    assert isinstance(row["requests"], int) and row["requests"] > 0
    described = json.loads((tree / "run" / "environment.json").read_text())
    assert described["stacks"]["asgi-uvicorn-httptools"]["packages"].keys() == {
        "uvicorn",
        "httptools",
    }


def test_a_server_is_a_module_and_its_rows(tree: Path) -> None:
    """It is listed, answers the contract, and ends with status 0 when it is stopped; that it has
    no manager is said as its row says it."""
    _skip_without("flask-waitress")
    before = _files(tree)
    (tree / "servers/adapters/wsgiref_server.py").write_text(ADAPTER.lstrip())
    _insert(tree, LOOPS_BEGIN, SERVER + "\n")
    _insert(tree, LAST_SERVERS, "        WSGIREF,")
    _insert(tree, ROWS_END, SERVER_ROW)
    after = _files(tree)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {TABLE, "servers/adapters/wsgiref_server.py"}
    with _serving(tree, "flask-wsgiref") as (process, url):
        assert url.startswith("http://127.0.0.1:"), process.communicate()
        for name in ("plain", "query", "sync", "routes", "unknown-path"):
            case = CASES[name]
            assert case.expected.check(*_get(url, case.request.target)) is None, name
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=BOUND_S)
        assert (process.returncode, err) == (0, "")
    listed = _run(tree, "servers", "list")
    assert "flask-wsgiref" in listed.stdout
    managed = ("--stack", "flask-wsgiref", "--manager", "own", "--out", "run")
    refused = _run(tree, "loadtests", "bench", *managed)
    assert refused.returncode != 0
    assert "wsgiref is one process" in refused.stderr
