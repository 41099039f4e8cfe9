"""What a broadcast listens to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class ChannelAway(Exception):
    """What is listened to cannot be had now; the message is a few words that do not vary."""


class Channel(Protocol):
    """What is listened to. `publish` and `listen` raise ChannelAway."""

    async def publish(self, message: bytes) -> None: ...

    async def listen(self, begun: Callable[[], None], heard: Callable[[bytes], None]) -> None:
        """Call `begun` once all that comes then will be heard, and `heard` with each message."""

    async def close(self) -> None: ...
