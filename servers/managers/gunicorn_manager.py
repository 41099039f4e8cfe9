"""aiohttp under gunicorn: its arbiter, with the worker that aiohttp has for it.

The arbiter starts another worker where one has ended.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Mapping
from functools import partial
from typing import Any

from aiohttp import web
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from loopbench.servers.adapters import aiohttp_server
from loopbench.servers.adapters.asgi import LAST_WORDS_S
from loopbench.servers.managers import worker as worker_process
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack

_WORKERS = {"asyncio": "aiohttp.GunicornWebWorker", "uvloop": "aiohttp.GunicornUVLoopWebWorker"}
"""By the loop that a Stack names."""


def manage(listener: socket.socket, workers: int, stack: Stack, settings: Settings) -> int:
    """See `managers.Manage`."""
    chosen = {
        "bind": [f"fd://{listener.detach()}"],
        "workers": workers,
        "worker_class": _WORKERS[stack.loop],
        "backlog": settings.backlog,
        # When it kills, and so later than aiohttp has ended by itself.
        "graceful_timeout": math.ceil(settings.grace_s + LAST_WORDS_S),
        "loglevel": "warning",
        "control_socket_disable": True,  # a file in the person's own folders
        "post_fork": lambda arbiter, worker: worker_process.this().make_loops(),
    }
    try:
        _Application(chosen).run()
    except SystemExit as end:  # the arbiter's way to return
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


class _Application(BaseApplication):  # type: ignore[misc]
    """What the arbiter asks for its configuration, and a worker for the application."""

    def __init__(self, chosen: Mapping[str, object]) -> None:
        self._chosen = chosen
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return _runner


class _Reporting(web.AppRunner):
    """A runner that tells the harness how its start-up went, and that it serves."""

    async def setup(self) -> None:
        try:
            await super().setup()
        except Exception as error:
            worker_process.this().failed(error)
            raise

    def _reg_site(self, site: web.BaseSite) -> None:
        super()._reg_site(site)
        # The site listens before it gives the loop its next turn.
        in_force = partial(aiohttp_server.in_force, self.app, self, site)
        asyncio.get_running_loop().call_soon(worker_process.this().listening, in_force)

    async def cleanup(self) -> None:
        await super().cleanup()
        worker_process.this().end()


async def _runner() -> web.AppRunner:
    """What aiohttp's worker is given, on its loop: it takes a runner made by the application."""
    worker = worker_process.this()
    worker.begin()
    try:
        app = await worker.application()
    except Exception as error:
        worker.failed(error)
        raise
    unpack = bool(worker.stack.options.get("auto_decompress"))
    return aiohttp_server.runner_of(_Reporting, app, worker.settings, auto_decompress=unpack)
