"""Quart on granian."""

from __future__ import annotations

from loopbench.servers.adapters.granian_server import GranianServing, serve
from loopbench.servers.apps.quart_app import create_app
from loopbench.servers.settings import Settings


async def start(host: str, port: int, settings: Settings) -> GranianServing:
    """See `stacks.Start`."""
    return await serve(create_app(settings), host, port, settings)
