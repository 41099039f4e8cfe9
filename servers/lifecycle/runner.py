"""One server with a loop of its own, from its start until it is asked to stop.

Both the harness's child process and `python -m servers run` go through here,
so that a person with curl talks to what the harness measures.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from loopbench.servers import starting
from loopbench.servers.errors import ServerError, StartupFailed
from loopbench.servers.installed import available
from loopbench.servers.lifecycle import in_loop
from loopbench.servers.lifecycle.in_loop import Server
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import NO_LOOP, Stack

if TYPE_CHECKING:
    from loopbench.servers.probe.probe import Probe


def _asyncio_loop(watching: Probe | None) -> asyncio.AbstractEventLoop:
    if watching is None:
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(watching.new_selector())


def _uvloop(watching: Probe | None) -> asyncio.AbstractEventLoop:
    # It has no selector: a Probe reads the time that its thread is busy instead.
    import uvloop  # only where it is asked for: it is optional

    return uvloop.new_event_loop()


LOOPS: dict[str, Callable[[Probe | None], asyncio.AbstractEventLoop]] = {
    "asyncio": _asyncio_loop,
    "uvloop": _uvloop,
    NO_LOOP: lambda watching: asyncio.new_event_loop(),
}
"""How to make the loop that a Stack's `loop` names, under a Probe or none."""

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """A request for a graceful stop: any thread may make it, at any time, more than once."""

    def __init__(self) -> None:
        self._future: Future[None] = Future()

    def ask(self) -> None:
        """Make the request. It is remembered when no loop runs yet."""
        with suppress(InvalidStateError):
            self._future.set_result(None)

    async def asked(self) -> None:
        """Return once somebody has asked."""
        await asyncio.wrap_future(self._future)


def run(
    stack: Stack,
    *,
    host: str,
    port: int,
    settings: Settings,
    stop: StopRequest,
    announce: Callable[[Server], None],
    watching: Probe | None = None,
) -> None:
    """Serve `stack` until `stop` is asked or SIGINT or SIGTERM comes; then stop gracefully.

    Call it in the main thread. `announce` is called on the loop, once, when
    the server accepts connections. Raises what `lifecycle.start` raises, and
    ServerError when the server ends without having been asked to.

    watching: the Probe that is on, and is to watch the loop, where one serves, and its
        executor.
    """
    if stack.loop not in LOOPS:
        known = ", ".join(LOOPS)
        raise ServerError(f"stack {stack.name} wants a loop {stack.loop!r}; known are: {known}")
    obstacle = available(stack)
    if obstacle is not None:
        raise StartupFailed(f"stack {stack.name} cannot run here: {obstacle}")
    starting.prepare(stack)
    new_loop = partial(LOOPS[stack.loop], watching)
    with asyncio.Runner(debug=settings.debug, loop_factory=new_loop) as runner:
        loop = runner.get_loop()
        _stop_on_signals(loop, stop)
        loop.set_default_executor(executor(settings.executor_threads, watching))
        start = in_loop.start(stack, host=host, port=port, settings=settings)
        serves = None if stack.loop == NO_LOOP else loop
        with nullcontext() if watching is None else watching.attached(serves):
            runner.run(_serve(start, stop, announce))


async def _serve(
    start: Coroutine[Any, Any, Server], stop: StopRequest, announce: Callable[[Server], None]
) -> None:
    asked = asyncio.create_task(stop.asked())
    starting = asyncio.create_task(start)
    await asyncio.wait({asked, starting}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait({starting})
        if starting.cancelled():
            return
    server = await starting
    try:
        announce(server)
        ended = asyncio.create_task(server.ended())
        await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            await ended
            raise ServerError(f"{server.stack.name} ended although nobody asked it to stop")
    finally:
        await server.stop()


def executor(threads: int, watching: Probe | None) -> ThreadPoolExecutor:
    """The default executor of a loop that serves, under a Probe or none."""
    # "asyncio" is what the loop itself would name the threads of its default executor.
    if watching is None:
        return ThreadPoolExecutor(threads, "asyncio")
    return watching.new_executor(threads, "asyncio")


def _stop_on_signals(loop: asyncio.AbstractEventLoop, stop: StopRequest) -> None:
    """The first signal asks for a graceful stop; after it the default action is back,
    so that a second one ends a process whose stop does not come to an end. One that was
    ignored before, as under nohup, stays ignored."""
    heeded = [number for number in _STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]

    def asked() -> None:
        stop.ask()
        for number in heeded:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in heeded:
        loop.add_signal_handler(number, asked)
