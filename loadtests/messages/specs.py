"""What the load generator is asked for: a session with one server, or a Block with several."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from loopbench.loadtests.scenarios.models import Load

_SECOND_NS = 1_000_000_000


class Phase(StrEnum):
    """What the requests of a Slice are for: nothing, the figures, or the probe, which watches."""

    LEAD_IN = "lead-in"
    MEASURED = "measured"
    WATCHED = "watched"


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What the harness asks for. Times in seconds.

    drain_s: how long requests in flight at the end are waited for.
    timeout_s: a request without an answer for this long fails.
    spin_ms: for the check of the instrument alone: a greenlet keeps the
    generator from everything else for so long, ten times a second.
    part, phase, whole: of a load that several workers share: names this share, so that its
    arrivals are its own; how far within a user's step of the ramp it begins; and whether
    the timeline keeps its buckets, which can be merged where percentiles cannot.
    keeps_connections: whether its connections stay open for the next session with this server.
    """

    host: str
    port: int
    loads: tuple[Load, ...]
    warmup_s: float
    measured_s: float
    drain_s: float
    timeout_s: float
    seed: int
    spin_ms: float = 0.0
    part: str = ""
    phase: float = 0.0
    whole: bool = False
    keeps_connections: bool = False

    @property
    def open_ns(self) -> int:
        """When the measured window opens, after the session's start."""
        return int(self.warmup_s * _SECOND_NS)

    @property
    def close_ns(self) -> int:
        """When the measured window closes, after the session's start."""
        return self.open_ns + int(self.measured_s * _SECOND_NS)

    @property
    def authority(self) -> str:
        """Host and port as a request's Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """A server that takes part in a Block. pids: its processes, whose CPU time counts; none where
    they run on another machine. load: what it is offered."""

    name: str
    host: str
    port: int
    pids: tuple[int, ...]
    load: Load


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """What the harness asks for. cpus: where the servers run; empty where they are not pinned, and
    their CPU time is known to a timer tick only.

    first_s: how long a Slice may wait for the first answers of its users, before they count as
    failed. drain_s: the same for the answers that are under way at its end.

    awake: whether idle CPUs are kept from sleeping meanwhile.
    """

    targets: tuple[Target, ...]
    cpus: tuple[int, ...]
    first_s: float
    drain_s: float
    seed: int
    awake: bool = False
