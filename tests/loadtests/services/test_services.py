"""Redis and PostgreSQL for as long as they are needed, and nothing of them afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from loopbench.loadtests.services.free_port import free_port
from loopbench.loadtests.services.services import (
    Service,
    ServiceMissing,
    postgres_server,
    redis_server,
)
from tests.servers.processes import BOUND_S, ROOT, eventually

ASKERS = """
import os
from loopbench.loadtests.services.free_port import free_port
for _ in range(8):
    if os.fork() == 0:
        os.write(1, " ".join(str(free_port()) for _ in range(6)).encode() + b"\\n")
        os._exit(0)
for _ in range(8):
    os.wait()
"""


def test_no_port_is_given_to_two_askers() -> None:
    """Eight processes that ask before anybody listens, each for more than those of its own id."""
    done = subprocess.run(
        [sys.executable, "-c", ASKERS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ports = [*done.stdout.split(), *(str(free_port()) for _ in range(6))]
    assert len(ports) == len(set(ports)) == 54


def pinged(service: Service) -> bool:
    with redis.Redis.from_url(service.url) as client:
        return bool(client.ping())


def test_redis() -> None:
    """Redis answers; killed and started again it answers on the same port; then it is gone."""
    with redis_server() as service:
        assert pinged(service)
        first = service.pid
        service.kill()
        with pytest.raises(redis.exceptions.ConnectionError):
            pinged(service)
        assert not psutil.pid_exists(first)
        service.start()
        assert pinged(service)
        assert service.pid != first
    assert not psutil.pid_exists(service.pid)


def test_postgres() -> None:
    """PostgreSQL answers, not as root, and keeps its data over a kill."""
    with postgres_server() as service:
        assert psutil.Process(service.pid).uids().effective != 0
        folder = Path(psutil.Process(service.pid).cwd()).parent
        with psycopg.connect(service.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        service.kill()
        service.start()
        with psycopg.connect(service.url) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (7,)
    assert not psutil.pid_exists(service.pid)
    assert not folder.exists()


def test_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is not installed is one line that names the package and the way around."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceMissing) as caught, redis_server():
        pass
    said = str(caught.value)
    assert "\n" not in said
    assert "apt-get install redis-server" in said
    assert "--redis URL" in said


def test_missing_as_a_command(tmp_path: Path) -> None:
    """The command says the same and ends with status 1."""
    done = subprocess.run(
        [sys.executable, "-m", "loadtests", "services"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: redis-server is not installed")
    assert done.stderr.count("\n") == 1


def _words(process: psutil.Process) -> list[str]:
    """Its command; none of a backend of PostgreSQL that has ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


@contextmanager
def command() -> Iterator[tuple[subprocess.Popen[str], dict[str, str], list[psutil.Process]]]:
    """`python -m loadtests services`, the URLs it prints and every process beneath it."""
    with subprocess.Popen(
        [sys.executable, "-m", "loadtests", "services"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            urls = dict(process.stdout.readline().split() for _ in range(2))
            assert "another terminal" in process.stdout.readline()
            yield process, urls, psutil.Process(process.pid).children(recursive=True)
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
def test_nothing_is_left(number: signal.Signals) -> None:
    """Ctrl-C, and even the harness's sudden death, end both services and remove their folders."""
    with command() as (process, urls, below):
        with redis.Redis.from_url(urls["Redis"]) as client:
            assert client.ping()
        with psycopg.connect(urls["PostgreSQL"]) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        words = {word for one in below for word in _words(one)}
        folders = {word for word in words if "loopbench_service_" in word}
        process.send_signal(number)
        process.wait(BOUND_S)
        assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert eventually(lambda: not any(one.is_running() for one in below))
    roots = {folder for folder in folders if not folder.endswith("/data")}
    assert len(roots) == 2
    assert eventually(lambda: not any(Path(root).exists() for root in roots))


def test_a_store_that_ends_is_named() -> None:
    """As soon as it has ended, since a bench says only that it cannot reach it; the command goes on
    with the other, and ends with the last of them."""
    with command() as (process, _, below):
        stores = {"redis-server": "Redis", "postgres": "PostgreSQL"}
        assert process.stderr is not None
        for program, name in stores.items():
            first = next(one for one in below if _words(one)[:1] and program in _words(one)[0])
            first.kill()
            said = process.stderr.readline()
            assert said == f"{name} has ended by itself; its data are gone\n"
        assert process.stderr.readline().startswith("error: neither store runs any more")
        assert process.wait(BOUND_S) == 1
    assert eventually(lambda: not any(one.is_running() for one in below))


def test_keeper_killed() -> None:
    """Should the keeper itself be killed, the kernel ends the service."""
    with redis_server() as service:
        keeper = psutil.Process(service.pid).parent()
        assert keeper is not None
        keeper.kill()
        assert eventually(lambda: not psutil.pid_exists(service.pid))
