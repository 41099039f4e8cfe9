"""A password of a store is written, printed and shown nowhere, in whichever form it comes."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import redis

from loopbench.loadtests.services.services import postgres_server, redis_server
from loopbench.servers.store_urls import problem, with_password_of, without_secrets
from tests.conftest import ROOT
from tests.forked import Program
from tests.loadtests.bench.benches import SHORT, Bench, one_error
from tests.servers.processes import PROC, descendants, needs_proc

SECRET = "hunter2Zq"
NOBODY = "127.0.0.1:1"
"""Where nothing listens: a server that opens a store there fails, and says so."""

REFUSED = {
    "database ?": ("--database", f"postgresql://me:{SECRET}?x@{NOBODY}/base"),
    "database #": ("--database", f"postgresql://me:x#{SECRET}@{NOBODY}/base"),
    "database /": ("--database", f"postgresql://me:x/{SECRET}@{NOBODY}/base"),
    "database @": ("--database", f"postgresql://me:x@{SECRET}@{NOBODY}/base"),
    "database space": ("--database", f"postgresql://me:x {SECRET}@{NOBODY}/base"),
    "database line": ("--database", f"postgresql://me:x\n{SECRET}@{NOBODY}/base"),
    "database %": ("--database", f"postgresql://me:%{SECRET}@{NOBODY}/base"),
    "database without host": ("--database", f"postgresql://me:{SECRET}"),
    "database bracket": ("--database", f"postgresql://[::{SECRET}"),
    "database query #": ("--database", f"postgresql://{NOBODY}/base?password=x#{SECRET}"),
    "database query &": ("--database", f"postgresql://{NOBODY}/base?password=x&{SECRET}"),
    "database query @": ("--database", f"postgresql://{NOBODY}/base?password=x@{SECRET}"),
    "database scheme": ("--database", f"mysql://me:{SECRET}@{NOBODY}/base"),
    "redis ?": ("--redis", f"redis://:x?{SECRET}@{NOBODY}/0"),
    "redis #": ("--redis", f"redis://:{SECRET}#x@{NOBODY}/0"),
    "redis /": ("--redis", f"redis://:{SECRET}/x@{NOBODY}/0"),
    "redis @": ("--redis", f"redis://:x@{SECRET}@{NOBODY}/0"),
    "redis bracket": ("--redis", f"redis://:{SECRET}@[::1"),
    "redis query": ("--redis", f"redis://{NOBODY}/0?password=x&{SECRET}"),
    "a misspelt option": (f"--databse=postgresql://me:{SECRET}@{NOBODY}/base",),
    "another argument": (f"postgresql://me:x {SECRET}@{NOBODY}/base",),
    "an argument with a query": (f"postgresql://{NOBODY}/base?password=x&{SECRET}",),
    "a URL as a number": ("--rounds", f"redis://:{SECRET}@{NOBODY}/0"),
}

TAKEN: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "in front of the host": (
        (
            *("--database", f"postgresql://me:{SECRET}@{NOBODY}/base"),
            *("--redis", f"redis://:{SECRET}@{NOBODY}/0"),
        ),
        {},
    ),
    "in the query": (
        (
            f"--database=postgresql://{NOBODY}/base?user=me&password={SECRET}",
            f"--redis=redis://{NOBODY}/0?password={SECRET}",
        ),
        {},
    ),
    "escaped": (
        (
            *("--database", f"postgresql://me:%40{SECRET}%2F@{NOBODY}/base?sslp%61ssword={SECRET}"),
            *("--redis", f"unix://:{SECRET}%3F@/nowhere/redis.sock?db=0"),
        ),
        {},
    ),
    "in the environment": (
        ("--database", f"postgresql://me@{NOBODY}/base", "--redis", f"redis://{NOBODY}/0"),
        {"PGPASSWORD": SECRET, "REDISCLI_AUTH": SECRET},
    ),
}


@pytest.mark.parametrize("form", REFUSED)
def test_a_url_that_hides_its_password_is_refused(
    form: str, loadtests: Program, tmp_path: Path
) -> None:
    """One line that holds nothing of it, exit status 2, and no folder."""
    done = loadtests.run("bench", "--out", str(tmp_path / "run"), *REFUSED[form])
    assert done.status == 2, done
    one_error(done.err)
    assert SECRET not in done.out + done.err
    assert list(tmp_path.iterdir()) == []


@needs_proc
@pytest.mark.parametrize("form", TAKEN)
def test_a_password_that_is_taken_is_shown_nowhere(form: str, tmp_path: Path) -> None:
    """In no file of the folder, in nothing printed, in no command line of a child."""
    options, variables = TAKEN[form]
    cells = ("--stack", "aiohttp", "--scenario", "db-save-32", "--rounds", "1", *SHORT)
    with Bench(tmp_path / "run", *cells, *options, variables=variables) as bench:
        _search(bench, tmp_path)
        said = bench.errors
    assert "aiohttp was left out" in said


@needs_proc
def test_a_password_of_a_load_that_is_measured_is_shown_nowhere(tmp_path: Path) -> None:
    """Real stores behind the password, a load that saves to both of them, and the report of it."""
    cells = ("--stack", "aiohttp", "--scenario", "save-both-none", "--rounds", "1")
    window = (*SHORT, "--duration", "1")  # a busy machine gives no answer at all within 0.2 s
    with redis_server() as pairs, postgres_server() as base, ExitStack() as cleanup:
        client = cleanup.enter_context(redis.Redis.from_url(pairs.url))
        client.config_set("requirepass", SECRET)
        hidden = pairs.url.replace("redis://", f"redis://:{SECRET}@", 1)
        me = base.url.replace("@", f":{SECRET}@", 1)
        assert SECRET in me
        options = ("--redis", hidden, "--database", me)
        with Bench(tmp_path / "run", *cells, *window, *options) as bench:
            texts = _search(bench, tmp_path)
            rows = bench.rows()
            assert bench.process.returncode == 0, bench.errors
    assert {"report.html", "report.md", "summary.csv"} <= {Path(name).name for name in texts}
    (row,) = rows
    assert row["failures"] == 0 < row["requests"]


def _search(bench: Bench, place: Path) -> dict[str, bytes]:
    """Wait for a bench's end; the secret may be in nothing that it has written below `place`, and
    in no command line that its children had. Returns what was searched."""
    commands: set[bytes] = set()
    while bench.process.poll() is None:
        commands |= {_command(pid) for pid in descendants() - {bench.process.pid}}
        time.sleep(0.02)
    texts = {str(path): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert {"plan.json", "environment.json", "log.txt"} <= {Path(name).name for name in texts}
    # Between its fork and its exec a child shows the command of the bench itself.
    commands = {one for one in commands if b"\0loadtests\0bench\0" not in one}
    assert any(b"child_main" in command for command in commands)
    for where, text in {**texts, "command lines": b"\n".join(commands)}.items():
        assert SECRET.encode() not in text, where
    return texts


def _command(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


@needs_proc
def test_the_line_to_go_on_with_says_what_it_leaves_out(tmp_path: Path) -> None:
    """Ctrl-C: the command without the password, and a word that it is without."""
    cells = ("--stack", "asyncio", "--scenario", "async-1", "--duration", "60")
    with Bench(tmp_path / "run", *cells, "--redis", f"redis://:{SECRET}@{NOBODY}/0") as bench:
        while not bench.loading():
            assert bench.process.poll() is None, bench.errors
            time.sleep(0.02)
        bench.interrupt()
        assert bench.ended() == 130
        last = bench.errors.splitlines()[-1]
    assert "; credentials are left out here; go on with: " in last
    assert f"redis://{NOBODY}/0" in last
    assert SECRET not in last


def test_redis_takes_the_password_of_the_environment() -> None:
    """A real Redis that demands one."""
    word = f"{SECRET} &@/#"
    with redis_server() as service:
        with redis.Redis.from_url(service.url) as client:
            client.config_set("requirepass", word)
        with pytest.raises(redis.AuthenticationError), redis.Redis.from_url(service.url) as client:
            client.ping()
        url = with_password_of({"REDISCLI_AUTH": word}, "redis_url", service.url)
        with redis.Redis.from_url(url) as client:
            assert client.ping()
    assert problem(url, ("redis",)) is None
    assert SECRET not in without_secrets(url)


def test_postgres_takes_the_password_of_the_environment() -> None:
    """As its own client reads the URL; one that stands in the URL already stays."""
    word = f"{SECRET} &@/#"
    with postgres_server() as service:
        url = with_password_of({"PGPASSWORD": word}, "database_url", service.url)
        with psycopg.connect(url) as connection:
            assert connection.info.password == word
    own = "postgresql://me:mine@host/base"
    assert with_password_of({"PGPASSWORD": word}, "database_url", own) == own


@pytest.mark.parametrize("form", ["postgresql://[::", f"postgresql://me:x/{SECRET}@host/base"])
def test_servers_run_refuses_the_same(form: str) -> None:
    """The foreground server, too."""
    command = [sys.executable, "-m", "servers", "run", "aiohttp", "--port", "0"]
    done = subprocess.run(
        [*command, "--database-url", form],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 2, done
    assert SECRET not in done.stderr
    assert done.stderr.count("\n") == 1
