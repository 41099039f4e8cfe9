"""Long work that ends soon where nobody waits for it any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class BrokenOff(Exception):
    """The work on this side was given up, for a reason that lies elsewhere."""


class Patience:
    """Asked between the steps of a long work: raises BrokenOff once nobody waits for it.

    within: of the work that this one is a part of, whose end is the end of this one, too.
    """

    def __init__(self, within: Patience | None = None) -> None:
        self._over = False
        self._within = within
        self._lock = threading.Lock()
        self._acts: list[Callable[[], None]] = []

    def end(self) -> None:
        """Give the work up, from whatever thread."""
        with self._lock:
            self._over = True
            acts, self._acts = self._acts, []
        for act in acts:
            act()

    def check(self) -> None:
        """Raises BrokenOff where the work was given up."""
        if self._over:
            raise BrokenOff
        if self._within is not None:
            self._within.check()

    @contextmanager
    def ending(self, act: Callable[[], None]) -> Iterator[None]:
        """Within it, `act` is called where the work is given up, in the thread that gives it up:
        for a step that takes long, and does not ask. Raises BrokenOff where it was given up
        before, and has called `act` then."""
        within = self._within
        self._add(act)
        try:
            if within is None:
                yield
            else:
                with within.ending(act):
                    yield
        finally:
            with self._lock:
                if act in self._acts:
                    self._acts.remove(act)

    def _add(self, act: Callable[[], None]) -> None:
        with self._lock:
            if not self._over:
                self._acts.append(act)
                return
        act()
        raise BrokenOff


ENDLESS = Patience()
"""Of whoever waits for the end."""
