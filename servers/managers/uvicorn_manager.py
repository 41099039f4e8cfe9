"""uvicorn's own workers: `uvicorn.supervisors.Multiprocess`, which `uvicorn --workers` runs.

It looks after them twice a second, and starts another where one has ended.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import uvicorn
from uvicorn.supervisors import Multiprocess

from loopbench.servers.adapters import asgi, uvicorn_server
from loopbench.servers.adapters.asgi import Application
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.managers import worker
from loopbench.servers.managers.asgi_worker import Reporting
from loopbench.servers.parts import Parser
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack


def manage(listener: socket.socket, workers: int, stack: Stack, settings: Settings) -> int:
    """See `managers.Manage`."""
    config = uvicorn_server.config_of(
        f"{__name__}:application",
        settings,
        cast(Parser, stack.options["parser"]),
        grace_s=settings.grace_s,
        workers=workers,
        loop=f"{__name__}:new_loop",
    )
    Multiprocess(config, [listener]).run()
    return 0


def new_loop() -> asyncio.AbstractEventLoop:
    """The loop of a worker, which uvicorn makes before it loads the application."""
    return worker.this().new_loop()


def application() -> Reporting:
    """What a worker loads."""
    return Reporting(worker.this(), _in_force)


def _in_force(app: Application) -> InForce:
    server: uvicorn.Server = next(
        names["self"]
        for _, names in asgi.outermost_frames()
        if isinstance(names.get("self"), uvicorn.Server)
    )
    parser: Parser = server.config.http  # type: ignore[assignment]
    return uvicorn_server.in_force(app, server.config, parser)
