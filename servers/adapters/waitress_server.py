"""Any WSGI application on waitress: one thread reads and writes, others run requests."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import waitress  # type: ignore[import-untyped]
from waitress import wasyncore
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.server import TcpWSGIServer  # type: ignore[import-untyped]

from loopbench.servers.adapters import asgi
from loopbench.servers.adapters.asgi import LAST_WORDS_S
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.adapters.server_thread import Application, ServerThread
from loopbench.servers.settings import Settings

MOST_CONNECTIONS = 65_536
"""Beyond reach, as on the other stacks: by itself waitress stops at 100."""

_LOOK_S = 0.02
"""How often a stop looks for connections that have become idle."""


class WaitressServing:
    """An application that listens through `waitress.create_server`."""

    def __init__(self, app: Application, host: str, port: int, settings: Settings) -> None:
        # It would write a line whenever a request has to wait for a thread.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._app = app
        self._grace_s = settings.grace_s
        listener = asgi.listen(host, port, settings)
        self.port: int = listener.getsockname()[1]
        self._map: dict[int, Any] = {}
        try:
            server = waitress.create_server(
                app,
                map=self._map,
                sockets=[listener],
                threads=settings.executor_threads,
                backlog=settings.backlog,
                channel_timeout=math.ceil(settings.keep_alive_s),
                connection_limit=MOST_CONNECTIONS,
                asyncore_use_poll=True,  # select() cannot watch that many
                clear_untrusted_proxy_headers=False,  # no other server here reads them
            )
        except BaseException:
            listener.close()
            raise
        assert isinstance(server, TcpWSGIServer)
        self._server = server
        self._thread = ServerThread("waitress", self._serve)

    def _serve(self) -> None:
        try:
            self._server.run()
        finally:
            dispatcher = self._server.task_dispatcher
            dispatcher.shutdown(cancel_pending=False, timeout=LAST_WORDS_S)
            while dispatcher.queue:  # no thread takes from it any more
                _cancel(dispatcher.queue.popleft())
            wasyncore.close_all(self._map)
            for descriptor in self._server.trigger._fds:
                self._map.pop(descriptor, None)

    def _in_thread(self, act: Callable[[], None]) -> None:
        """Have the thread that reads and writes do something between two of its turns."""
        self._server.trigger.pull_trigger(act)

    async def stop(self) -> None:
        deadline = asyncio.get_running_loop().time() + self._grace_s
        self._in_thread(partial(wasyncore.dispatcher.close, self._server))
        while self._server.active_channels and asyncio.get_running_loop().time() < deadline:
            self._in_thread(self._close_idle)
            await asyncio.sleep(_LOOK_S)
        self._in_thread(self._close_all)
        await self.ended()

    def _close_idle(self) -> None:
        for channel in list(self._server.active_channels.values()):
            if _idle(channel):
                channel.handle_close()

    def _close_all(self) -> None:
        for channel in list(self._server.active_channels.values()):
            if channel.request is not None:  # which it is still reading
                channel.request.close()
            channel.handle_close()
        self._server.trigger.close()  # the last in the map: with it the thread ends

    async def ended(self) -> None:
        await self._thread.ended()

    def in_force(self) -> InForce:
        adjustments = self._server.adj
        parser = HTTPChannel.parser_class
        return {
            **self._app.in_force(),
            "keep_alive_s": adjustments.channel_timeout,
            "grace_s": self._grace_s,
            "backlog": adjustments.backlog,
            "access_log": False,  # it has none
            "http_parser": f"{parser.__module__}.{parser.__qualname__}",
            "max_requests_per_connection": None,
            "request_threads": len(self._server.task_dispatcher.threads),
        }


def _cancel(channel: HTTPChannel) -> None:
    """Give up the requests that wait for a thread, and close the files that large bodies are kept
    in, which waitress leaves to the garbage collector."""
    for request in channel.requests:
        request.close()
    channel.cancel()


def _idle(channel: HTTPChannel) -> bool:
    """Whether no request is on its way in, being made or on its way out."""
    return not (channel.requests or channel.request or channel.total_outbufs_len)


async def serve(app: Application, host: str, port: int, settings: Settings) -> WaitressServing:
    """Listen with `app`; see `protocol.Serve`."""
    return WaitressServing(app, host, port, settings)
