"""`web.run_app` and `app.run`: what they bring along that the programmatic way does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.starting.ports import get
from loopbench.loadtests.services.free_port import free_port

AIOHTTP = """
import asyncio, os, sys
from aiohttp import web
async def hello(request):
    loop = asyncio.get_running_loop()
    facts = {"pid": os.getpid(), "loop": type(loop).__name__, "debug": loop.get_debug()}
    return web.json_response(facts)
async def bye(app):
    print("cleaned up", flush=True)
app = web.Application()
app.router.add_get("/", hello)
app.on_cleanup.append(bye)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
"""

QUART = """
import asyncio, os, sys
from quart import Quart
app = Quart("app")
@app.get("/")
async def hello():
    loop = asyncio.get_running_loop()
    return {"pid": os.getpid(), "loop": type(loop).__name__, "debug": loop.get_debug()}
@app.after_serving
async def bye():
    print("cleaned up", flush=True)
app.run(host="127.0.0.1", port=int(sys.argv[1]))
"""


def ask(code: str, number: signal.Signals) -> Answer:
    """Run it as a program of its own, ask it once, and send it a signal."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        text = get(port, 15.0)
        began = time.perf_counter()
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
        took_s = time.perf_counter() - began
    if text is None:
        raise ConnectionError(f"it never answered: {output[-300:]}")
    facts = json.loads(text)
    if facts.pop("pid") != process.pid:
        raise ConnectionError(f"another server answered on port {port}: {text}")
    cleaned = "cleans up" if "cleaned up" in output else "does not clean up"
    status = process.returncode
    how = "exit status 0" if status == 0 else f"exit status {status}"
    logs = "logs requests" if "GET / " in output else "logs no requests"
    return Answer(
        f"{cleaned}, {how}, {logs}",
        f"it answered {json.dumps(facts)}; {number.name} ended it after {took_s:.2f} s with {how}; "
        f"its output: {' | '.join(output.split(chr(10)))[:300]!r}",
    )


_STACKS: dict[str, tuple[str, str]] = {
    "aiohttp": ("web.run_app", AIOHTTP),
    "quart-hypercorn": ("app.run", QUART),
}

QUESTION = Question(
    asks="What does the all-in-one runner do on SIGTERM and Ctrl-C, and does it log requests?",
    experiments=tuple(
        Experiment(
            stack,
            f"{name}, {number.name}",
            lambda code=code, number=number: ask(code, number),  # type: ignore[misc]
            bound_s=60,
        )
        for stack, (name, code) in _STACKS.items()
        for number in (signal.SIGTERM, signal.SIGINT)
    ),
    claims=(
        Claim(
            "The runner stops gracefully on SIGTERM.",
            {"cleans up*": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
            tuple(f"{name}, SIGTERM" for name, _ in _STACKS.values()),
        ),
    ),
    follows={
        "cleans up*": "Under a supervisor the runner alone is enough; started programmatically, "
        "signals are your own affair.",
        "does not clean up*": "Handle the signal yourself, and stop the server from there.",
    },
)
