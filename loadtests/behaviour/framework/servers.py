"""Run an application on its framework's own server, in a loop in a thread of its own.

As the frameworks' documentation shows it and with their defaults, unlike the measured stacks, whose
settings are made equal: what is asked here is what a person gets who writes it down like that. The
experiment itself is the client, in the main thread.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import hypercorn.asyncio
from aiohttp import web
from hypercorn.config import Config
from hypercorn.logging import Logger

T = TypeVar("T")

READY_BOUND_S = 10.0
ABANDON_S = 1.0
"""How long the end of an experiment waits for a server that it has not stopped itself."""

App = Any
"""An application: web.Application, Quart, or ASGI such as a Quart in a middleware."""

Build = Callable[..., App]
"""Makes an application."""

Apps = Mapping[str, Build]
"""Stack to what makes its application."""

Listening = Callable[[int], None]
Serve = Callable[[Listening, asyncio.Event], Awaitable[None]]
"""Serves until the event is set; calls back with its port once it accepts connections."""

Options = dict[str, Any]


class Live:
    """A server that accepts connections on `port`, made by one of the functions below.

    loop: its event loop, which runs in `thread`. thread: not the main thread.
    """

    def __init__(self, serve: Serve) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, args=(serve,), name="loop", daemon=True)
        self._asked_to_stop = asyncio.Event()
        self._listening: Future[int] = Future()
        self._ended: Future[None] = Future()
        self.thread.start()
        self.port = self._listening.result(READY_BOUND_S)

    def call(self, coroutine: Coroutine[Any, Any, T], bound_s: float = 10.0) -> T:
        """Run a coroutine on the server's loop, and wait for its result.

        Raises what it raises, and TimeoutError.
        """
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(bound_s)

    def begin_stop(self) -> None:
        """Ask for a graceful stop; returns at once. It may be asked again."""
        self.loop.call_soon_threadsafe(self._asked_to_stop.set)

    def stopped(self, bound_s: float) -> bool:
        """Whether serving ends within so long. Raises what serving raised."""
        if not wait([self._ended], bound_s).done:
            return False
        self._ended.result()
        return True

    def stop(self, bound_s: float = READY_BOUND_S) -> float | None:
        """Stop gracefully; seconds that it took, or None where it was not done within so long."""
        began = time.perf_counter()
        self.begin_stop()
        return time.perf_counter() - began if self.stopped(bound_s) else None

    def _run(self, serve: Serve) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(serve(self._listening.set_result, self._asked_to_stop))
            self._ended.set_result(None)
        except BaseException as error:
            waited_for = self._ended if self._listening.done() else self._listening
            waited_for.set_exception(error)


@contextmanager
def serve(app: App, **options: Any) -> Iterator[Live]:
    """Run an application on its framework's server.

    options: of `web.AppRunner` for an aiohttp application, such as handler_cancellation=True;
    attributes of Hypercorn's Config for any other, such as graceful_timeout=1, and beside
    them cancel_after_s: cancel what serves where it has not ended so long after the trigger.
    Raises what the application's start-up raises.
    """
    run = _aiohttp if isinstance(app, web.Application) else _hypercorn
    server = Live(partial(run, app, options))
    try:
        yield server
    finally:
        server.begin_stop()
        # One that does not stop in this time, or stops with an error, may be what the
        # experiment is about. The process of the experiment ends it.
        with suppress(Exception):
            server.stopped(ABANDON_S)


async def _aiohttp(
    app: web.Application, options: Options, listening: Listening, stop: asyncio.Event
) -> None:
    """Run `app` through AppRunner and TCPSite; stopping it is `runner.cleanup()`."""
    runner = web.AppRunner(app, **options)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    listening(runner.addresses[0][1])  # not site.port, which is new in aiohttp 3.14
    await stop.wait()
    await runner.cleanup()


async def _hypercorn(app: App, options: Options, listening: Listening, stop: asyncio.Event) -> None:
    """Run an ASGI application through `hypercorn.asyncio.serve`; stopping it is its trigger."""

    class Telling(Logger):
        """Hypercorn says by its log alone that it listens, and where."""

        async def info(self, message: str, *args: Any, **kwargs: Any) -> None:
            if message.startswith("Running on "):
                listening(int(message.split()[2].rpartition(":")[2]))

    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.logger_class = Telling
    cancel_after_s = options.pop("cancel_after_s", None)
    for name, value in options.items():
        if not hasattr(config, name):
            raise TypeError(f"Hypercorn has no option {name}")
        setattr(config, name, value)
    running = hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait)
    if cancel_after_s is None:
        await running
        return
    serving = asyncio.ensure_future(running)
    await stop.wait()
    await asyncio.wait({serving}, timeout=cancel_after_s)
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
