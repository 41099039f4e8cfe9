"""What a server's process imports until it has answered its first request, by name.

Each module of the suite that is loaded there is paid for by every start of every server, some
thousand times in a run of all tests, and fifty times over where instructions are counted.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from loopbench.servers.lifecycle.messages import Config
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import STACKS
from loopbench.servers.supervision.messages import to_json
from tests.servers.choices import stacks
from tests.servers.processes import ROOT

_PROGRAM = """
import json, sys
from loopbench.servers.lifecycle import child_main
status = child_main.main()
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
sys.exit(status)
"""

_EVERY = """
results results.schema results.schema.dispatch results.schema.paths results.schema.value
servers servers.adapters servers.adapters.protocol servers.apps servers.apps.handlers
servers.contract servers.contract.content servers.contract.greeting servers.contract.http
servers.contract.limits servers.contract.routes
servers.custom servers.custom.remedies servers.custom.traceback_text servers.errors
servers.handlers
servers.handlers.basic servers.holes servers.installed
servers.lifecycle servers.lifecycle.child_main servers.lifecycle.commands
servers.lifecycle.in_loop servers.lifecycle.messages servers.lifecycle.runner
servers.parts servers.probe servers.probe.active servers.probe.connection_pool
servers.probe.durations servers.settings servers.stacks servers.starting servers.store_urls
servers.supervision servers.supervision.control_pipe servers.supervision.merging
servers.supervision.messages servers.supervision.os_stats
"""

_BACKED = """
servers.contract.close_codes servers.contract.payloads servers.handlers.broadcast
servers.handlers.channel servers.handlers.data servers.handlers.fetch
servers.handlers.resources servers.handlers.stores servers.handlers.stores.opening
servers.handlers.stores.protocol
"""
"""Of an application with all routes: what it needs to open a store when it is asked for one."""

OWN = {
    "aiohttp": f"""{_BACKED}
servers.adapters.aiohttp_server servers.apps.aiohttp_app servers.apps.aiohttp_websockets
""",
    "quart-hypercorn": f"""{_BACKED}
servers.adapters.asgi servers.adapters.hypercorn_server servers.apps.quart_app
servers.apps.quart_websockets servers.apps.werkzeug_parts
""",
    "asyncio": """
servers.adapters.asyncio_connection servers.adapters.bare servers.adapters.asyncio_server
servers.adapters.asyncio_websocket servers.apps.asyncio_app servers.contract.close_codes
servers.contract.frames servers.contract.payloads servers.handlers.data
""",
}

OTHERS = (
    *("gevent", "hdrh", "locust", "msgpack", "numpy", "psutil", "rich", "scipy"),
    *("aiosqlite", "asyncpg", "psycopg", "redis", "sqlite3"),
)
"""What other processes of the suite need, and the drivers of stores that nobody has asked for."""


def _loaded(stack: str, settings: Settings) -> set[str]:
    """The modules of a child that has answered its first request and was asked nothing else."""
    config = Config.of(STACKS[stack], "127.0.0.1", 0, settings, None, None, 10.0)
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(to_json(config)) + "\n")
        child.stdin.flush()
        event = json.loads(child.stdout.readline())
        assert event["event"] == "listening", event
        _, errors = child.communicate()  # the end of its input ends it
    assert child.returncode == 0, errors
    return set(json.loads(errors.splitlines()[-1]))


def _of_the_suite(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("loopbench.")}


def _named(words: str) -> set[str]:
    return {f"loopbench.{name}" for name in words.split()}


@pytest.mark.parametrize("stack", stacks(OWN))
def test_a_server_loads_what_it_serves_with(stack: str) -> None:
    """Neither the contract's tables, nor the probe, nor what facts are made of."""
    loaded = _loaded(stack, Settings())
    assert _of_the_suite(loaded) == _named(_EVERY) | _named(OWN[stack])
    assert loaded.isdisjoint(OTHERS)


def test_a_probe_comes_with_its_own_modules_alone() -> None:
    """Where the settings ask for one, before anything is measured."""
    plain, watched = (
        _of_the_suite(_loaded("asyncio", Settings(probe=probe))) for probe in (False, True)
    )
    more = watched - plain
    assert plain <= watched
    of_others = {
        "loopbench.results.schema.columns",
        "loopbench.results.schema.tables",
        "loopbench.results.schema.tables.stalls",
        "loopbench.servers.lifecycle.observing",
        "loopbench.servers.supervision.cpu_quota",
    }
    assert {name for name in more if not name.startswith("loopbench.servers.probe.")} == of_others
