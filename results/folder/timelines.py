"""The timeline of each Run, from timeline.csv, in arrays: an hour has 3,600 rows a Run."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from pathlib import Path

from loopbench.results import schema
from loopbench.results.folder.tables import Problem, rows

COLUMNS = ("throughput_rps", "response_time_p99_ms", "loop_delay_p99_ms")
"""What is drawn over time."""

MOST_POINTS = 120
"""So many points of a line can be seen; of more, the worst of several seconds is drawn."""

LOWEST_IS_WORST = frozenset(("throughput_rps",))


@dataclass(frozen=True, slots=True)
class Track:
    """Seconds of one Run and load. Readings that are not there are NaN."""

    from_s: array[float] = field(default_factory=lambda: array("d"))
    to_s: array[float] = field(default_factory=lambda: array("d"))
    values: dict[str, array[float]] = field(
        default_factory=lambda: {column: array("d") for column in COLUMNS}
    )

    def worst(self, column: str) -> tuple[float, float] | None:
        """Of the worst second, the first of several: its begin and its reading; None where there is
        no reading."""
        known = [
            (value, begin)
            for begin, value in zip(self.from_s, self.values[column], strict=True)
            if not math.isnan(value)
        ]
        if not known:
            return None
        sign = 1 if column in LOWEST_IS_WORST else -1
        value, begin = min(known, key=lambda pair: (sign * pair[0], pair[1]))
        return begin, value

    def drawn(self, column: str) -> tuple[list[float], list[float]]:
        """Middles of the seconds and readings, at most MOST_POINTS: of each stretch of seconds
        the worst."""
        middles = [(a + b) / 2 for a, b in zip(self.from_s, self.to_s, strict=True)]
        step = math.ceil(len(middles) / MOST_POINTS) or 1
        pick = min if column in LOWEST_IS_WORST else max
        times, readings = [], []
        for start in range(0, len(middles), step):
            known = [
                (value, at)
                for at, value in zip(
                    middles[start : start + step],
                    self.values[column][start : start + step],
                    strict=True,
                )
                if not math.isnan(value)
            ]
            if known:
                value, at = pick(known)
                times.append(at)
                readings.append(value)
        return times, readings


def tracks(path: Path, problems: list[Problem]) -> dict[tuple[str, str], Track]:
    """By Run and load. Faults of the file are added to `problems`."""
    by_load: dict[tuple[str, str], Track] = {}
    for row in rows(path, schema.TIMELINE, problems):
        begin, end = row["from_s"], row["to_s"]
        if not isinstance(begin, float) or not isinstance(end, float):
            continue
        track = by_load.setdefault((str(row["run_id"]), str(row["load"])), Track())
        track.from_s.append(begin)
        track.to_s.append(end)
        for column in COLUMNS:
            value = row[column]
            track.values[column].append(
                float(value) if isinstance(value, int | float) else math.nan
            )
    return by_load
