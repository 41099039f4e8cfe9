"""How many are somewhere at once: counted, and counted without a clock."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

QUIET_S = 0.2
"""Nobody new for so long: all that can come at once have come."""

_GLANCES = 10
"""How often each of them looks whether it is over, in the time that has to be quiet."""


class Inside:
    """How many are inside a block now, and the most there ever were at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = 0

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self.now -= 1


class Crowd(Inside):
    """Holds whoever comes until nobody new has come for a while, then lets all of them go.

    So the most that were there at once does not depend on how fast the machine
    is, as it would if each stayed for a fixed time.

    quiet_s: nobody new for so long is nobody new. expected: so many are all; they are not held for
    longer. threads: the names of the threads that they came on.
    """

    def __init__(self, quiet_s: float = QUIET_S, expected: int | None = None) -> None:
        super().__init__()
        self.threads: set[str] = set()
        self._quiet_s = quiet_s
        self._expected = expected
        self._wave = 0
        self._came = 0.0

    def hold(self) -> None:
        """Be held, in a thread."""
        with self._joined() as wave:
            while not self._over(wave):
                time.sleep(self._quiet_s / _GLANCES)

    async def hold_async(self) -> None:
        """Be held, in a coroutine."""
        with self._joined() as wave:
            while not self._over(wave):  # noqa: ASYNC110  it is over when time has passed
                await asyncio.sleep(self._quiet_s / _GLANCES)

    @contextmanager
    def _joined(self) -> Iterator[int]:
        with self:
            with self._lock:
                self._came = time.monotonic()
                self.threads.add(threading.current_thread().name)
                wave = self._wave
            yield wave

    def _over(self, wave: int) -> bool:
        with self._lock:
            quiet = time.monotonic() - self._came > self._quiet_s
            if wave == self._wave and (quiet or self.now == self._expected):
                self._wave += 1
            return wave != self._wave
