"""How far a worker's clock is ahead of the master's."""

from __future__ import annotations

from dataclasses import dataclass


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
