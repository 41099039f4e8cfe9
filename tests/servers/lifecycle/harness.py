"""A harness to be killed: starts a stack, prints its pid and port, and waits.

`python harness.py STACK [PREFIX…]`, from the folder that holds `servers`; or
`python harness.py managed STACK`, for two workers of its server's own manager.
"""

from __future__ import annotations

import json
import os
import sys
import time

sys.path.insert(1, os.getcwd())  # where `servers` is, as `-m` would have it

from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.managers.managed import managed_processes
from loopbench.servers.settings import Settings


def main() -> None:
    if sys.argv[1] == "managed":
        with managed_processes(sys.argv[2], 2, settings=Settings()) as group:
            wait(group.manager.pid, group.port)
    with server_process(sys.argv[1], prefix=tuple(sys.argv[2:])) as server:
        wait(server.pid, server.port)


def wait(pid: int, port: int) -> None:
    print(json.dumps({"pid": pid, "port": port}), flush=True)
    time.sleep(3600)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
