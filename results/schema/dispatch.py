"""How a route's handler is run."""

from __future__ import annotations

import enum


class Dispatch(enum.StrEnum):
    """Where a route's work runs: on the loop, in a worker thread, or on the loop without ever
    giving it back."""

    ASYNC = "async"
    SYNC = "sync"
    BLOCKING = "blocking"
