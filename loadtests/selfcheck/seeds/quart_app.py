"""The holds as an application for Quart."""

from __future__ import annotations

from typing import Any

from quart import Quart

from loopbench.loadtests.selfcheck.seeds import holds

app = Quart(__name__)


@app.get("/hold/<name>")
async def hold(name: str) -> dict[str, Any]:
    """Hold the loop; answer with what was done."""
    return (await holds.held(name)).to_json()


@app.get("/prepare/<name>")
async def prepare(name: str) -> dict[str, Any]:
    """Make what a hold needs."""
    holds.prepare(name)
    return {}
