"""The workers as the master knows them: who joined, who is heard of, whose clock says what."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Clock:
    """A worker's CLOCK_REALTIME against the master's, from the quickest of some round trips.

    offset_ns: how far it is ahead; its error is at most half the round trip, `bound_ns`,
    whatever the two ways take. Processes of one running kernel read the same clock, so there
    the offset is 0 by definition.
    """

    same_kernel: bool
    round_trip_ns: int | None = None
    offset_ns: int = 0

    @property
    def bound_ns(self) -> int | None:
        """Half the round trip; None before there was one."""
        return None if self.round_trip_ns is None else (self.round_trip_ns + 1) // 2

    def add(self, sent_ns: int, there_ns: int, back_ns: int) -> None:
        """One round trip: here, there, here."""
        round_trip_ns = back_ns - sent_ns
        if round_trip_ns < 0 or (
            self.round_trip_ns is not None and round_trip_ns >= self.round_trip_ns
        ):
            return
        self.round_trip_ns = round_trip_ns
        if not self.same_kernel:
            self.offset_ns = there_ns - (sent_ns + back_ns) // 2


@dataclass(slots=True)
class Seat:
    """One worker. number: from 1 on. client_id: Locust's name for its connection.

    hello: what it said of itself. heard: when it was last heard of, CLOCK_MONOTONIC.
    longest_gap_s: without a word, since `begin`. told: its last report of the load under
    way, None before the first; whole: its final one. gone: why it is lost, if it is.
    """

    number: int
    client_id: str
    hello: dict[str, Any]
    clock: Clock
    heard: float = field(default_factory=time.monotonic)
    longest_gap_s: float = 0.0
    users: int = 0
    arrived: bool = False
    told: dict[str, Any] | None = None
    whole: bool = False
    report_bytes: int = 0
    gone: str | None = None
    failed: str | None = None

    @property
    def name(self) -> str:
        """As Warnings name it."""
        return f"{self.number} on {self.hello['host']}"

    def hear(self) -> None:
        """Note that it has just been heard of."""
        now = time.monotonic()
        self.longest_gap_s = max(self.longest_gap_s, now - self.heard)
        self.heard = now

    def silent_s(self) -> float:
        """How long nothing has been heard of it."""
        return time.monotonic() - self.heard

    def begin(self, users: int) -> None:
        """Forget the load before."""
        self.users = users
        self.arrived = self.whole = False
        self.told = self.failed = None
        self.report_bytes = 0
        self.longest_gap_s = 0.0
        self.clock = Clock(self.clock.same_kernel)
