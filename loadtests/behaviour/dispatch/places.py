"""Where code runs: on which thread, and on which loop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass

from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.framework.servers import Live


@dataclass(frozen=True, slots=True)
class Place:
    """loop: the one that runs on the thread, None where none does."""

    thread: threading.Thread
    loop: asyncio.AbstractEventLoop | None

    def on(self, server: Live) -> str:
        """In words, as seen from a server."""
        return f"{self._thread(server.thread)}, {self._loop(server.loop)}"

    def _thread(self, serving: threading.Thread) -> str:
        if self.thread is serving:
            return "the loop's thread"
        return "main thread" if self.thread is threading.main_thread() else "worker thread"

    def _loop(self, serving: asyncio.AbstractEventLoop) -> str:
        if self.loop is None:
            return "no running loop"
        return "on the server's loop" if self.loop is serving else "on a loop of its own"


def here() -> Place:
    """Where this is called."""
    loop = None
    with suppress(RuntimeError):
        loop = asyncio.get_running_loop()
    return Place(threading.current_thread(), loop)


class Places:
    """Where something was called, in order; any thread may add to it."""

    def __init__(self) -> None:
        self.seen: list[Place] = []

    def note(self) -> None:
        """It is called here."""
        self.seen.append(here())

    def answer(self, server: Live) -> Answer:
        """Where it ran. Raises LookupError where it never did."""
        if not self.seen:
            raise LookupError("it was never called")
        words = dict.fromkeys(place.on(server) for place in self.seen)
        threads = dict.fromkeys(place.thread.name for place in self.seen)
        return Answer(
            " and ".join(words),
            f"called {_times(len(self.seen))}, on thread {' and '.join(map(repr, threads))}; the "
            f"server's loop runs in thread {server.thread.name!r}",
        )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
