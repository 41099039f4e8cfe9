"""Waiting for all users to have done something."""

from __future__ import annotations

from gevent.event import Event


class Countdown:
    """left: how many of `users` have not done it yet."""

    def __init__(self, users: int) -> None:
        self.left = users
        self._all = Event()
        self._all_or_cut_short = Event()

    def step(self) -> None:
        """One more user has done it."""
        self.left -= 1
        if self.left <= 0:
            self._all.set()
            self._all_or_cut_short.set()

    def cut_short(self) -> None:
        """Whoever is in `wait` is to wait no longer."""
        self._all_or_cut_short.set()

    def wait(self, bound_s: float) -> bool:
        """Wait for all, until it is cut short, for `bound_s` at most; whether all have done it."""
        self._all_or_cut_short.wait(bound_s)
        return self.left <= 0

    def wait_for_all(self, bound_s: float) -> bool:
        """The same, even where it was cut short."""
        self._all.wait(bound_s)
        return self.left <= 0
