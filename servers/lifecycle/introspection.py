"""What is really in force in the process that serves, read from inside it.

It is imported when somebody asks, see `servers.lifecycle.commands`.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version

from loopbench.servers.adapters.default_executor import default_executor
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.lifecycle import facts
from loopbench.servers.lifecycle.facts import (
    Collector,
    Loop,
    Python,
    StackFacts,
)
from loopbench.servers.probe.event_loop import class_name
from loopbench.servers.promises import holes
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import NO_LOOP, Stack
from loopbench.servers.supervision import os_stats


def gather(stack: Stack, in_force: Callable[[], InForce], settings: Settings) -> StackFacts:
    """Facts of a live server. Call it on the server's loop.

    in_force: see `adapters.protocol.Serving`.

    Raises PackageNotFoundError for a package of the stack that runs without being installed.
    """
    loop = asyncio.get_running_loop()
    serves = stack.loop != NO_LOOP
    return StackFacts(
        stack=stack.name,
        framework=stack.framework,
        server=stack.server,
        python=_python(),
        packages={package: version(package) for package in stack.packages},
        loop=Loop(class_name(loop) if serves else None, loop.get_debug()),
        executor=_executor(loop),
        gc=Collector(gc.isenabled(), gc.get_threshold()),
        cpus=os_stats.cpus_in_force(),
        settings=settings.described(),
        in_force=in_force(),
        differs=dict(stack.differs),
        holes=holes(stack),
    )


def _python() -> Python:
    gil = getattr(sys, "_is_gil_enabled", None)  # Python 3.13 and later
    return Python(
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        compiler=platform.python_compiler(),
        gil=True if gil is None else gil(),
        dev_mode=sys.flags.dev_mode,
        optimize=sys.flags.optimize,
    )


def _executor(loop: asyncio.AbstractEventLoop) -> facts.Executor | None:
    executor = default_executor(loop)
    if executor is None:
        return None
    return facts.Executor(class_name(executor), getattr(executor, "_max_workers", None))
