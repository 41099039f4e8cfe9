"""What the WSGI servers here share: the application's side of them, and a server that blocks the
thread it runs in, watched from an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol
from wsgiref.types import StartResponse, WSGIEnvironment

from loopbench.servers.adapters.protocol import InForce


class Application(Protocol):
    """A WSGI application that knows which settings are in force in it."""

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]: ...

    def in_force(self) -> InForce:
        """The settings that are the application's: body_limit_bytes, debug, json."""


class ServerThread:
    """Runs `serve` in a thread of its own. Make it in the loop that watches it.

    The thread is a daemon: an interpreter that ends does not wait for it.
    """

    def __init__(self, name: str, serve: Callable[[], None]) -> None:
        self._serve = serve
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            self._serve()
        except (Exception, SystemExit) as error:
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody watches any more
            self._loop.call_soon_threadsafe(self._end, failure)

    def _end(self, failure: BaseException | None) -> None:
        if isinstance(failure, Exception):
            self._over.set_exception(failure)
        elif failure is not None:  # a future may not have it, and a loop would end with it
            self._over.set_exception(RuntimeError(f"the server's thread left with {failure!r}"))
        else:
            self._over.set_result(None)

    async def ended(self) -> None:
        """Return when `serve` has returned and the thread has ended; raise what it raised."""
        await asyncio.wait({self._over})
        self._thread.join()
        self._over.result()
