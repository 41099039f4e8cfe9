"""Many claims in one test: each that does not hold is told, under its name.

A test for each of thousands of requests takes several times as long as the requests themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Claims:
    """What did not hold so far. Use `claims`."""

    def __init__(self) -> None:
        self.broken: list[Exception] = []

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """One claim: what is raised inside is kept with its name, and the next one follows."""
        try:
            yield
        except Exception as raised:
            raised.add_note(f"of {name}")
            self.broken.append(raised)


@contextmanager
def claims() -> Iterator[Claims]:
    """Raises an ExceptionGroup of all that did not hold, at the end."""
    found = Claims()
    yield found
    if found.broken:
        raise ExceptionGroup("what does not hold", found.broken)
