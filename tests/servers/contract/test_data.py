"""Large answers and uploads, fetching and stores, beyond what the contract's Cases say."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.request import urlopen

import psutil
import pytest

from loopbench.servers.contract.http import Request, filling
from loopbench.servers.contract.large_cases import DIGESTS, large
from loopbench.servers.handlers.fetch import Fetcher
from loopbench.servers.handlers.stores.protocol import LACKING
from loopbench.servers.lifecycle import in_loop
from loopbench.servers.lifecycle.in_loop import Server
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.promises import hole
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import (
    CORE,
    DEFAULT,
    STACKS,
)
from tests.servers.choices import KINDS, stacks
from tests.servers.conftest import Lab
from tests.servers.contract import wire
from tests.servers.contract.claims import claims

WITH_STORES = CORE


@pytest.mark.parametrize("size", DIGESTS)
def test_the_digests_are_those_of_the_filling(size: int) -> None:
    """What the table says of the large bodies is what SHA-256 says."""
    assert hashlib.sha256(filling(size)).hexdigest() == DIGESTS[size]


LARGE = [case for name, case in large().items() if name != "upload-64m"]


@pytest.mark.parametrize("stack_name", stacks(KINDS))
def test_large_cases(lab: Lab, server: Server) -> None:
    """A large body is answered as a small one is, by every stack that keeps the small ones."""
    with claims() as claimed:
        for case in LARGE:
            if hole(server.stack, case) is not None:
                continue
            with claimed.of(case.name):
                reply = lab.run(wire.ask(server, case.request))
                assert case.expected.check(reply.status, reply.body) is None


@pytest.mark.parametrize("stack_name", stacks(DEFAULT))
def test_an_upload_beyond_its_limit_is_refused(lab: Lab, stack_name: str) -> None:
    """One byte more than `upload_limit_bytes` is a 413; as many are not, though the limit of
    other bodies is lower."""

    async def statuses() -> list[int]:
        settings = Settings(upload_limit_bytes=1000, body_limit_bytes=100)
        async with in_loop.serving(stack_name, settings=settings) as server:
            requests = [Request("POST", "/upload", (), b"x" * size) for size in (1000, 1001)]
            return [(await wire.ask(server, request)).status for request in requests]

    assert lab.run(statuses()) == [200, 413]


@pytest.mark.parametrize("stack_name", stacks(WITH_STORES))
def test_saves_add_up(lab: Lab, server: Server) -> None:
    """The sum over the table grows by what was acknowledged, and the rows gain as much."""

    async def totals() -> list[dict[str, int]]:
        found = []
        for count in (0, 5):
            for _ in range(count):
                await wire.ask(server, Request("POST", "/db/save?amount=11"))
            found.append(json.loads((await wire.get(server, "/db/total")).body))
        return found

    before, after = lab.run(totals())
    assert after["saves"] - before["saves"] == 5
    assert after["sum"] - before["sum"] == after["added"] - before["added"] == 55


@pytest.mark.parametrize("stack_name", stacks(WITH_STORES))
def test_pairs_are_whole_where_nobody_leaves(lab: Lab, server: Server) -> None:
    """Every way to save to both stores leaves as many halves in each, and none alone."""

    async def saved() -> dict[str, int]:
        for protect in ("none", "shield", "both"):
            await wire.ask(server, Request("POST", f"/save/both?protect={protect}"))
        found: dict[str, int] = json.loads((await wire.get(server, "/save/both")).body)
        return found

    found = lab.run(saved())
    assert found["half"] == 0
    assert found["first"] == found["second"] >= 3


@pytest.mark.parametrize("stack_name", stacks(WITH_STORES))
@pytest.mark.parametrize("how", ["gather", "sequence", "threads"])
def test_a_dead_upstream_is_a_502(lab: Lab, stack_name: str, how: str) -> None:
    """Where nobody listens at the upstream's address the answer says so."""

    async def ask() -> wire.Reply:
        settings = Settings(upstream_url="http://127.0.0.1:1")
        async with in_loop.serving(stack_name, settings=settings) as server:
            return await wire.get(server, f"/fetch?n=2&how={how}")

    reply = lab.run(ask())
    assert reply.status == 502
    assert json.loads(reply.body)["reason"].startswith("upstream: ")


class _Page(BaseHTTPRequestHandler):
    """A page of another server, which notes each connection."""

    protocol_version = "HTTP/1.1"
    connections: ClassVar[list[object]] = []

    def setup(self) -> None:
        super().setup()
        self.connections.append(self.client_address)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"page")

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing to standard error."""


def test_a_thread_keeps_its_connection() -> None:
    """The synchronous client of `/fetch` opens one connection a thread, for all of its pages."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()

    async def bodies() -> list[bytes]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        fetcher = Fetcher(f"http://127.0.0.1:{server.server_port}")
        try:
            return [(await fetcher.fetch("3", "threads", ("", 0))).body for _ in range(2)]
        finally:
            await fetcher.close()

    try:
        assert asyncio.run(bodies()) == [b'{"pages":3,"bytes":12}'] * 2
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
    assert len(_Page.connections) == 1


@pytest.mark.parametrize("stack_name", stacks(WITH_STORES))
def test_a_dead_database_is_a_503(lab: Lab, stack_name: str) -> None:
    """A server whose database is away starts, and answers 503 with the reason."""

    async def ask() -> list[wire.Reply]:
        settings = Settings(database_url="postgresql://nobody@127.0.0.1:1/none", pool_timeout_s=0.3)
        async with in_loop.serving(stack_name, settings=settings) as server:
            return [await wire.get(server, f"/db/{kind}") for kind in ("async", "sync")]

    for reply in lab.run(ask()):
        assert reply.status == 503
        assert json.loads(reply.body)["reason"].startswith("database: ")


@pytest.mark.parametrize("stack_name", stacks(WITH_STORES))
def test_a_database_that_another_process_holds_is_a_503_and_serves_on(
    lab: Lab, stack_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite lets one write at a time: a save that has waited for its turn in vain says so, keeps
    nothing, and gives its connection back."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    save = Request("POST", "/db/save?amount=11")

    async def ask() -> tuple[wire.Reply, wire.Reply, dict[str, int]]:
        settings = Settings(pool_size=1, pool_timeout_s=0.2)
        async with in_loop.serving(stack_name, settings=settings) as server:
            await wire.get(server, "/db/async")
            (path,) = tmp_path.rglob("database")
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                refused = await wire.ask(server, save)
            taken = await wire.ask(server, save)
            return refused, taken, json.loads((await wire.get(server, "/db/total")).body)

    refused, taken, total = lab.run(ask())
    assert refused.status == 503
    assert json.loads(refused.body)["reason"] == "database: database is locked"
    assert taken.status == 200
    assert (total["saves"], total["sum"]) == (1, 11)


UNOPENED = {
    "loop": ("/db/sync", "database", Request("GET", "/db/async")),
    "threads": ("/db/async", "database", Request("GET", "/db/sync")),
    "first": ("/db/async", "first", Request("GET", "/save/both")),
}
"""By store: what opens another one and so makes the folder, the file's name, and what opens it."""


@pytest.mark.parametrize("store", UNOPENED)
@pytest.mark.parametrize("stack_name", stacks(WITH_STORES))
def test_a_database_that_cannot_be_opened_is_a_503_until_it_can(
    lab: Lab, stack_name: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process holds it the reason is given; the next request tries again."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before, name, request = UNOPENED[store]

    async def ask() -> tuple[wire.Reply, wire.Reply]:
        settings = Settings(pool_size=2, pool_timeout_s=0.2)
        async with in_loop.serving(stack_name, settings=settings) as server:
            assert (await wire.get(server, before)).status == 200
            (folder,) = tmp_path.iterdir()
            with closing(sqlite3.connect(folder / name, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                locked = await wire.ask(server, request)
            return locked, await wire.ask(server, request)

    locked, answered = lab.run(ask())
    assert locked.status == 503
    assert json.loads(locked.body)["reason"] == "database: database is locked"
    assert answered.status == 200, answered.body


@pytest.mark.parametrize("stack_name", stacks(WITH_STORES))
def test_a_file_that_is_no_database_is_a_503(
    lab: Lab, stack_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is gone; nothing of the vain attempt is left open."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def ask() -> list[wire.Reply]:
        async with in_loop.serving(stack_name, settings=Settings(pool_size=1)) as server:
            assert (await wire.get(server, "/db/async")).status == 200
            (folder,) = tmp_path.iterdir()
            path = folder / "first"
            path.write_bytes(b"no database " * 1000)
            broken = await wire.get(server, "/save/both")
            assert str(path) not in {file.path for file in psutil.Process().open_files()}
            path.unlink()
            return [broken, await wire.get(server, "/save/both")]

    broken, answered = lab.run(ask())
    assert broken.status == 503
    assert json.loads(broken.body)["reason"] == "database: file is not a database"
    assert answered.status == 200, answered.body


@pytest.mark.parametrize("stack_name", stacks(WITH_STORES))
def test_a_save_that_goes_on_in_a_task_is_waited_for_and_its_failure_logged(
    lab: Lab,
    stack_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its request was answered before the second store refused, and the server was stopped then."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    save = Request("POST", "/save/both?protect=task")

    async def ask() -> wire.Reply:
        settings = Settings(pool_size=1, pool_timeout_s=0.2)
        async with AsyncExitStack() as held:
            server = await held.enter_async_context(in_loop.serving(stack_name, settings=settings))
            assert (await wire.get(server, "/save/both")).status == 200
            (path,) = tmp_path.rglob("database")
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                answer = await wire.ask(server, save)
                await held.aclose()
            return answer

    assert lab.run(ask()).status == 200
    said = [record.getMessage() for record in caplog.records if record.name == "servers"]
    assert said == ["a save under protection failed: database: database is locked"]


LOST = {
    "rows": ("database", "DELETE FROM loopbench_rows", LACKING, ("/db/async", "/db/sync")),
    "table": (
        "first",
        "DROP TABLE loopbench_pairs",
        "database: no such table: loopbench_pairs",
        ("/save/both",),
    ),
}
"""Whose loss it is, how it comes about, the reason that is given, and the requests that need it."""


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("stack_name", stacks(WITH_STORES))
def test_a_database_that_another_process_empties_is_a_503(
    lab: Lab, stack_name: str, lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not there any more is named."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    name, statement, reason, paths = LOST[lost]

    async def ask() -> list[wire.Reply]:
        async with in_loop.serving(stack_name, settings=Settings(pool_size=1)) as server:
            for path in paths:
                assert (await wire.get(server, path)).status == 200
            (path_of_store,) = tmp_path.rglob(name)
            with closing(sqlite3.connect(path_of_store, isolation_level=None)) as other:
                other.execute(statement)
            return [await wire.get(server, path) for path in paths]

    for reply in lab.run(ask()):
        assert (reply.status, json.loads(reply.body)["reason"]) == (503, reason)


@pytest.mark.parametrize("stack_name", stacks(DEFAULT))
def test_nobody_pays_for_what_is_not_asked_for(stack_name: str) -> None:
    """The drivers of stores, and the client of other servers, are imported where a route first
    needs them: their memory and their time are no part of any other figure."""
    lazy = {"redis", "asyncpg", "psycopg", "aiosqlite", "sqlite3"}
    lazy |= {"aiohttp"} if STACKS[stack_name].framework != "aiohttp" else set()
    stack = STACKS[stack_name]
    modules = f"{stack.adapter}, {stack.application}"
    code = f"import sys, {modules}; print(*sorted({lazy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_killed_server_leaves_no_store_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its temporary files are in a folder of whoever started it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with server_process("aiohttp") as server:
        with urlopen(f"http://{server.host}:{server.port}/db/async") as answer:
            assert answer.status == 200
        assert list(tmp_path.rglob("database"))
        os.kill(server.pid, signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []
