"""Long work that ends soon where nobody waits for it any more."""

from __future__ import annotations

import threading


class BrokenOff(Exception):
    """The work on this side was given up, for a reason that lies elsewhere."""


class Patience:
    """Asked between the steps of a long work: raises BrokenOff once nobody waits for it.

    within: of the work that this one is a part of, whose end is the end of this one, too.
    """

    def __init__(self, within: Patience | None = None) -> None:
        self._over = threading.Event()
        self._within = within

    def end(self) -> None:
        self._over.set()

    def check(self) -> None:
        if self._over.is_set():
            raise BrokenOff
        if self._within is not None:
            self._within.check()
