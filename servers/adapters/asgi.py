"""What the ASGI servers here have in common: the application's side of them, and its end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from typing import Any, Protocol, Self

from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.settings import Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

LAST_WORDS_S = 1.0
"""How long a request that was cancelled may take to end its connection properly."""


class Application(Protocol):
    """An ASGI application, and what a server that is to stop it in order asks of it.

    startup_failure: what its start-up raised. ASGI itself hands on a mere text.
    """

    startup_failure: BaseException | None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def handling(self) -> set[asyncio.Task[Any]]:
        """The tasks in which it handles a request or receives its body."""

    def in_force(self) -> InForce:
        """The settings that are the application's: body_limit_bytes, debug, json."""


class TaskServing:
    """What the ASGI servers here share: each serves in a task of this loop.

    accepting: set by the server once it accepts connections. Each adds `_serve`, which closes the
    listener, and how it is asked to stop and how its connections are ended.
    """

    def __init__(self, app: Application, listener: socket.socket, settings: Settings) -> None:
        self.port: int = listener.getsockname()[1]
        self.accepting = asyncio.Event()
        self._app = app
        self._listener = listener
        self._grace_s = settings.grace_s
        self._task: asyncio.Task[None]

    async def _serve(self) -> None:
        raise NotImplementedError

    def _ask_to_stop(self) -> None:
        raise NotImplementedError

    def _abort(self) -> None:
        raise NotImplementedError

    async def begin(self) -> Self:
        """Serve, and return once connections are accepted.

        Raises what the start-up raised; one that is cancelled is stopped at its end.
        """
        self._task = asyncio.create_task(self._serve())
        ready = asyncio.create_task(self.accepting.wait())
        try:
            await asyncio.wait({ready, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                self._task.result()
        except BaseException:
            self._ask_to_stop()
            await asyncio.wait({self._task})
            raise
        finally:
            ready.cancel()
        return self

    async def stop(self) -> None:
        """Have the server stop; after the grace see to it.

        The servers' own ends of the grace do not do: on Python 3.12 and later Hypercorn first
        waits for every connection to close, without a bound, and where a server does cancel
        its tasks Quart lets the handlers go on.
        """
        self._ask_to_stop()
        await asyncio.wait({self._task}, timeout=self._grace_s)
        overdue = self._app.handling()
        for task in overdue:
            task.cancel()
        await asyncio.wait({self._task, *overdue}, timeout=LAST_WORDS_S)
        self._abort()
        await self.ended()

    async def ended(self) -> None:
        """See `protocol.Serving`."""
        await asyncio.wait({self._task})
        self._task.result()


async def end_lifespan(lifespan: object) -> None:
    """End the task of a failed start-up, which its server leaves waiting for a shutdown that
    never comes. lifespan: the server's object whose method is the task's outermost."""
    left = {task for task, names in outermost_frames() if names.get("self") is lifespan}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left)


def outermost_frames() -> Iterator[tuple[asyncio.Task[Any], Mapping[str, Any]]]:
    """Each of the loop's tasks with the variables of its outermost frame.

    Only asyncio itself knows of some servers' connections and of some frameworks'
    requests: they are found by these variables.
    """
    for task in asyncio.all_tasks():
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None:
            yield task, frame.f_locals


def awaited_frames(task: asyncio.Task[Any]) -> Iterator[Mapping[str, Any]]:
    """The variables of each coroutine that a task is in, from the outermost to the innermost."""
    coroutine: Any = task.get_coro()
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        yield frame.f_locals
        coroutine = getattr(coroutine, "cr_await", None)


def listen(host: str, port: int, settings: Settings) -> socket.socket:
    """Bound and listening, so that a port in use shows before the framework starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only on connections whose
    # listener names it; without it, Hypercorn's separate writes of head and body meet
    # the kernel's delayed acknowledgement, and every answer takes 40 ms longer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if settings.reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(settings.backlog)
    except BaseException:
        listener.close()
        raise
    return listener
