"""Redis as the first of the two stores that `/save/both` writes to."""

from __future__ import annotations

import redis.asyncio
from redis.exceptions import RedisError

from loopbench.servers.handlers.stores.protocol import StoreAway
from loopbench.servers.settings import Settings

KEY = "loopbench:pairs:"
KEPT_S = 3600
"""What a server has written is forgotten after this, if it was the last to write."""


class FirstRedis:
    """See `protocol.FirstStore`."""

    def __init__(self, url: str, settings: Settings) -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=settings.pool_size,
            timeout=settings.pool_timeout_s,
            decode_responses=True,
            socket_timeout=settings.pool_timeout_s,
        )
        self._client = redis.asyncio.Redis.from_pool(pool)

    async def open(self) -> None:
        """Nothing: each connection is made when it is needed."""

    async def add(self, pair: str) -> None:
        key = KEY + pair.partition(":")[0]
        try:
            async with self._client.pipeline(transaction=False) as steps:
                steps.sadd(key, pair)
                steps.expire(key, KEPT_S)
                await steps.execute()
        except (RedisError, OSError) as error:
            raise StoreAway(f"redis: {type(error).__name__}") from error

    async def pairs(self, start: str) -> set[str]:
        try:
            return set(map(str, await self._client.smembers(KEY + start.partition(":")[0])))
        except (RedisError, OSError) as error:
            raise StoreAway(f"redis: {type(error).__name__}") from error

    async def close(self) -> None:
        await self._client.aclose()
