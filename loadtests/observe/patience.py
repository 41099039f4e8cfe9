"""Long work that ends soon where nobody waits for it any more."""

from __future__ import annotations

import threading


class BrokenOff(Exception):
    """The work on this side was given up, for a reason that lies elsewhere."""


class Patience:
    """Asked between the steps of a long work: raises BrokenOff once nobody waits for it."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def end(self) -> None:
        self._over.set()

    def check(self) -> None:
        if self._over.is_set():
            raise BrokenOff
