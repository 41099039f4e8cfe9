"""The broadcast: a task listens to a channel, and every receiver is sent what it hears.

The channel is within the process, or Redis where the settings name one; `POST /feed` publishes
to it. A message is passed on as it came, to those who are connected as it is heard.

A receiver that reads too slowly is not waited for: at most WAITING_LIMIT messages wait for it;
with one more it is disconnected (code 1013), what waited is dropped, and `GET /feed` counts it.
Redis away: connections stay, publishing is a 503, and the task tries again after RETRY_S each;
what is published before it listens again is lost to this server.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from loopbench.servers.contract.close_codes import Close
from loopbench.servers.contract.limits import RATE_LIMIT
from loopbench.servers.contract.payloads import HELLO
from loopbench.servers.handlers.basic import Answer, Refused, as_json
from loopbench.servers.handlers.channel import Channel, ChannelAway
from loopbench.servers.settings import Settings

LOG = logging.getLogger("servers")
WAITING_LIMIT = 128
RETRY_S = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Waits between attempts to reach Redis; the last one stays."""

GOODBYE_S = 1.0
"""How long the close of a receiver that does not read may take before it is cut off."""

Send = Callable[[bytes], Awaitable[Any]]


class _WithinProcess:
    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()

    async def publish(self, message: bytes) -> None:
        self._queue.put_nowait(message)

    async def listen(self, begun: Callable[[], None], heard: Callable[[bytes], None]) -> None:
        begun()
        while True:
            heard(await self._queue.get())

    async def close(self) -> None:
        """Nothing to close."""


def _channel(settings: Settings) -> Channel:
    if settings.redis_url is None:
        return _WithinProcess()
    # Only where it is asked for: the driver takes 20 MB and a quarter of a second.
    from loopbench.servers.handlers.redis_channel import RedisChannel

    return RedisChannel(settings.redis_url, settings.pool_timeout_s)


class _Receiver:
    """What waits for one connection. `bound` ends its sending where too much does."""

    def __init__(self, bound: asyncio.Timeout) -> None:
        self._bound = bound
        self._waiting: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def put(self, message: bytes) -> bool:
        """Whether there was room. Where not, the receiver is given up."""
        if len(self._waiting) >= WAITING_LIMIT:
            self._waiting.clear()
            self._bound.reschedule(asyncio.get_running_loop().time())
            return False
        self._waiting.append(message)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        return True

    async def next(self) -> bytes:
        while not self._waiting:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._waiting.popleft()


class Feed:
    """See the module. Lives as long as its application."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._channel: Channel
        self._task: asyncio.Task[None] | None = None
        self._receivers: set[_Receiver] = set()
        self._away: str | None = "not started"
        self._heard = 0
        self._dropped = 0
        self._reconnects = 0

    async def start(self) -> None:
        """With the application. Redis need not be there."""
        self._channel = _channel(self._settings)
        self._task = asyncio.get_running_loop().create_task(self._listen())

    async def close(self) -> None:
        """With the application's end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            await self._channel.close()

    async def publish(self, message: bytes) -> Answer:
        """Publish; the answer does not wait for receivers. Raises Refused(503) with the reason."""
        if self._away is not None:
            raise Refused(503, self._away)
        try:
            await self._channel.publish(message)
        except ChannelAway as error:
            raise Refused(503, str(error)) from error
        return as_json({"published": len(message)})

    def state(self) -> Answer:
        """receivers: connected now. heard: messages so far. dropped: receivers that were too
        slow. reconnects: how often the channel came back. pid: of this process, whose counts
        these are. Raises Refused(503) while it is away."""
        if self._away is not None:
            raise Refused(503, self._away)
        return as_json(
            {
                "receivers": len(self._receivers),
                "heard": self._heard,
                "dropped": self._dropped,
                "reconnects": self._reconnects,
                "pid": os.getpid(),
            }
        )

    async def follow(self, send: Send) -> Close | None:
        """Send a connection what is heard until it is cancelled; what to close it with, where
        it was too slow; None where it is gone."""
        bound = asyncio.timeout(None)
        try:
            async with bound:
                receiver = _Receiver(bound)
                self._receivers.add(receiver)
                try:
                    while True:
                        await send(await receiver.next())
                finally:
                    self._receivers.discard(receiver)
        except TimeoutError:
            if not bound.expired():
                raise
            return Close.TRY_AGAIN_LATER
        except ConnectionError:
            return None

    async def _listen(self) -> None:
        waits = iter(RETRY_S)
        while True:
            try:
                await self._channel.listen(self._begun, self._pass_on)
            except ChannelAway as error:
                if self._away is None:
                    LOG.warning("the feed's channel is away: %s", error.__cause__ or error)
                    waits = iter(RETRY_S)
                self._away = str(error)
            await asyncio.sleep(next(waits, RETRY_S[-1]))

    def _begun(self) -> None:
        if self._away not in {None, "not started"}:
            self._reconnects += 1
        self._away = None

    def _pass_on(self, message: bytes) -> None:
        self._heard += 1
        slow = [receiver for receiver in self._receivers if not receiver.put(message)]
        self._dropped += len(slow)
        self._receivers.difference_update(slow)


def pushing(rate: str | None, stamped: str | None) -> Callable[[Callable[[str], Any]], Any]:
    """What sends HELLO `rate` times a second on a connection, until it is cancelled or gone.

    stamped: `1` adds a number, from 0, and when the message was due, CLOCK_REALTIME in ns.
    Raises Refused(400) for a rate that makes no sense.
    """
    try:
        a_second = float(rate or "")
    except ValueError:
        raise Refused(400) from None
    if not 0 < a_second <= RATE_LIMIT:
        raise Refused(400)

    async def push(send: Callable[[str], Any]) -> None:
        begun = time.time_ns()
        with suppress(ConnectionError):
            for number in itertools.count():
                due = begun + int(number * 1e9 / a_second)
                await asyncio.sleep(max(0, due - time.time_ns()) / 1e9)
                await send(f"{HELLO} {number} {due}" if stamped == "1" else HELLO)

    return push
