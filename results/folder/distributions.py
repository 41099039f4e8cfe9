"""Distributions from histograms.csv: one a Run, load and quantity, never pooled over Runs."""

from __future__ import annotations

import csv
import math
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from loopbench.results import schema
from loopbench.results.folder.tables import Damaged, Problem, rows
from loopbench.results.schema.files import open_text

RESPONSE_TIME = "response_time"
WANTED = frozenset((RESPONSE_TIME,))
"""Quantities that the report draws. The others are read past."""

Key = tuple[str, str, str]
"""Run, load and quantity."""

_DAMAGED = (
    "its compressed data is cut off or damaged, so that every distribution is left out; "
    "copy the file again from where it was whole"
)
_HEADER = list(schema.HISTOGRAMS.names)


@dataclass(frozen=True, slots=True)
class Distribution:
    """The buckets of one histogram, ascending. uppers_us: the highest value of each bucket;
    sums: how many values are in it and below."""

    uppers_us: array[int]
    sums: array[float]

    @property
    def count(self) -> int:
        """How many values were recorded; never 0."""
        return int(self.sums[-1])

    def at(self, percent: float) -> float:
        """The percentile in ms by nearest rank: the first bucket with `percent` of all in it
        and below, as the columns of runs.csv have it."""
        # Rounded first: 99.9 % of 1,000 is a little more than 999 in binary.
        rank = max(1, math.ceil(round(percent / 100 * self.count, 6)))
        return self.uppers_us[bisect_left(self.sums, rank)] / 1000

    @property
    def maximum(self) -> float:
        """The highest value in ms, to within its bucket."""
        return self.uppers_us[-1] / 1000


def distributions(path: Path, problems: list[Problem]) -> dict[Key, Distribution]:
    """Every distribution that the report draws. Faults of the file are added to `problems`.

    None of a compressed file that is damaged: which of its distributions lack buckets cannot be
    told. Raises ResultsError where the file is there and cannot be opened.
    """
    file = schema.HISTOGRAMS.file_in(path)
    try:
        buckets = _gathered(_quickly(file))
    except (ValueError, OverflowError, OSError, EOFError, zlib.error, csv.Error):
        try:
            buckets = _gathered(_carefully(path, problems))
        except Damaged:
            problems.append(Problem(file.name, _DAMAGED))
            return {}
    return {key: _distribution(arrays) for key, arrays in buckets.items()}


_Bucket = tuple[Key, int, int]


def _quickly(file: Path) -> Iterator[_Bucket]:
    """Buckets of a file without any fault; raises ValueError, csv.Error or OSError for others.

    A tenth of the time of `reading.rows`, and this is the one large table.
    """
    with open_text(file) as handle:
        reader = csv.reader(_ended(handle))
        if next(reader, None) != _HEADER:
            raise ValueError("another header")
        for run_id, load, quantity, upper, count in reader:
            upper_us, number = int(upper), int(count)
            if upper_us < 0 or number < 1 or not (run_id and load):
                raise ValueError("out of bounds")
            if quantity in WANTED:
                yield (run_id, load, quantity), upper_us, number


def _ended(lines: Iterator[str]) -> Iterator[str]:
    line = "\n"
    for line in lines:
        yield line
    if not line.endswith("\n"):
        raise ValueError("the last line is cut off")


def _carefully(path: Path, problems: list[Problem]) -> Iterator[_Bucket]:
    for row in rows(path, schema.HISTOGRAMS, problems):
        upper, count = row["upper_us"], row["count"]
        key = str(row["run_id"]), str(row["load"]), str(row["quantity"])
        if key[2] in WANTED and isinstance(upper, int) and isinstance(count, int):
            yield key, upper, count


def _gathered(bucket_rows: Iterator[_Bucket]) -> dict[Key, tuple[array[int], array[int]]]:
    buckets: dict[Key, tuple[array[int], array[int]]] = {}
    for key, upper, count in bucket_rows:
        held = buckets.get(key)
        if held is None:
            held = buckets[key] = array("q"), array("q")
        held[0].append(upper)
        held[1].append(count)
    return buckets


def _distribution(buckets: tuple[array[int], array[int]]) -> Distribution:
    uppers, counts = buckets
    order = sorted(range(len(uppers)), key=uppers.__getitem__)
    return Distribution(
        array("q", (uppers[place] for place in order)),
        array("d", accumulate(counts[place] for place in order)),
    )


PERCENT_COLUMNS: Mapping[float, str] = {
    percent: f"{RESPONSE_TIME}_{short}_ms" for short, percent in schema.PERCENTILES.items()
}
"""Percentiles that runs.csv has too."""

MAX_COLUMN = f"{RESPONSE_TIME}_max_ms"
