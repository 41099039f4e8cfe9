"""Begins first what takes longest, so that nothing long is left to run alone at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    kind: str
    share: float
    work: Callable[[], Any]
    done: Future[Any]


class LongestFirst:
    """Hands work to a pool. What nobody has timed yet comes before all else, in the order in which
    it was submitted."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._waiting: list[_Job] = []
        self._took_s: dict[str, float] = {}
        self._lock = Lock()

    def submit(self, work: Callable[[], T], kind: str, share: float = 1.0) -> Future[T]:
        """Do it when its turn comes. kind: work of one kind takes as long each time; share: that
        part of it."""
        job = _Job(kind, share, work, Future())
        with self._lock:
            self._waiting.append(job)
        self._pool.submit(self._do_one)
        return job.done

    def _do_one(self) -> None:
        with self._lock:
            job = max(self._waiting, key=self._expected_s)
            self._waiting.remove(job)
        began = time.monotonic()
        try:
            result = job.work()
        except BaseException as error:
            job.done.set_exception(error)
        else:
            self._took_s.setdefault(job.kind, (time.monotonic() - began) / job.share)
            job.done.set_result(result)

    def _expected_s(self, job: _Job) -> float:
        took_s = self._took_s.get(job.kind)
        return math.inf if took_s is None else took_s * job.share
