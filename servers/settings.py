"""The settings that every stack is started with, equal by construction."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field

from loopbench.results.schema import Value
from loopbench.servers.store_urls import without_password
from loopbench.servers.supervision.messages import LATER


def default_executor_threads() -> int:
    """The size that `ThreadPoolExecutor` would choose on this machine.

    It is computed from the machine's CPUs, not from the CPUs that a pinned
    process may use: Python 3.13 counts the latter, 3.11 and 3.12 the former,
    and a comparison must not depend on which.
    """
    return min(32, (os.cpu_count() or 1) + 4)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is told. Times in seconds or, where named so, milliseconds.

    wait_ms: how long the waiting routes await before they answer.
    executor_threads: size of the loop's default executor, where the suite owns the loop.
    body_limit_bytes: the largest request body that is accepted; one more byte is a 413.
    upload_limit_bytes: the same for `/upload`, which reads its body in pieces.
    database_url: `postgresql://…`; None: SQLite, in a temporary file of the server's own.
    redis_url: `redis://…`; None: what else would be there is within the process.
    upstream_url: whose pages `/fetch` gets; None: the server's own.
    pool_size: connections to the database, of each of the two drivers.
    pool_timeout_s: how long a request waits for one of them before it is a 503.
    keep_alive_s: how long an idle connection is kept.
    grace_s: how long a graceful stop waits for requests in flight.
    backlog: the listen backlog.
    reuse_port: whether other processes may listen on the same port, each for its share of
        the connections.
    debug: the framework's and the loop's debug modes.
    probe: whether the server watches itself, see servers.probe.probe.
    probe_beat_ms: interval of the probe's timer, whose lateness is the loop delay.
    probe_stall_ms: a loop that stays away from its selector for longer has stalled.
    """

    wait_ms: int = 500
    executor_threads: int = default_executor_threads()
    body_limit_bytes: int = 1_048_576
    upload_limit_bytes: int = field(default=134_217_728, metadata=LATER)
    database_url: str | None = field(default=None, metadata=LATER)
    redis_url: str | None = field(default=None, metadata=LATER)
    upstream_url: str | None = field(default=None, metadata=LATER)
    pool_size: int = field(default=8, metadata=LATER)
    pool_timeout_s: float = field(default=2.0, metadata=LATER)
    keep_alive_s: float = 75.0
    grace_s: float = 3.0
    backlog: int = 2048
    reuse_port: bool = field(default=False, metadata=LATER)
    debug: bool = False
    probe: bool = False
    probe_beat_ms: float = 10.0
    probe_stall_ms: float = field(default=5.0, metadata=LATER)

    def described(self) -> dict[str, Value]:
        """The settings as they may be written down: URLs without passwords."""
        values = asdict(self).items()
        return {
            name: without_password(value) if name.endswith("_url") and value else value
            for name, value in values
        }
