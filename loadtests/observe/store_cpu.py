"""CPU time of the database's and of Redis's own processes, while servers use them.

PostgreSQL is many processes, and one that has ended is not to be forgotten: its time is read
as that of the postmaster, of its children, and of the children that it has buried. Only where
it runs on this machine: the process that serves us is asked for by SQL and must be there, under
that name and begun at that time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from loopbench.loadtests.scenarios.models import Load
from loopbench.servers.settings import Settings

_PROC = Path("/proc")
_BOUND_S = 2
_SAME_START_S = 2.0
DATABASE = ("/db/", "/save/both")
"""Targets that a database is asked for begin so."""

_REDIS = ("/save/both", "/ws/feed")
_WHO = "SELECT pg_backend_pid(), extract(epoch FROM backend_start)::float8 "
_WHO += "FROM pg_stat_activity WHERE pid = pg_backend_pid()"


@dataclass(frozen=True, slots=True)
class CpuReading:
    """Seconds of CPU time at an instant. None: not read."""

    monotonic_ns: int
    database_s: float | None = None
    redis_s: float | None = None


class StoreCpu:
    """Reads the stores that are named and that one of `loads` uses. Never raises for a store
    that is away: what it has not said stays None."""

    def __init__(self, settings: Settings, loads: Iterable[Load]) -> None:
        targets = [load.case.request.target for load in loads if not load.own]
        self._redis_url: str | None = _if_used(settings.redis_url, _REDIS, targets)
        url = _if_used(settings.database_url, DATABASE, targets)
        self._postmaster = None if url is None else _postmaster(url)
        self._redis_run: str | None = None

    def read(self) -> CpuReading:
        """As they are now."""
        database_s = None if self._postmaster is None else _cpu_of_all_s(self._postmaster)
        redis_s = None if self._redis_url is None else self._read_redis(self._redis_url)
        return CpuReading(time.monotonic_ns(), database_s, redis_s)

    def _read_redis(self, url: str) -> float | None:
        """None too where it has been started anew since it was first read."""
        import redis

        if not _is_here(url):
            return None
        try:
            with redis.Redis.from_url(url, socket_timeout=_BOUND_S) as client:
                cpu_info: Mapping[str, Any] = client.info("cpu")
                run = str(client.info("server")["run_id"])
        except (redis.RedisError, OSError, KeyError):
            return None
        self._redis_run = self._redis_run or run
        if run != self._redis_run:
            return None
        return sum(float(cpu_info[f"used_cpu_{kind}"]) for kind in ("user", "sys"))


def used(before: float | None, after: float | None) -> float | None:
    """What was used in between; None where either is not known."""
    return None if before is None or after is None else after - before


def _if_used(url: str | None, paths: tuple[str, ...], targets: Iterable[str]) -> str | None:
    return url if any(target.startswith(paths) for target in targets) else None


def _is_here(url: str) -> bool:
    return (urlsplit(url).hostname or "localhost") in ("localhost", "127.0.0.1", "::1")


def _postmaster(url: str) -> psutil.Process | None:
    """The process that begins all others of the server at `url`, where it is on this machine."""
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=_BOUND_S) as connection:
            row = connection.execute(_WHO).fetchone()
            # Looked at while the connection stands: without it the process is gone.
            return None if row is None else _parent(int(row[0]), float(row[1]))
    except (psycopg.Error, psutil.Error):
        return None


def _parent(pid: int, started_at: float) -> psutil.Process | None:
    backend = psutil.Process(pid)
    same = abs(backend.create_time() - started_at) <= _SAME_START_S
    return backend.parent() if same and backend.name().startswith("postgres") else None


def _cpu_of_all_s(postmaster: psutil.Process) -> float | None:
    """Of all that it has begun; None where it is not there any more, or a kernel does not tell."""
    try:
        times, running = postmaster.cpu_times(), postmaster.is_running()
    except psutil.Error:
        return None
    own_s, children = _cpu_s(postmaster.pid), _children(postmaster.pid)
    if not running or own_s is None or children is None:
        return None
    living_s = sum(_cpu_s(pid) or 0.0 for pid in children)
    return own_s + living_s + float(times.children_user + times.children_system)


def _children(pid: int) -> list[int] | None:
    try:
        return [int(child) for child in (_PROC / f"{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return None


def _cpu_s(pid: int) -> float | None:
    """None for a process that has just ended; its time is then among those buried."""
    try:
        return int((_PROC / str(pid) / "schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return None
