"""A bare ASGI application on uvicorn, requests parsed by h11."""

from __future__ import annotations

from loopbench.servers.adapters.uvicorn_server import UvicornServing, serve
from loopbench.servers.apps.asgi_app import create_app
from loopbench.servers.settings import Settings


async def start(host: str, port: int, settings: Settings) -> UvicornServing:
    """See `stacks.Start`."""
    return await serve(create_app(settings), host, port, settings, parser="h11")
