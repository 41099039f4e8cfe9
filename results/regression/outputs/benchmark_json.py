"""What was measured, in the JSON formats of other tools.

github-action-benchmark, `customSmallerIsBetter`: a list of objects with name, unit, value, range
and extra; the candidate's figures. pyperf, format 1.0: a suite of benchmarks whose runs hold
values, a file a side, for `pyperf compare_to`. Throughput is left out, since more of it is better.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from loopbench.results.regression.evidence import Measured
from loopbench.results.regression.finding import Finding
from loopbench.results.regression.verdict import Report
from loopbench.results.schema import Row
from loopbench.results.schema.regression import Layer

ACTION_FILE = "github-action-benchmark.json"
PYPERF_FILES = {"base": "pyperf-base.json", "candidate": "pyperf-candidate.json"}
PYPERF_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A column of which less is better. unit: as a person reads it; pyperf_unit: one of pyperf's,
    which has `second` and `integer`, and how much of it the column's unit is."""

    column: str
    unit: str
    pyperf_unit: str
    pyperf_size: float


INSTRUCTIONS = Quantity("instructions", "instructions/request", "integer", 1)
TIMES = (
    Quantity("cpu_us_per_request", "us/request", "second", 1e-6),
    Quantity("service_time_p50_ms", "ms", "second", 1e-3),
    Quantity("service_time_p99_ms", "ms", "second", 1e-3),
)


@dataclass(slots=True)
class Series:
    """One quantity of one stack and subject; runs: the values of each process."""

    stack: str
    subject: str
    quantity: Quantity
    runs: dict[object, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def name(self) -> str:
        """The same in all files, and from one check to the next."""
        return f"{self.stack} {self.subject}: {self.quantity.column}"

    @property
    def values(self) -> list[float]:
        """Those of all processes."""
        return [value for run in self.runs.values() for value in run]


def render(report: Report) -> Mapping[str, str]:
    """The text of each file, by its name; none of a side of which nothing was measured."""
    evidence = report.evidence
    texts = {
        file: _text(_pyperf(benchmarks, measured))
        for measured, file in (
            (evidence.base, PYPERF_FILES["base"]),
            (evidence.candidate, PYPERF_FILES["candidate"]),
        )
        if (benchmarks := tuple(series(measured)))
    }
    candidate = tuple(series(evidence.candidate))
    if candidate:
        findings = {(f.stack, f.subject, f.metric): f for f in report.findings}
        texts[ACTION_FILE] = _text([_action(benchmark, findings) for benchmark in candidate])
    return texts


def _text(document: object) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def series(measured: Measured) -> Iterator[Series]:
    """Everything of a side of which less is better, in the order of its rows."""
    by_name: dict[str, Series] = {}
    for row in measured.rows[Layer.INSTRUCTIONS]:
        _add(by_name, row, str(row["route"]), INSTRUCTIONS, row["repeat"])
    for row in measured.rows[Layer.TIME]:
        for quantity in TIMES:
            _add(by_name, row, f"{row['case']}-{row['users']}", quantity, row["round"])
    yield from by_name.values()


def _add(
    by_name: dict[str, Series], row: Row, subject: str, quantity: Quantity, run: object
) -> None:
    """A value that is not there is left out, and never a zero."""
    value = row[quantity.column]
    if isinstance(value, int | float):
        benchmark = Series(str(row["stack"]), subject, quantity)
        by_name.setdefault(benchmark.name, benchmark).runs[run].append(float(value))


def _action(
    benchmark: Series, findings: Mapping[tuple[str, str, str], Finding]
) -> dict[str, object]:
    values = benchmark.values
    finding = findings.get((benchmark.stack, benchmark.subject, benchmark.quantity.column))
    extra = [f"median of {len(values)}"]
    if finding is not None:
        extra.append(str(finding.verdict))
        extra += [finding.meaning] if finding.meaning else []
    return {
        "name": benchmark.name,
        "unit": benchmark.quantity.unit,
        "value": statistics.median(values),
        "range": f"{_digits(min(values))} to {_digits(max(values))}",
        "extra": "; ".join(extra),
    }


def _digits(value: float) -> str:
    """Six digits or more, and no exponent: a count of millions has all of its own."""
    return f"{value:.0f}" if abs(value) >= 1e5 else f"{value:g}"


def _pyperf(benchmarks: tuple[Series, ...], measured: Measured) -> dict[str, object]:
    """A process is a run of pyperf's, and what was read of it one after another are its values."""
    fingerprint = {
        f"side_{part}": value
        for part, value in measured.side.fingerprint.items()
        if value is not None
    }
    return {
        "version": PYPERF_VERSION,
        "metadata": {"side": measured.side.title, **fingerprint},
        "benchmarks": [
            {
                "metadata": {"name": benchmark.name, "unit": benchmark.quantity.pyperf_unit},
                "runs": [
                    {"values": [_scaled(value, benchmark.quantity) for value in run]}
                    for run in benchmark.runs.values()
                ],
            }
            for benchmark in benchmarks
        ],
    }


def _scaled(value: float, quantity: Quantity) -> float:
    return round(value) if quantity.pyperf_unit == "integer" else value * quantity.pyperf_size
