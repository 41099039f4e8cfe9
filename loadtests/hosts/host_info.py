"""What a host of a bench says about itself.

`python -m loopbench.loadtests.hosts.host_info` prints it.

Nothing but the standard library and the suite's own leaves, since the host of a server needs
no Locust.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import socket
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from loopbench.results.schema import ROOT, SCHEMA_VERSION
from loopbench.servers.supervision import os_stats
from loopbench.servers.supervision.messages import to_json

_MEASURING = ("loadtests", "servers", "results/schema")
_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, slots=True)
class HostInfo:
    """What a host says about itself; None for what the system does not say.

    files: how many descriptors one process may open. ports: first and last of those that a
    connection may leave from. load: runnable processes, mean of the last minute.
    """

    host: str
    source: str
    version: str
    python: str
    kernel: str
    boot_id: str | None
    cpus: tuple[int, ...] | None
    cpu_model: str | None
    load: float
    files: int
    ports: tuple[int, int] | None


@cache
def source_version() -> str:
    """A digest of the measuring code, since a clone with changes has the same commit as one
    without."""
    digest = hashlib.sha256(f"schema {SCHEMA_VERSION}".encode())
    for folder in _MEASURING:
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def suite_version() -> str:
    """What must be equal in a master and its workers: the measuring code and Locust."""
    try:
        locust = f"with Locust {metadata.version('locust')}"
    except metadata.PackageNotFoundError:
        locust = "without Locust"
    return f"{source_version()} {locust}"


def host_info() -> HostInfo:
    """This host."""
    return HostInfo(
        host=socket.gethostname(),
        source=source_version(),
        version=suite_version(),
        python=platform.python_version(),
        kernel=f"{platform.system()} {platform.release()}",
        boot_id=os_stats.boot_id(),
        cpus=os_stats.cpus_in_force(),
        cpu_model=cpu_model(),
        load=os.getloadavg()[0],
        files=os_stats.allow_many_files(),
        ports=_ports(),
    )


def cpu_model() -> str | None:
    """Its name; None where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, None)


def _ports() -> tuple[int, int] | None:
    try:
        first, last = map(int, _PORTS.read_text().split())
    except OSError:
        return None
    return first, last


if __name__ == "__main__":
    print(json.dumps(to_json(host_info())))
