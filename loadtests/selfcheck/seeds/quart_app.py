"""The holds as an application for Quart."""

from __future__ import annotations

from quart import Quart

from loopbench.loadtests.selfcheck.seeds import holds
from loopbench.servers.supervision.messages import Json

app = Quart(__name__)


@app.get("/hold/<name>")
async def hold(name: str) -> Json:
    """Hold the loop; answer with what was done."""
    return (await holds.held(name)).to_json()


@app.get("/prepare/<name>")
async def prepare(name: str) -> Json:
    """Make what a hold needs."""
    holds.prepare(name)
    return {}
