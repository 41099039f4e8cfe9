"""A bare ASGI application on Hypercorn."""

from __future__ import annotations

from loopbench.servers.adapters.hypercorn_server import HypercornServing, serve
from loopbench.servers.apps.asgi_app import create_app
from loopbench.servers.settings import Settings


async def start(host: str, port: int, settings: Settings) -> HypercornServing:
    """See `stacks.Start`."""
    return await serve(create_app(settings), host, port, settings)
