"""The addresses of Python's functions: the file that `-X perf` writes while the program runs.

A line a function, address and size in hexadecimal and a name as `py::QUALNAME:FILE` (Python
documentation, "Python support for the Linux perf profiler"; perf's jit-interface.txt). Only code
that runs through a trampoline, a few instructions of machine code a function, stands there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loopbench.loadtests.errors import HarnessError

_MARK = "py::"


@dataclass(frozen=True, slots=True)
class Code:
    """A Python function by its qualified name and the file that it was compiled from."""

    qualname: str
    file: str


class PerfMap:
    """Finds the function whose trampoline holds an address. Of two at one address the later is
    right: the memory was used again."""

    def __init__(self, lines: Iterable[str]) -> None:
        entries: dict[int, tuple[int, Code]] = {}
        for line in lines:
            start, size, name = line.rstrip("\n").split(" ", 2)
            if name.startswith(_MARK):
                qualname, _, file = name.removeprefix(_MARK).partition(":")
                entries[int(start, 16)] = int(size, 16), Code(qualname, file)
        self._starts = sorted(entries)
        self._entries = entries

    def __len__(self) -> int:
        return len(self._starts)

    def at(self, address: int) -> Code | None:
        """The function there; None where no trampoline holds it."""
        place = bisect_right(self._starts, address) - 1
        if place < 0:
            return None
        start = self._starts[place]
        size, code = self._entries[start]
        return code if address < start + size else None


def path_of(pid: int) -> Path:
    """Where CPython writes it, whatever the temporary folder is (Python/perf_trampoline.c)."""
    return Path("/", "tmp", f"perf-{pid}.map")


@contextmanager
def of_process(pid: int, python: Path) -> Iterator[Path]:
    """The file of a live process, which nobody else would delete. Raises HarnessError where its
    Python wrote none."""
    path = path_of(pid)
    if not path.is_file():
        raise HarnessError(f"{python} wrote no {path}: it names no function")
    try:
        yield path
    finally:
        path.unlink()
