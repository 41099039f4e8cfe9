"""The holds as an application for aiohttp."""

from __future__ import annotations

from aiohttp import web

from loopbench.loadtests.selfcheck.seeds import holds


async def hold(request: web.Request) -> web.Response:
    """Hold the loop; answer with what was done."""
    return web.json_response((await holds.held(request.match_info["name"])).to_json())


async def prepare(request: web.Request) -> web.Response:
    """Make what a hold needs."""
    holds.prepare(request.match_info["name"])
    return web.json_response({})


app = web.Application()
app.add_routes([web.get("/hold/{name}", hold), web.get("/prepare/{name}", prepare)])
