"""The broadcast's channel where the settings name a Redis: its publish and subscribe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from loopbench.servers.handlers.channel import ChannelAway

CHANNEL = "loopbench:feed"


class RedisChannel:
    """See `servers.handlers.channel.Channel`. timeout_s: how long a publication, or a connect,
    may take."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._publisher = _client(url, timeout_s, timeout_s)
        self._listener = _client(url, None, timeout_s)

    async def publish(self, message: bytes) -> None:
        """Raises ChannelAway."""
        with _away():
            await self._publisher.publish(CHANNEL, message)

    async def listen(self, begun: Callable[[], None], heard: Callable[[bytes], None]) -> None:
        """Raises ChannelAway."""
        with _away():
            async with self._listener.pubsub() as subscription:
                await subscription.subscribe(CHANNEL)
                async for message in subscription.listen():
                    if message["type"] == "message":
                        heard(message["data"])
                    elif message["type"] == "subscribe":
                        begun()
            raise ConnectionError("the subscription has ended")

    async def close(self) -> None:
        """Close both connections."""
        await self._publisher.aclose()
        await self._listener.aclose()


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise ChannelAway(f"redis: {type(error).__name__}") from error


def _client(url: str, answer_s: float | None, connect_s: float) -> redis.asyncio.Redis:
    """One that tries once: the feed itself tries again, and says so."""
    return redis.asyncio.Redis.from_url(
        url,
        socket_timeout=answer_s,
        socket_connect_timeout=connect_s,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
    )
