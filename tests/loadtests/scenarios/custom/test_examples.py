"""The frameworks' own examples, by the commands of the document."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from loopbench.loadtests.services.services import postgres_server
from loopbench.results.schema import RUNS, read_table
from tests.documents import blocks
from tests.loadtests.bench.benches import SHORT
from tests.loadtests.scenarios.custom.example_apps import APPS, POLLS_TABLES
from tests.servers.processes import ROOT

DOCUMENT = "your-own-application.md"
POLLS, BLOG, VIDEO = "aiohttpdemo_polls.main:init_app", "src/blog:app", "src/video:app"
MEASURED = {
    POLLS: {"root-32", "poll-1-results-32"},
    BLOG: {"root-32", "create-32"},
    VIDEO: {"page", "begin-of-video"},
    "src/chat:app": {"root-32", "messages"},
    "events:app": {"ticks"},
}
"""By application: scenarios that are measured."""


def commands() -> dict[str, list[str]]:
    """The words of each command in the document's table, by its application."""
    text = (ROOT / "docs" / DOCUMENT).read_text()
    found = re.findall(r"^\|.*\| `(loopbench bench [^`]+)` \|$", text, re.MULTILINE)
    words = [shlex.split(one) for one in found]
    return {one[one.index("--app") + 1]: one for one in words}


@pytest.fixture(scope="module")
def database() -> Iterator[dict[str, str | int]]:
    """The PostgreSQL of `make services`, with the tables of the polls."""
    with postgres_server() as service:
        with psycopg.connect(service.url) as connection:
            connection.execute(POLLS_TABLES)
        url = urlsplit(service.url)
        assert url.hostname is not None and url.port is not None and url.username is not None
        yield {
            "host": url.hostname,
            "port": url.port,
            "user": url.username,
            "database": url.path.removeprefix("/"),
        }


def written(application: str, folder: Path) -> Path:
    """Its files, and those that the document tells its reader to write."""
    for name, text in {**APPS[application], **blocks(DOCUMENT)}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "loopbench.toml").unlink()  # of another section
    return folder


def bench(folder: Path, words: list[str]) -> list[dict[str, object]]:
    """The rows of a command in a folder."""
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            *words,
            "--rounds",
            "1",
            *SHORT,
            "--duration",
            "0.6",
            "--out",
            "out",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    return [dict(row) for row in read_table(folder / "out", RUNS)]


def test_the_document_has_a_command_for_each_example() -> None:
    """And the test an application for each command."""
    assert commands().keys() == APPS.keys() == MEASURED.keys()


@pytest.mark.parametrize("application", [name for name in APPS if name != POLLS])
def test_an_example_of_quarts_is_measured_by_one_command(application: str, tmp_path: Path) -> None:
    """Without a failure: pages of templates and of SQLite, a part of a file, messages that come
    back, and events without end."""
    folder = written(application, tmp_path)
    if application == BLOG:
        made = "import blog; blog.init_db()"
        subprocess.run([sys.executable, "-c", made], cwd=folder / "src", check=True)
    found = bench(folder, commands()[application])
    assert all(row["failures"] == 0 and row["throughput_rps"] for row in found)
    assert MEASURED[application] <= {str(row["scenario"]) for row in found}
    if application == VIDEO:
        described = json.loads((folder / "out" / "environment.json").read_text())["application"]
        part = described["requests"]["GET /static/video.mp4"]
        assert (part["status"], part["body_bytes"]) == (206, 65_536)


def test_the_polls_of_aiohttp_are_measured_with_postgresql(
    database: dict[str, str | int], tmp_path: Path
) -> None:
    """From a function that takes the command line and reads a file of configuration."""
    folder = written(POLLS, tmp_path)
    (folder / "config").mkdir()
    lines = [f"{key} = {value!r}" for key, value in database.items()]
    (folder / "config" / "polls.toml").write_text("\n".join(["[postgres]", *lines]))
    found = bench(folder, commands()[POLLS])
    assert all(row["failures"] == 0 and row["throughput_rps"] for row in found)
    assert MEASURED[POLLS] <= {str(row["scenario"]) for row in found}
