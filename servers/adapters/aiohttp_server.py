"""aiohttp on its own server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser

from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.settings import Settings

R = TypeVar("R", bound=web.AppRunner)
IN_FORCE: web.AppKey[Callable[[], InForce]] = web.AppKey("in_force")
"""What only the application knows of `protocol.Serving.in_force`: json, and its pools. A person's
own application has no such entry."""


class AiohttpServing:
    """An application that listens through AppRunner and TCPSite."""

    def __init__(self, app: web.Application, runner: web.AppRunner, site: web.TCPSite) -> None:
        assert runner.server is not None
        self._app = app
        self._runner = runner
        self._site = site
        self._live = runner.server
        self._ended = asyncio.Event()
        self.port: int = runner.addresses[0][1]

    async def stop(self) -> None:
        try:
            await self._site.stop()
            # A connection that was being accepted meanwhile takes asyncio some
            # turns until aiohttp knows it, and `cleanup` closes what it knows.
            for _ in range(3):
                await asyncio.sleep(0)
            transports = [connection.transport for connection in self._live.connections]
            await self._runner.cleanup()
            # aiohttp has closed them, but that ends only when all is sent.
            for transport in transports:
                if transport is not None:
                    transport.abort()
        finally:
            self._ended.set()

    async def ended(self) -> None:
        await self._ended.wait()

    def in_force(self) -> InForce:
        return in_force(self._app, self._runner, self._site)


def in_force(app: web.Application, runner: web.AppRunner, site: web.BaseSite) -> InForce:
    """What the live objects say, see `protocol.Serving.in_force`. The runner has been set up."""
    assert runner.server is not None
    handed_on = runner.server._kwargs  # what each connection is made with
    return {
        "body_limit_bytes": app._client_max_size,
        "keep_alive_s": handed_on["keepalive_timeout"],
        "grace_s": runner._shutdown_timeout * GRACE_PERIODS,
        "backlog": site._backlog,
        "access_log": handed_on["access_log"] is not None,
        "debug": handed_on["debug"],
        "http_parser": f"{HttpRequestParser.__module__}.{HttpRequestParser.__qualname__}",
        "max_requests_per_connection": None,
        "request_threads": None,
        **(app[IN_FORCE]() if IN_FORCE in app else {"json": None}),
    }


GRACE_PERIODS = 2
"""How many times over a request in flight gets the runner's `shutdown_timeout`: a
connection waits that long for its handler, then as long again before it cancels it."""


def runner_of(
    kind: type[R], app: web.Application, settings: Settings, *, auto_decompress: bool
) -> R:
    """A runner of that kind, with the settings of every stack."""
    return kind(
        app,
        auto_decompress=auto_decompress,
        access_log=None,
        keepalive_timeout=settings.keep_alive_s,
        shutdown_timeout=settings.grace_s / GRACE_PERIODS,
    )


async def serve(
    app: web.Application,
    host: str,
    port: int,
    settings: Settings,
    *,
    auto_decompress: bool = False,  # no other stack takes compressed bodies
) -> AiohttpServing:
    """Listen with `app`; see `protocol.Serve`."""
    runner = runner_of(web.AppRunner, app, settings, auto_decompress=auto_decompress)
    try:
        await runner.setup()
        site = web.TCPSite(
            runner,
            host,
            port,
            backlog=settings.backlog,
            reuse_address=True,
            reuse_port=settings.reuse_port,
        )
        # Cut short, asyncio's `create_server` would leave a listener that nobody knows.
        starting = asyncio.create_task(site.start())
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait({starting})
            raise
        return AiohttpServing(app, runner, site)
    except BaseException:
        await runner.cleanup()
        raise
