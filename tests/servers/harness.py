"""A harness to be killed: starts a stack, prints its pid and port, and waits.

`python harness.py STACK [PREFIX…]`, from the folder that holds `servers`.
"""

from __future__ import annotations

import json
import os
import sys
import time

sys.path.insert(1, os.getcwd())  # where `servers` is, as `-m` would have it

from servers.process import server_process


def main() -> None:
    with server_process(sys.argv[1], prefix=tuple(sys.argv[2:])) as server:
        print(json.dumps({"pid": server.pid, "port": server.port}), flush=True)
        time.sleep(3600)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
