"""Hypercorn's own workers: `hypercorn.run`, which starts them anew with multiprocessing.

It ends, with all of them, when one of them fails.
"""

from __future__ import annotations

import socket
from typing import Any

import hypercorn.run
from hypercorn.config import Config

from loopbench.servers.adapters import asgi, hypercorn_server
from loopbench.servers.adapters.asgi import Application
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.managers import worker as worker_process
from loopbench.servers.managers.asgi_worker import Reporting
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack


def manage(listener: socket.socket, workers: int, stack: Stack, settings: Settings) -> int:
    """See `managers.Manage`."""
    config = Config()
    hypercorn_server.settle(config, settings)
    config.graceful_timeout = settings.grace_s
    # The listener that the harness knows, made as for one process: see `asgi.listen`.
    config.bind = [f"fd://{listener.detach()}"]
    config.workers = workers
    config.worker_class = stack.loop
    config.application_path = f"asgi:{__name__}:application()"
    return hypercorn.run.run(config)


def application() -> Reporting:
    """What a worker loads, before it has a loop."""
    worker = worker_process.this()
    worker.make_loops()
    return Reporting(worker, _in_force)


def _in_force(app: Application) -> InForce:
    config: Any = next(
        names["config"]
        for _, names in asgi.outermost_frames()
        if isinstance(names.get("config"), Config)
    )
    return hypercorn_server.in_force(app, config)
