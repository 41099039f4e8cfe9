"""The loop's default executor: its size in words that hold on every machine, and another one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

FORMULA = "min(32, cpus + 4)"
"""From the documentation of concurrent.futures.ThreadPoolExecutor."""

_cpus: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
"""Since Python 3.13 those that the process may use, before those that there are."""


def default_size() -> int:
    """FORMULA, of this machine."""
    return min(32, (_cpus() or 1) + 4)


def in_words(count: int) -> str:
    """FORMULA where that is what was counted, else the count."""
    return FORMULA if count == default_size() else str(count)


def setting(threads: int) -> str:
    """How one writes that the pool is to have so many threads."""
    return f"loop.set_default_executor(ThreadPoolExecutor({threads}))"


async def set_pool(threads: int | None, _: object = None) -> None:
    """A start-up hook of either stack that exchanges the pool; None: it stays as it is."""
    if threads is not None:
        executor = ThreadPoolExecutor(threads, thread_name_prefix="mine")
        asyncio.get_running_loop().set_default_executor(executor)
