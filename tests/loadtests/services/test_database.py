"""`bench --database` with a real PostgreSQL: what is recorded of it, and what never is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from loopbench.loadtests.bench.checks.verify import problems
from loopbench.loadtests.bench.environment import shown_command
from loopbench.loadtests.bench.loads import block
from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.observe import store_versions
from loopbench.loadtests.observe.store_cpu import StoreCpu
from loopbench.loadtests.scenarios.models import Closed, Load
from loopbench.loadtests.services.services import Service, postgres_server
from loopbench.servers.contract.cases import CASES
from loopbench.servers.errors import StartupFailed
from loopbench.servers.handlers.stores.protocol import LACKING
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import CORE
from loopbench.servers.store_urls import without_password
from tests.loadtests.bench.benches import SHORT, Bench, Ended, ended
from tests.servers.processes import ROOT

SECRET, SECOND = "s3cret%40word", "0ther-w0rd"
CELLS = (
    *("--stack", "aiohttp", "--stack", "quart-hypercorn"),
    *("--scenario", "db-save-32"),
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Service]:
    """One for the tests of this file."""
    with postgres_server() as service:
        yield service


@pytest.fixture(scope="module")
def finished(postgres: Service, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A bench of saves on both core stacks, on a URL with two passwords."""
    at = urlsplit(postgres.url)
    user, _, place = at.netloc.rpartition("@")
    url = f"postgresql://{user}:{SECRET}@{place}{at.path}?sslpassword={SECOND}"
    folder = tmp_path_factory.mktemp("database") / "run"
    options = ("--database", url, "--rounds", "1", *SHORT)
    with Bench(folder, *CELLS, *options) as bench:
        return ended(bench)


def environment(finished: Ended) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((finished.bench.folder / "environment.json").read_text())
    return said


def test_it_is_measured_and_every_save_accounted_for(finished: Ended, postgres: Service) -> None:
    """A row a Cell without failures; the columns of pool and database are filled."""
    assert finished.status == 0, finished.errors
    rows = finished.rows
    assert len(rows) == 2
    for row in rows:
        assert row["failures"] == 0
        assert "saves-" not in (row["warnings"] or "")
        assert (row["pool_size"], row["redis_cpu_s"]) == (8, None)
        assert row["pool_most_waiting"] >= 1
        assert row["pool_wait_p50_us"] <= row["pool_wait_p99_us"]
        assert row["database_cpu_s"] > 0
    with psycopg.connect(postgres.url) as connection:
        found = connection.execute("SELECT count(*) FROM loopbench_saves").fetchone()
    assert found is not None
    assert found[0] >= sum(row["requests"] for row in rows) > 0


def test_server_and_drivers_are_recorded(finished: Ended, postgres: Service) -> None:
    """As the server itself says, in environment.json and in the report."""
    with psycopg.connect(postgres.url) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    assert row is not None
    store = environment(finished)["stores"]["database"]
    assert store["version"] == f"PostgreSQL {row[0]}"
    assert set(store["drivers"]) == {"asyncpg", "psycopg", "psycopg-pool"}
    report = (finished.bench.folder / "report.md").read_text()
    assert f"PostgreSQL {row[0].partition(' ')[0]}" in report
    assert "## What was the limit" in report


def test_pools_are_equal_as_read_from_inside(finished: Ended) -> None:
    """Both stacks' pools, on the loop and in threads, once the contract has been asked."""
    said = environment(finished)
    for stack in ("aiohttp", "quart-hypercorn"):
        in_force = said["stacks"][stack]["in_force"]
        assert (in_force["database_pool_loop"], in_force["database_pool_threads"]) == (8, 8)
    assert not [one for one in said["parity"]["differences"] if "pool" in one["setting"]]


def test_no_password_is_written_down(finished: Ended) -> None:
    """In no file of the folder, packed or not, and in nothing that is printed."""
    folder = finished.bench.folder
    shown = subprocess.run(
        [sys.executable, "-m", "results", "show", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = {path.name: path.read_text() for path in folder.iterdir()}
    assert {"plan.json", "environment.json", "log.txt", "report.html", "report.md"} <= set(files)
    assert "datapackage.json" in files
    said = {**files, "terminal": shown.stdout + shown.stderr, "bench": finished.errors}
    said["bench's output"] = "".join(path.read_text() for path in folder.parent.glob("*.out"))
    for where, text in said.items():
        for secret in (SECRET, SECRET.replace("%40", "@"), SECOND):
            assert secret not in text, where
    assert "postgresql://" in files["plan.json"]


def known(value: float | None) -> float:
    """A reading that must be there."""
    assert value is not None
    return value


def test_what_a_database_uses_in_slices_is_no_stranger_s(
    postgres: Service, generator: Generator
) -> None:
    """Nor is it in whole Runs: `machine-busy` is about other programs."""
    loads = (Load("main", CASES["db-async"], Closed(1)),)
    stores = StoreCpu(Settings(database_url=postgres.url), loads)
    before = block._Machine.read((), generator, stores)
    with psycopg.connect(postgres.url) as connection:
        connection.execute("SELECT count(*) FROM generate_series(1, 3000000)")
    after = block._Machine.read((), generator, stores)
    used_s = known(after.stores.database_s) - known(before.stores.database_s)
    assert used_s > 0
    others = known(after.others_since(before))
    as_strangers = known(replace(after, stores=before.stores).others_since(before))
    wall_s = after.at_s - before.at_s
    # Both are 0 at the least, since the kernel's ticks are coarser than other clocks.
    assert others == pytest.approx(max(0.0, as_strangers - used_s / wall_s))


CHANGES = {
    "DELETE FROM loopbench_rows": {LACKING},
    "DROP TABLE loopbench_rows": {"database: UndefinedTableError", "database: UndefinedTable"},
}
"""By what somebody else does to the tables: the reasons that asyncpg and psycopg lead to."""


@pytest.mark.parametrize("stack", CORE)
def test_tables_that_somebody_else_changes_are_a_503(postgres: Service, stack: str) -> None:
    """With the reason, on the loop and in threads."""
    cases = [CASES["db-async"], CASES["db-sync"]]
    settings = Settings(database_url=postgres.url)
    with server_process(stack, settings=settings) as server:
        assert problems(server.host, server.port, cases) == []
        for change, reasons in CHANGES.items():
            with psycopg.connect(postgres.url, autocommit=True) as connection:
                connection.execute(change)
            found = problems(server.host, server.port, cases)
            assert len(found) == len(cases)
            assert {line.partition(" 503 instead of 200: ")[2] for line in found} == reasons


def test_a_database_that_does_not_exist_is_named(postgres: Service) -> None:
    """Its server is there: whoever named it is told, before any request."""
    settings = Settings(database_url=postgres.url + "-not")
    with pytest.raises(StartupFailed, match='database "postgres-not" does not exist'):
        with server_process("aiohttp", settings=settings):
            pass


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:pa@ss@host:5/base", "postgresql://host:5/base"),
        ("postgresql://host/base?user=me&password=word", "postgresql://host/base?user=me"),
        ("redis://:word@host:6379/0", "redis://host:6379/0"),
        ("redis://host:6379/0", "redis://host:6379/0"),
    ],
)
def test_urls_without_their_passwords(url: str, shown: str) -> None:
    """As settings and plans write them; the command keeps none of it either."""
    assert without_password(url) == shown
    for word in shown_command(["bench", "--database", url, f"--redis={url}"]):
        assert "word" not in word.replace("password=", "")
        assert "ss@" not in word


def test_a_database_that_is_away_has_no_version() -> None:
    """Not read is not made up; the drivers are known all the same."""
    said = store_versions.described({"database_url": "postgresql://me:word@127.0.0.1:1/none"}, ())
    assert said["database"]["version"] is None
    assert said["database"]["url"] == "postgresql://127.0.0.1:1/none"
    assert set(said) == {"database"}
