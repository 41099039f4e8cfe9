"""Any WSGI application on gunicorn's gthread worker, which runs here without the arbiter.

The arbiter would fork the worker and watch over it. Here the harness does that: the
worker's own loop runs in a thread of the process that is measured.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from gunicorn.config import Config  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from gunicorn.http.parser import RequestParser  # type: ignore[import-untyped]
from gunicorn.sock import TCP6Socket, TCPSocket  # type: ignore[import-untyped]
from gunicorn.workers.gthread import PollableMethodQueue, ThreadWorker  # type: ignore[import-untyped]

from loopbench.servers.adapters import asgi, descriptors
from loopbench.servers.adapters.default_executor import default_executor
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.adapters.server_thread import Application, ServerThread
from loopbench.servers.settings import Settings

MOST_CONNECTIONS = 65_536
"""Beyond reach, as on the other stacks."""


class _Logger(Logger):  # type: ignore[misc]
    """gunicorn's logger without handlers and levels of its own, which would be the process's."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        # Since 27.0 gunicorn's own does so, too: it would be worked out again for each request.
        self._access_log_enabled = self.access_log_enabled


class _Application:
    """What a worker asks of gunicorn's own Application."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def wsgi(self) -> Application:
        return self._app


class _Borrowed:
    """Another's pool, which does not end with the worker."""

    def __init__(self, pool: Executor) -> None:
        self.submit = pool.submit
        self._max_workers: int = getattr(pool, "_max_workers")

    def shutdown(self, wait: bool = True) -> None:
        pass


class _Queue(PollableMethodQueue):  # type: ignore[misc]
    """What threads hand finished requests back through; where nobody takes them any more,
    each is finished by its own thread. gunicorn has a process that ends instead."""

    def close(self) -> None:
        self.defer = _call
        super().close()


def _call(function: Callable[..., None], *arguments: Any) -> None:
    function(*arguments)


class _Worker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker that leaves signals to the loop's owner."""

    def __init__(self, pool: Executor | None, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.method_queue = _Queue()
        self._pool = pool

    def init_signals(self) -> None:
        pass

    def get_thread_pool(self) -> Any:
        """The pool that runs the requests: the loop's own where it has one, whose size and
        class the facts tell and whose calls a Probe counts; they are those of this one's."""
        return super().get_thread_pool() if self._pool is None else _Borrowed(self._pool)


def _config(settings: Settings) -> Config:
    config = Config()
    chosen = {
        "worker_class": "gthread",
        "threads": settings.executor_threads,
        "worker_connections": MOST_CONNECTIONS,
        "keepalive": math.ceil(settings.keep_alive_s),
        "graceful_timeout": math.ceil(settings.grace_s),
        "backlog": settings.backlog,
        "limit_request_line": 8190,  # the most that it can be set to, and aiohttp's limit
        "http_parser": "python",  # and not another one where that happens to be installed
    }
    for name, value in chosen.items():
        config.set(name, value)
    return config


class GthreadServing:
    """An application that listens through a gthread worker."""

    def __init__(self, app: Application, host: str, port: int, settings: Settings) -> None:
        self._app = app
        self._grace_s = settings.grace_s
        self._config = _config(settings)
        listener = asgi.listen(host, port, settings)
        self.port: int = listener.getsockname()[1]
        log = _Logger(self._config)
        kind = TCP6Socket if ":" in host else TCPSocket
        self._listener = kind((host, port), self._config, log, fd=listener.detach())
        pool = default_executor(asyncio.get_running_loop())
        arguments = (1, os.getppid(), [self._listener], _Application(app), 30, self._config, log)
        self._worker = _Worker(pool, *arguments)
        self._thread = ServerThread("gthread", self._serve)

    def _serve(self) -> None:
        try:
            self._worker.init_process()
        finally:
            # The arbiter would now end the process.
            descriptors.shut_down(self.port)
            for descriptor in self._worker.PIPE:
                os.close(descriptor)
            self._worker.tmp.close()

    async def stop(self) -> None:
        self._worker.handle_exit(None, None)
        await self.ended()

    async def ended(self) -> None:
        await self._thread.ended()

    def in_force(self) -> InForce:
        parser = f"{RequestParser.__module__}.{RequestParser.__qualname__}"
        return {
            **self._app.in_force(),
            "keep_alive_s": self._config.keepalive,
            "grace_s": self._config.graceful_timeout,
            "backlog": self._config.backlog,
            "access_log": self._worker.log.access_log_enabled,
            "http_parser": f"{parser} ({self._config.http_parser})",
            "max_requests_per_connection": None,
            "request_threads": self._worker.tpool._max_workers,
        }


async def serve(app: Application, host: str, port: int, settings: Settings) -> GthreadServing:
    """Listen with `app`; see `protocol.Serve`."""
    return GthreadServing(app, host, port, settings)
