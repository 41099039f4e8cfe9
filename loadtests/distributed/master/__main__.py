"""The Locust master that the harness commands: `python -m loopbench.loadtests.distributed.master`.

To the harness it is one load generator: it takes the same commands and gives the same events
and the same report. Behind it are Locust's workers, which share each load.
"""

from __future__ import annotations

from loopbench.loadtests.generator.first import locust  # isort: skip  (it patches others)

import argparse
import logging
import os
import sys
from functools import partial
from pathlib import Path

import gevent
from locust.env import Environment
from locust.exception import RPCError

from loopbench.loadtests.distributed.connection import listen_with
from loopbench.loadtests.distributed.keys import read_key
from loopbench.loadtests.distributed.master.listener import Listener, Refusals
from loopbench.loadtests.distributed.master.master import Master
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.generator.commands import send_event, serve_commands
from loopbench.loadtests.hosts.address import parse_address
from loopbench.loadtests.messages.generator import Ready
from loopbench.servers.supervision.control_pipe import Station
from loopbench.servers.supervision.os_stats import allow_many_files, die_with_parent


def main() -> None:
    """Serve commands until the harness closes the pipe; then end the workers."""
    parser = argparse.ArgumentParser(prog="python -m loopbench.loadtests.distributed.master")
    parser.add_argument("--parent", type=int, help="the pid of the harness to die with")
    parser.add_argument("--bind", required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--key-file", type=Path)
    chosen = parser.parse_args()
    if chosen.parent is not None:
        die_with_parent(chosen.parent)
    station = Station()
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    logging.getLogger("locust").setLevel(logging.CRITICAL)
    allow_many_files()
    environment = Environment(user_classes=[], catch_exceptions=False)
    refusals = Refusals()
    runner = _listen(environment, chosen.bind, chosen.key_file, refusals)
    master = Master(station, environment, runner, chosen.workers)
    send_event(station, Ready(os.getpid(), locust.__version__, runner.server.port))
    refusals.send_to(master.send_refused)
    serve_commands(station, master.handlers)
    for client in list(runner.clients.all):
        runner.send_message("quit", None, client.id)
    gevent.sleep(0.1)  # for the messages to leave: the workers of other machines end at them
    os._exit(0)


def _listen(
    environment: Environment, address: str, key_file: Path | None, refusals: Refusals
) -> Listener:
    """Locust's runner, listening there; ends the process where it cannot."""
    host, port = parse_address(address)
    try:
        secret = None if key_file is None else read_key(key_file)
        listen_with(secret, partial(refusals.add, "a worker"))
        environment.runner = listener = Listener(environment, host, port, refusals)
    except HarnessError as error:
        why = str(error)
    except RPCError as error:
        why = f"{error}; end what listens there, or name another address with --bind"
    else:
        return listener
    print(f"cannot listen for workers at {address}: {why}", file=sys.stderr, flush=True)
    os._exit(1)


if __name__ == "__main__":
    main()
