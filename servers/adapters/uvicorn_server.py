"""Any ASGI application on uvicorn, in this loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from loopbench.servers.adapters import asgi
from loopbench.servers.adapters.asgi import LAST_WORDS_S, Application, TaskServing
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.contract.limits import MESSAGE_LIMIT_BYTES
from loopbench.servers.errors import StartupFailed
from loopbench.servers.parts import Parser
from loopbench.servers.settings import Settings

_PARSERS: dict[Parser, str] = {"h11": "conn", "httptools": "parser"}
"""Where uvicorn's protocol for a connection keeps its parser."""


def config_of(
    app: Application | str,
    settings: Settings,
    parser: Parser,
    *,
    grace_s: float,
    workers: int = 1,
    loop: str = "auto",
) -> uvicorn.Config:
    """The settings as uvicorn's configuration. app: or what makes one, as MODULE:NAME; loop: what
    makes the loop of a worker, likewise."""
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        loop=loop,
        http=parser,
        ws="wsproto",  # as Hypercorn has it
        ws_max_size=MESSAGE_LIMIT_BYTES,
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # no other server here reads them
        backlog=settings.backlog,
        # Both typed as whole numbers and handed to asyncio, which takes any.
        timeout_keep_alive=settings.keep_alive_s,  # type: ignore[arg-type]
        timeout_graceful_shutdown=grace_s,  # type: ignore[arg-type]
        workers=workers,
    )


class _Server(uvicorn.Server):
    """A uvicorn that leaves signals to the loop's owner and says when it listens."""

    def __init__(self, config: uvicorn.Config, accepting: asyncio.Event) -> None:
        super().__init__(config)
        self._accepting = accepting

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._accepting.set()


class UvicornServing(TaskServing):
    """An application that listens through `uvicorn.Server`."""

    def __init__(
        self, app: Application, listener: socket.socket, settings: Settings, parser: Parser
    ) -> None:
        super().__init__(app, listener, settings)
        self._parser = parser
        # Too late to matter, see `TaskServing.stop`.
        last_s = settings.grace_s + 2 * LAST_WORDS_S
        self._config = config_of(app, settings, parser, grace_s=last_s)
        self._server = _Server(self._config, self.accepting)

    async def _serve(self) -> None:
        try:
            await self._server.serve([self._listener])
        except SystemExit as failure:
            # Out of a task it would end the loop.
            raise self._app.startup_failure or StartupFailed(
                f"uvicorn gave up with exit status {failure.code}; see its log"
            ) from None
        finally:
            self._listener.close()
            if self._app.startup_failure is not None:
                await asgi.end_lifespan(self._server.lifespan)

    def _ask_to_stop(self) -> None:
        self._server.should_exit = True
        if self.accepting.is_set():  # uvicorn looks at `should_exit` every tenth of a second only
            for server in self._server.servers:
                server.close()

    def _abort(self) -> None:
        for protocol in list(self._server.server_state.connections):
            protocol.transport.abort()

    def in_force(self) -> InForce:
        live = in_force(self._app, self._config, self._parser)
        return {**live, "grace_s": self._grace_s}


def in_force(app: Application, config: uvicorn.Config, parser: Parser) -> InForce:
    """What the live objects say, see `protocol.Serving.in_force`."""
    # What uvicorn makes for each connection.
    protocol: Any = config.http_protocol_class(
        config=config,  # type: ignore[call-arg]
        server_state=ServerState(),
        app_state={},
    )
    made = type(getattr(protocol, _PARSERS[parser]))
    return {
        **app.in_force(),
        "keep_alive_s": protocol.timeout_keep_alive,
        "grace_s": config.timeout_graceful_shutdown,
        "backlog": config.backlog,
        "access_log": protocol.access_log,
        "http_parser": f"{made.__module__}.{made.__qualname__}",
        "max_requests_per_connection": None,
        "request_threads": None,
    }


async def serve(
    app: Application, host: str, port: int, settings: Settings, *, parser: Parser
) -> UvicornServing:
    """Listen with `app`; see `protocol.Serve`."""
    listener = asgi.listen(host, port, settings)
    return await UvicornServing(app, listener, settings, parser).begin()
