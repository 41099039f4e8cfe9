"""A worker as the master knows it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import IntEnum

from loopbench.loadtests.messages.workers import Hello, Progress


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


class Stage(IntEnum):
    """How far a worker is with the load under way."""

    CONNECTING = 0
    CONNECTED = 1
    """All of its users have connected, or have tried to."""
    REPORTED = 2
    """The master has its final report."""


@dataclass(slots=True)
class Peer:
    """One worker. number: from 1 on. client_id: Locust's name for its connection.

    hello: what it told of itself as it joined. last_message: when one came, CLOCK_MONOTONIC.
    stood_still_s: for so long since then the master itself stood still.
    longest_gap_s: without a message, since `begin`. users: of the load under way.
    progress: its last message about that load, None before the first. gone: why it is lost.
    failed: the defect that it met.
    """

    number: int
    client_id: str
    hello: Hello
    clock: Clock
    last_message: float = field(default_factory=time.monotonic)
    stood_still_s: float = 0.0
    longest_gap_s: float = 0.0
    users: int = 0
    stage: Stage = Stage.CONNECTING
    progress: Progress | None = None
    report_bytes: int = 0
    gone: str | None = None
    failed: str | None = None

    @property
    def name(self) -> str:
        """As Warnings name it."""
        return f"{self.number} on {self.hello.host.host}"

    @property
    def reported(self) -> bool:
        """Whether the master has its final report."""
        return self.stage is Stage.REPORTED

    def note_message(self) -> None:
        """Note that a message of it has just come."""
        now = time.monotonic()
        self.longest_gap_s = max(self.longest_gap_s, now - self.last_message)
        self.last_message, self.stood_still_s = now, 0.0

    def silent_s(self) -> float:
        """How long no message of it has come, though the master was there to take it."""
        return time.monotonic() - self.last_message - self.stood_still_s

    def begin(self, users: int) -> None:
        """Forget the load before."""
        self.users = users
        self.stage = Stage.CONNECTING
        self.progress = self.failed = None
        self.report_bytes = 0
        self.longest_gap_s = 0.0
        self.clock = Clock(self.clock.same_kernel)
