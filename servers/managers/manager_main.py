"""The process above a server's own workers.

`servers.managers.managed` starts it as `python -m loopbench.servers.managers.manager_main`.

It listens, says so, and becomes the server's own manager, which starts its workers; each of
them connects to the harness by itself, see servers.managers.worker. A thread beside the manager
answers the harness, and turns its word to stop, and its end, into SIGTERM.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import socket
import sys
import traceback
from collections.abc import Iterable

from loopbench.servers.adapters import asgi
from loopbench.servers.lifecycle import in_loop
from loopbench.servers.lifecycle.child_main import settle
from loopbench.servers.lifecycle.commands import (
    Handlers,
    SharedStation,
    accept,
    answering,
    obey_in_thread,
)
from loopbench.servers.lifecycle.messages import (
    EVENTS,
    Config,
    Failed,
    Listening,
    Read,
)
from loopbench.servers.managers import table
from loopbench.servers.managers.messages import (
    Managing,
    ThreadList,
    Threads,
)
from loopbench.servers.managers.worker import WorkerOptions, terminate
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision import os_stats
from loopbench.servers.supervision.control_pipe import STOP
from loopbench.servers.supervision.messages import Json, from_json


def main() -> int:
    """Manage as the first line of standard input says.

    Returns the exit status: the manager's own, and 1 where it was never started.
    """
    faulthandler.enable()  # workers that are forked inherit it
    station = SharedStation()
    os.register_at_fork(after_in_child=station.close)  # a forked worker is not the one commanded
    commands = station.commands()
    first = next(commands, None)
    if first is None:
        return 0
    try:
        return _manage(station, commands, from_json(Managing, first))
    except Exception as error:
        traceback.print_exc()
        station.send(EVENTS.to_json(Failed.of(error)))
        return 1


def _manage(station: SharedStation, commands: Iterable[Json], options: Managing) -> int:
    config = options.child
    settle(config)
    stack, settings = config.wanted()
    manage = table.load(table.of(stack))
    listener = _listen(stack, config, settings)
    WorkerOptions(options.control_socket, config).export()
    handlers: Handlers = {
        **answering(Read, lambda _: os_stats.read()),
        **answering(Threads, lambda _: ThreadList(tuple(os_stats.read_threads() or ()))),
        STOP: lambda _: accept(terminate),
    }
    obey_in_thread(station, commands, handlers, terminate, config.stop_timeout_s)
    host, port = listener.getsockname()[:2]
    url = f"http://{host}:{port}"
    station.send(EVENTS.to_json(Listening(url, host, port, os.getpid(), os_stats.boot_id())))
    return manage(listener, options.workers, stack, settings)


def _listen(stack: Stack, config: Config, settings: Settings) -> socket.socket:
    """Raises PortInUse, and StartupFailed for an address that cannot be had."""
    host = asyncio.run(in_loop.numeric(config.host))
    try:
        return asgi.listen(host, config.port, settings)
    except OSError as error:
        raise in_loop.os_failure(stack, host, config.port, error) from error


if __name__ == "__main__":
    sys.exit(main())
