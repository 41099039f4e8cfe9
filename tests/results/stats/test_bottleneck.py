"""What was the limit: the rule on readings made by hand, and a folder as it is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from loopbench.results import schema
from loopbench.results.folder import folder as folders
from loopbench.results.report.blocks import Plot, Table, Text
from loopbench.results.report.data import gather
from loopbench.results.report.sections import bottleneck as section
from loopbench.results.schema import Row, TableWriter
from loopbench.results.stats import bottleneck
from loopbench.results.stats.bottleneck import Readings, Verdict, Word, verdict
from loopbench.results.stats.summaries.summary import summarise
from loopbench.results.terminal import table

IDLE = Readings(
    response_ms=10.0,
    loop=0.5,
    server_cpu=0.5,
    client_cpu=0.2,
    threads=0.0,
    thread_wait_ms=None,
    pool_size=8.0,
    pool_wait_ms=0.1,
    database_cpu=0.3,
    embedded=False,
)
"""Nothing is full and nothing is queued for."""

EMBEDDED = replace(IDLE, database_cpu=None, embedded=True)
FULL_LOOP = replace(IDLE, loop=0.9, server_cpu=0.9)


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (IDLE, Word.NONE_SEEN),
        (EMBEDDED, Word.NONE_SEEN),
        (FULL_LOOP, Word.LOOP),
        (replace(IDLE, loop=0.899, server_cpu=0.9), Word.NONE_SEEN),
        (replace(FULL_LOOP, pool_wait_ms=9.0), Word.LOOP),
        (replace(FULL_LOOP, database_cpu=None), Word.LOOP),
        (replace(FULL_LOOP, database_cpu=0.9), Word.CANNOT_TELL),
        (replace(FULL_LOOP, server_cpu=0.59), Word.CANNOT_TELL),
        (replace(FULL_LOOP, server_cpu=0.61), Word.LOOP),
        (replace(IDLE, loop=0.6, server_cpu=0.39), Word.CANNOT_TELL),
        (replace(IDLE, loop=0.49, server_cpu=0.1), Word.NONE_SEEN),
        (replace(IDLE, loop=0.6, server_cpu=0.3, database_cpu=0.95), Word.DATABASE),
        (replace(IDLE, loop=0.6, server_cpu=0.3, pool_wait_ms=9.0), Word.CANNOT_TELL),
        (replace(FULL_LOOP, server_cpu=None), Word.CANNOT_TELL),
        (replace(FULL_LOOP, client_cpu=0.95), Word.CLIENT),
        (replace(IDLE, database_cpu=0.9), Word.DATABASE),
        (replace(IDLE, database_cpu=0.9, pool_wait_ms=9.0), Word.DATABASE),
        (replace(IDLE, database_cpu=0.9, database_cpus=2.0), Word.NONE_SEEN),
        (replace(IDLE, database_cpu=1.8, database_cpus=2.0), Word.DATABASE),
        (replace(IDLE, pool_wait_ms=2.5), Word.POOL),
        (replace(IDLE, pool_wait_ms=2.4), Word.NONE_SEEN),
        (replace(IDLE, thread_wait_ms=2.5), Word.THREADS),
        (replace(IDLE, thread_wait_ms=5.0, pool_wait_ms=2.5), Word.THREADS),
        (replace(IDLE, thread_wait_ms=2.5, pool_wait_ms=5.0), Word.POOL),
        (replace(IDLE, thread_wait_ms=4.9, pool_wait_ms=2.5), Word.CANNOT_TELL),
        (replace(EMBEDDED, pool_wait_ms=2.5), Word.CANNOT_TELL),
        (replace(EMBEDDED, thread_wait_ms=2.5), Word.THREADS),
        (replace(EMBEDDED, loop=0.95, server_cpu=0.9, pool_wait_ms=9.0), Word.LOOP),
        (replace(IDLE, database_cpu=None, pool_wait_ms=5.0), Word.CANNOT_TELL),
        (replace(IDLE, database_cpu=None), Word.CANNOT_TELL),
        (replace(IDLE, loop=None), Word.CANNOT_TELL),
        (replace(IDLE, client_cpu=None), Word.CANNOT_TELL),
        (replace(IDLE, pool_wait_ms=None), Word.CANNOT_TELL),
        (replace(IDLE, response_ms=None), Word.CANNOT_TELL),
    ],
)
def test_the_rule(seen: Readings, word: Word) -> None:
    """What is full comes first, what is queued for second; what is unknown is said to be."""
    found = verdict(seen)
    assert found.word is word, found.why
    assert found.why


def test_what_is_missing_is_named() -> None:
    """By what would have to be read."""
    seen = replace(IDLE, loop=None, database_cpu=None)
    assert verdict(seen) == Verdict(Word.CANNOT_TELL, "not read: loop utilisation, database CPU")


CELLS: dict[tuple[str, str], Row] = {
    ("aiohttp", "db-async-32"): {"loop_utilisation": 0.97, "server_cpu_utilisation": 0.9},
    ("aiohttp", "db-sync-32"): {"executor_wait_p50_ms": 4.0, "executor_threads_max": 6},
    ("aiohttp", "db-async-1"): {},
    ("aiohttp", "db-async-256"): {},
    ("aiohttp", "db-save-32"): {"pool_wait_p50_us": 6000.0},
    ("quart-hypercorn", "db-save-32"): {"database_cpu_share": 0.95},
    ("aiohttp", "async-32"): {"loop_utilisation": 0.97},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One Round of each of CELLS, on eight CPUs of which two are taken."""
    path = tmp_path / "run"
    path.mkdir()
    with TableWriter(path, schema.RUNS) as writer:
        for place, ((stack, scenario), figures) in enumerate(CELLS.items(), start=1):
            usual: Row = {
                "throughput_rps": 1000.0,
                "response_time_p50_ms": 10.0,
                "loop_utilisation": 0.5,
                "server_cpu_utilisation": 0.5,
                "generator_cpu_utilisation": 0.25,
                "executor_threads_max": 0,
                "pool_size": 1,
                "pool_wait_p50_us": 100.0,
                "database_cpu_share": 0.25,
            }
            identity: Row = {
                "run_id": f"01.{stack}.{scenario}",
                "round": 1,
                "position": place,
                "stack": stack,
                "scenario": scenario,
                "load": "main",
                "started_at": "2024-05-06T07:08:09.010+00:00",
                "load_model": "closed",
                "users": int(scenario.rpartition("-")[2]),
            }
            writer.append([{**identity, **usual, **figures}])
    told = {"settings": {"database_url": "postgresql://127.0.0.1/postgres"}}
    environment = {
        "machine": {"cpus": 8},
        "pinned": {"server": [0], "generator": [1]},
        "stacks": {"aiohttp": told, "quart-hypercorn": told},
        "stores": {"database": {"url": "x", "version": "PostgreSQL 15.1", "drivers": {}}},
    }
    (path / schema.ENVIRONMENT_FILE).write_text(json.dumps(environment))
    return path


EXPECTED = [
    ("db-async-1", "aiohttp", Word.NONE_SEEN),
    ("db-async-32", "aiohttp", Word.LOOP),
    ("db-sync-32", "aiohttp", Word.THREADS),
    ("db-async-256", "aiohttp", Word.NONE_SEEN),
    ("db-save-32", "aiohttp", Word.POOL),
    ("db-save-32", "quart-hypercorn", Word.DATABASE),
]
"""The sweep first, by users. A pool of one connection cannot use more than one CPU."""


def test_a_folder(folder: Path) -> None:
    """Only scenarios that ask a database have a verdict, in the order of the sweep."""
    loaded = folders.load(folder)
    found = bottleneck.limits(loaded, summarise(loaded))
    assert [(one.cell[1], one.cell[0], one.verdict.word) for one in found] == EXPECTED
    assert {one.readings.embedded for one in found} == {False}


def test_the_table_of_the_terminal_says_it(folder: Path) -> None:
    """A line a Cell."""
    loaded = folders.load(folder)
    assert table.page(loaded, summarise(loaded)).limits == (
        "db-async-1, aiohttp: none seen",
        "db-async-32, aiohttp: loop (97% of the time outside its wait)",
        "db-sync-32, aiohttp: threads (the wait for one is 40% of the response time)",
        "db-async-256, aiohttp: none seen",
        "db-save-32, aiohttp: pool (the wait for one is 60% of the response time)",
        "db-save-32, quart-hypercorn: database (95% of a CPU, of 1 to have)",
    )


def test_the_report_says_it(folder: Path) -> None:
    """The sweep as a picture where it has three steps, a row a Cell with its readings, and whose
    figures they are."""
    loaded = folders.load(folder)
    plot, rows, _, stores = section.parts(gather(loaded, summarise(loaded)))
    assert isinstance(plot, Plot)
    assert [panel.title for panel in plot.panels] == [
        "Requests/s: asynchronous driver",
        "Response p50, ms: asynchronous driver",
    ]
    assert isinstance(rows, Table)
    assert [(row[0], row[1], row[2]) for row in rows.rows] == [
        (scenario, stack, word.value) for scenario, stack, word in EXPECTED
    ]
    column = rows.header.index("database CPU")
    assert [row[column] for row in rows.rows] == ["0.25"] * 5 + ["0.95"]
    assert isinstance(stores, Text)
    assert stores.words == ("Stores: database: PostgreSQL 15.1.",)
