"""What an application reports of itself while an experiment talks to it."""

import asyncio
import logging.handlers
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import groupby


class EventLog:
    """Events in the order in which they happened; any thread may add to it."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._events: list[tuple[str, float]] = []

    def __call__(self, event: str) -> None:
        """Something has happened."""
        with self._condition:
            self._events.append((event, time.perf_counter()))
            self._condition.notify_all()

    @contextmanager
    def ends(self, who: str = "", over: str = "") -> Iterator[None]:
        """How the inside ends: `who` finished, cancelled or ended by another exception; and then
        `over`, where it has words."""
        named = f"{who} " if who else ""
        try:
            yield
            self(f"{named}finished")
        except asyncio.CancelledError:
            self(f"{named}cancelled")
            raise
        except BaseException as error:
            self(f"{named}ended by {type(error).__name__}")
            raise
        finally:
            if over:
                self(over)

    @property
    def events(self) -> tuple[str, ...]:
        """The events so far, oldest first."""
        with self._condition:
            return tuple(event for event, _ in self._events)

    @property
    def line(self) -> str:
        """The same in a line, what happened several times in a row counted."""
        runs = [(event, len(list(run))) for event, run in groupby(self.events)]
        return ", ".join(event if times == 1 else f"{times} × {event}" for event, times in runs)

    def at(self, event: str) -> float:
        """When `event` happened first, by perf_counter, in seconds. Raises LookupError."""
        with self._condition:
            for name, when in self._events:
                if name == event:
                    return when
        raise LookupError(f"{event!r} has not happened; there were {', '.join(self.events)}")

    def wait(self, event: str, bound_s: float = 10.0) -> bool:
        """Wait until `event` has happened, at most so long; whether it has."""
        with self._condition:
            return self._condition.wait_for(lambda: event in self, bound_s)

    def expect(self, event: str, otherwise: str) -> None:
        """Wait for it. Raises TimeoutError, with these words, where it does not happen."""
        if not self.wait(event):
            raise TimeoutError(otherwise)

    def __contains__(self, event: str) -> bool:
        return event in self.events


def warned() -> AbstractContextManager[list[warnings.WarningMessage]]:
    """All warnings meanwhile, of every thread, as they come."""
    return warnings.catch_warnings(record=True, action="always")


def kinds(caught: list[warnings.WarningMessage]) -> list[str]:
    """The names of their categories, each once."""
    return sorted({warning.category.__name__ for warning in caught})


def loggers(records: Iterable[logging.LogRecord]) -> str:
    """Who logged these. Quart's logger has the name of the application's module."""
    own = "the application's logger"
    names = {own if "behaviour" in record.name else record.name for record in records}
    return " and ".join(sorted(names)) or "nobody"


def logged(level: int = logging.NOTSET) -> list[logging.LogRecord]:
    """The records of at least that level that reach the root logger from now on, as they come."""
    handler = logging.handlers.BufferingHandler(sys.maxsize)
    handler.setLevel(level)
    logging.getLogger().addHandler(handler)
    return handler.buffer
