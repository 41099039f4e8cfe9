"""Servers that questions are asked of, on each version of a framework that can be asked."""

from __future__ import annotations

import http.client
from contextlib import closing

import pytest
from aiohttp import web

from loopbench.loadtests.behaviour.framework.servers import serve


async def _hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


def test_a_server_is_found_where_a_site_does_not_tell_its_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As before aiohttp 3.14, of which hardly a question could be asked."""
    monkeypatch.delattr(web.TCPSite, "port", raising=False)
    app = web.Application()
    app.router.add_get("/", _hello)
    with (
        serve(app) as server,
        closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection,
    ):
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"hello"
    server.loop.close()  # which the end of an experiment's own process does
