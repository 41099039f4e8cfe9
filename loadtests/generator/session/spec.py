"""What a session is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loopbench.loadtests.scenarios.codec import load_from_json
from loopbench.loadtests.scenarios.models import Load

_SECOND_NS = 1_000_000_000


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

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> SessionSpec:
        """From a command of the control pipe; raises TypeError on unknown or missing names."""
        loads = tuple(load_from_json(load) for load in values["loads"])
        return cls(**{**values, "loads": loads})

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
