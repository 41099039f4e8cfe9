"""What a person's application brings with it that limits, or changes, what is measured of it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_DEPTH = 30
"""Of middleware around an application: more than anybody has, and an end where they go in rings."""
_NAMES = 4
_INNER = ("app", "asgi_app", "_app", "application", "wsgi_application", "wsgi_app")


def notes(app: object) -> list[str]:
    """What it holds, in a sentence each."""
    wrapping = list(_of_wrappers(app))
    # The threads of a wrapper are its note's.
    return [*_of_the_loop(), *wrapping, *([] if wrapping else _of_threads())]


def _of_the_loop() -> Iterator[str]:
    policy = type(asyncio.get_event_loop_policy()).__module__
    if policy.partition(".")[0] == "uvloop":
        yield (
            "it sets uvloop for its process, which the server here does not take up: it is "
            "measured on the loop that --on names (asyncio's, or NAME-uvloop)"
        )


def _of_threads() -> Iterator[str]:
    """Of threads that are not the loop's: nothing of what waits for them is read."""
    asgiref, loop = sys.modules.get("asgiref.sync"), asyncio.get_running_loop()
    known = {
        id(getattr(loop, "_default_executor", None)),
        id(getattr(getattr(asgiref, "SyncToAsync", None), "single_thread_executor", None)),
    }
    every = [executor for executor in gc.get_objects() if type(executor) is ThreadPoolExecutor]
    executors = [executor for executor in every if id(executor) not in known]
    if executors:
        many = "an executor" if len(executors) == 1 else f"{len(executors)} executors"
        named = ", ".join(sorted(map(_executor, executors))[:_NAMES])
        yield (
            f"it has {many} of its own ({named}{', …' if len(executors) > _NAMES else ''}): what "
            "waits for a thread there is in thread_pools.csv; the columns of the executor are "
            "those of the loop's"
        )
    theirs = {thread for executor in every for thread in executor._threads}
    others = [
        thread.name
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and thread not in theirs
    ]
    if others:
        names = ", ".join(sorted(others)[:_NAMES])
        many = "a thread" if len(others) == 1 else f"{len(others)} threads"
        they = "it shares" if len(others) == 1 else "they share"
        each = "its CPU time" if len(others) == 1 else "the CPU time of each"
        yield (
            f"it runs {many} of its own beside the loop's ({names}): {they} "
            f"the process's interpreter, and threads.csv has {each}"
        )


def _executor(executor: ThreadPoolExecutor) -> str:
    """What its threads are called, and how many it may have. Python numbers those that nobody
    named, and may do it otherwise in the process that is measured."""
    size, name = executor._max_workers, str(executor._thread_name_prefix)
    called = "unnamed" if name.startswith("ThreadPoolExecutor-") else name
    return f"{called}: {size} {'thread' if size == 1 else 'threads'}"


def _of_wrappers(app: object) -> Iterator[str]:
    for layer in layers(app):
        name = f"{type(layer).__module__}.{type(layer).__qualname__}"
        if name == "asgiref.wsgi.WsgiToAsgi":
            yield (
                "it is a WSGI application under asgiref's wrapper: all its requests run one after "
                "another in one thread, which is its limit; a2wsgi.WSGIMiddleware(app, workers=10) "
                "runs them in several"
            )
        if name == "a2wsgi.wsgi.WSGIMiddleware":
            threads = getattr(getattr(layer, "executor", None), "_max_workers", None)
            many = "" if threads is None else f", {threads} of them"
            yield (
                "it is a WSGI application under a2wsgi's wrapper: its requests run in threads of "
                f"their own{many}, which is its limit"
            )


def layers(app: object) -> Iterator[object]:
    """The application, and what it wraps, from the outside in."""
    identities: set[int] = set()
    layer: object | None = app
    while layer is not None and id(layer) not in identities and len(identities) < _DEPTH:
        identities.add(id(layer))
        yield layer
        inner = (_held(layer, name) for name in _INNER)
        # A bound method, as Quart's `asgi_app`, is of an application that was seen.
        candidates = (getattr(value, "__self__", value) for value in inner)
        layer = next(
            (value for value in candidates if callable(value) and id(value) not in identities), None
        )


def _held(layer: object, name: str) -> Any:
    """An attribute that it has, and not one that its `__getattr__` makes for any name."""
    missing = object()
    if inspect.getattr_static(layer, name, missing) is missing:
        return None
    return getattr(layer, name, None)
