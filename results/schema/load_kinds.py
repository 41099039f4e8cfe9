"""The kinds of load, as they stand in the column `load_model` of runs.csv."""

from __future__ import annotations

import enum


class LoadKind(enum.StrEnum):
    """How requests or messages are offered. docs/method.md tells what each is for."""

    CLOSED = "closed"
    OPEN = "open"
    IDLE = "idle"
    SLOW = "slow"
    STREAM = "stream"
    LOCUSTFILE = "locustfile"
    ECHO = "echo"
    PUSHED = "pushed"
    BROADCAST = "broadcast"
