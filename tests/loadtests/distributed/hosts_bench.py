"""A bench over hosts that are namespaces, with a slow link and one that is cut for a while."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopbench.loadtests.distributed.keys import make_key
from loopbench.results.schema import RUNS, WORKERS, read_table
from tests.loadtests.bench.benches import MARK
from tests.loadtests.distributed.network import Network, network
from tests.servers.processes import PROC, ROOT, eventually, with_variable

HOSTS = ["server", "master", "one", "two"]
PORT = 5557
DELAY_MS = 20.0
LOSS = 0.005
CUT_S = 5.0
WARMUP_S = 0.5
BOUND_S = 240.0


@dataclass
class Seen:
    """A bench over the network whose second worker's link was cut for CUT_S."""

    status: int
    errors: str
    row: dict[str, Any]
    workers: list[dict[str, Any]]
    worker_statuses: list[int]
    left: set[int]
    slow_by: str


def bench(net: Network, folder: Path, *options: str) -> list[str]:
    via = shlex.join(net.inside("server"))
    return [
        *net.inside("master"),
        *(sys.executable, "-m", "loadtests", "bench", "--out", str(folder)),
        *(
            "--stack",
            "aiohttp",
            "--scenario",
            "async-32",
            "--rounds",
            "1",
            "--warmup",
            str(WARMUP_S),
        ),
        *("--expect-workers", "2", "--bind", f"{net.hosts['master']}:{PORT}"),
        *("--server-via", via, "--server-host", net.hosts["server"]),
        *options,
    ]


def worker(net: Network, host: str, key: Path) -> list[str]:
    address = ("--master", f"{net.hosts['master']}:{PORT}", "--key-file", str(key))
    return [*net.inside(host), sys.executable, "-m", "loadtests", "worker", *address]


def run(folder: Path) -> Seen:
    """The bench from its beginning to its end."""
    mark, key = uuid.uuid4().hex, make_key(folder / "key")
    options: dict[str, Any] = {"cwd": ROOT, "env": {**os.environ, MARK: mark}}
    with (
        network(HOSTS, slow="server") as net,
        (folder / "err").open("wb") as errors,
        ExitStack() as cleanup,
    ):
        started = []
        for command in (
            # TCP tries again ever later: by 5.5 s after the link is back, in window or drain.
            bench(net, folder / "run", "--duration", "10", "--key-file", str(key)),
            worker(net, "one", key),
            worker(net, "two", key),
        ):
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, **options
            )
            cleanup.callback(process.wait)
            cleanup.callback(process.kill)
            started.append(process)
        loading = eventually(lambda: _loading(started[2].pid), bound_s=BOUND_S)
        assert loading, (folder / "err").read_text()
        net.delay(DELAY_MS, LOSS)
        time.sleep(WARMUP_S + 0.7)
        # A retry after the cut that was lost in its turn would not come again before the end.
        net.delay(DELAY_MS, 0.0)
        net.set_link("two", "down")
        restore = threading.Timer(CUT_S, net.set_link, ("two", "up"))
        restore.start()
        status = started[0].wait(BOUND_S)
        restore.join()
        statuses = [process.wait(BOUND_S) for process in started[1:]]
        runs = list(read_table(folder / "run", RUNS))
        return Seen(
            status,
            (folder / "err").read_text(),
            dict(runs[0]),
            [dict(row) for row in read_table(folder / "run", WORKERS)],
            statuses,
            with_variable(MARK, mark),
            net.slow_by,
        )


def _loading(pid: int) -> bool:
    """Whether a worker has sixteen more sockets than it is joined with."""
    try:
        links = [os.readlink(entry) for entry in (PROC / str(pid) / "fd").iterdir()]
    except OSError:
        return False
    return sum(link.startswith("socket:") for link in links) > 16
