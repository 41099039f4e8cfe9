"""What a person is told while their own application takes its time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

EVERY_S = 10.0
"""How long nothing is said at the most: of a silent program nobody knows whether it hangs."""


@contextmanager
def telling(what: str, every_s: float = EVERY_S) -> Iterator[None]:
    """Say on standard error every so often what is being done, and for how long."""
    begun, done = time.monotonic(), threading.Event()

    def tell() -> None:
        while not done.wait(every_s):
            print(f"{what}: {time.monotonic() - begun:.0f} s so far", file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
