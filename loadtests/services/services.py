"""Redis and PostgreSQL of the machine's own packages, for as long as they are needed.

Each runs on loopback, on a free port, with its data in a temporary folder, and is stopped and
removed afterwards, also where the harness itself is killed: see `keeper`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.services.free_port import free_port
from loopbench.loadtests.services.supervisor import STOP_BOUND_S, Kill, Run, Start
from loopbench.results.schema import ROOT
from loopbench.servers.supervision.child_process import Child, interrupts_deferred
from loopbench.servers.supervision.control_pipe import ControlError
from loopbench.servers.supervision.messages import Question
from loopbench.servers.supervision.scratch import scratch_folder

A = TypeVar("A")

_READY_BOUND_S = 30.0
_POLL_S = 0.02
_BOUND_S = 60.0
_HOST = "127.0.0.1"
_ORDINARY_USERS = ("postgres", "nobody")
DATABASE_USER = "loopbench"


class ServiceMissing(HarnessError):
    """The machine does not have it; says what to install."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a service is made and run.

    end: the signal that asks it to end in order. prepare: commands to run once.
    ready: whether it can be used.
    """

    name: str
    url: str
    end: signal.Signals
    prepare: tuple[list[str], ...]
    command: list[str]
    ready: Callable[[], bool]


class Service:
    """A running service. `url` is how its clients name it."""

    def __init__(self, kind: _Kind, child: Child, port: int) -> None:
        self.url = kind.url
        self.port = port
        self.pid = 0
        self._kind = kind
        self._child = child

    def prepare(self) -> None:
        """What is done once, before the first start. Raises HarnessError."""
        for command in self._kind.prepare:
            status = self._ask(Run(tuple(command))).status
            if status != 0:
                raise HarnessError(
                    f"{command[0]} ended with status {status}: {self._child.last_words()}"
                )

    def start(self) -> None:
        """Start it, on the same port and data as before, and wait until it can be used.

        Raises HarnessError where it does not come up.
        """
        deadline = time.monotonic() + _READY_BOUND_S
        self.pid = self._ask(Start(tuple(self._kind.command))).pid
        while not self._kind.ready():
            if time.monotonic() > deadline:
                raise HarnessError(f"{self._kind.name} did not start: {self._child.last_words()}")
            if not _alive(self.pid):
                # PostgreSQL does not start while a process of a killed one is still ending.
                time.sleep(_POLL_S * 10)
                self.pid = self._ask(Start(tuple(self._kind.command))).pid
            time.sleep(_POLL_S)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return _alive(self.pid)

    def kill(self) -> None:
        """End it without a word to its clients; `start` brings it back."""
        self._ask(Kill())

    def _ask(self, question: Question[A]) -> A:
        try:
            return self._child.ask(question, _BOUND_S)
        except ControlError as error:
            raise HarnessError(f"{self._kind.name}: {error}") from error


@contextmanager
def redis_server() -> Iterator[Service]:
    """A Redis that keeps nothing on the disk. Raises ServiceMissing and HarnessError."""
    program = _program("redis-server", (), "redis-server", "--redis URL")
    port = free_port()
    settings = {
        "--bind": _HOST,
        "--port": str(port),
        "--save": "",
        "--appendonly": "no",
        "--loglevel": "warning",
    }
    command = [program, *(word for pair in settings.items() for word in pair)]
    url = f"redis://{_HOST}:{port}/0"
    kind = _Kind("redis-server", url, signal.SIGTERM, (), command, lambda: _redis_ready(port))
    with scratch_folder("service_") as folder, _kept(kind, folder, port) as service:
        yield service


@contextmanager
def postgres_server() -> Iterator[Service]:
    """A PostgreSQL with one empty database, of the package's own settings, fsync included.

    Raises ServiceMissing and HarnessError.
    """
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    program = _program("postgres", places, "postgresql", "--database URL")
    initdb = _program("initdb", places, "postgresql", "--database URL")
    is_ready = _program("pg_isready", places, "postgresql", "--database URL")
    port = free_port()
    asked = [is_ready, "-q", "-h", _HOST, "-p", str(port)]
    with scratch_folder("service_") as folder:
        data = str(folder / "data")
        make = [initdb, "-D", data, "-U", DATABASE_USER, "-A", "trust", "-E", "UTF8"]
        kind = _Kind(
            name="postgres",
            url=f"postgresql://{DATABASE_USER}@{_HOST}:{port}/postgres",
            end=signal.SIGINT,  # its "fast" shutdown, which does not wait for its clients
            prepare=([*make, "--locale=C", "--no-sync"],),
            command=[program, "-D", data, "-h", _HOST, "-p", str(port), "-k", ""],
            ready=lambda: subprocess.run(asked, check=False).returncode == 0,
        )
        with _kept(kind, folder, port) as service:
            yield service


@contextmanager
def _kept(kind: _Kind, folder: Path, port: int) -> Iterator[Service]:
    owner = _owner()
    with ExitStack() as cleanup:
        if owner is not None:
            os.chown(folder, *owner)
        log = cleanup.enter_context(tempfile.TemporaryFile())
        words = [str(folder), str(int(kind.end)), *map(str, owner or ())]
        with interrupts_deferred():
            command = (sys.executable, "-m", "loopbench.loadtests.services.supervisor", *words)
            child = Child(command, ROOT, log)
            cleanup.callback(child.stop, STOP_BOUND_S * 2)
        service = Service(kind, child, port)
        service.prepare()
        service.start()
        yield service


def _owner() -> tuple[int, int] | None:
    """Whom a service runs as where we are root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    for name in _ORDINARY_USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return user.pw_uid, user.pw_gid
    raise HarnessError(f"run as an ordinary user: there is none of {', '.join(_ORDINARY_USERS)}")


def _program(name: str, places: tuple[Path, ...] | list[Path], package: str, option: str) -> str:
    """Where a program is; what is not in the PATH may be in `places`."""
    path = shutil.which(name) or next(
        (str(place / name) for place in places if os.access(place / name, os.X_OK)), None
    )
    if path is None:
        raise ServiceMissing(
            f"{name} is not installed: install the package {package} of your system "
            f"(apt-get install {package}), or name a server that is there with {option}"
        )
    return path


def _version(place: Path) -> float:
    try:
        return float(place.parent.name)
    except ValueError:
        return 0.0


def _alive(pid: int) -> bool:
    """Whether it runs; one that has ended and is not waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _redis_ready(port: int) -> bool:
    try:
        with socket.create_connection((_HOST, port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
