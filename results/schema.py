"""Tables, columns, units and their version; CSV in and out.

This is the only seam between measuring and reading, and the leaf that every
other package may import. A blank cell means "not measured"; a zero means zero.
"""

from __future__ import annotations

import csv
import enum
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

SCHEMA_VERSION = 1
"""Raised whenever a column changes its meaning, unit or name, or goes away."""

Value = str | int | float | bool | None
Row = Mapping[str, Value]


class SchemaError(Exception):
    """A table that cannot be read or written as this version defines it.
    The message names file, row and column."""


class Kind(enum.Enum):
    """The type of a column's values."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `unit` is blank for text and pure counts; `required` cells are never blank."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    required: bool = False
    minimum: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV file of a results folder."""

    name: str
    meaning: str
    columns: tuple[Column, ...]

    @property
    def filename(self) -> str:
        return f"{self.name}.csv"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def _text(name: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, Kind.TEXT, "", meaning, required)


def _count(name: str, meaning: str, *, unit: str = "", required: bool = False) -> Column:
    return Column(name, Kind.INTEGER, unit, meaning, required, 0)


def _number(name: str, unit: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, Kind.NUMBER, unit, meaning, required, 0)


def _reading(name: str, meaning: str, required: bool = False) -> Column:
    """A number whose unit stands in the row's own `unit`."""
    return Column(name, Kind.NUMBER, "as `unit` says", meaning, required)


PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}


def _distribution(quantity: str, of: str) -> tuple[Column, ...]:
    statistics = {
        "mean": "mean",
        **{short: f"{percent:g}th percentile" for short, percent in PERCENTILES.items()},
        "max": "maximum",
    }
    return tuple(
        _number(f"{quantity}_{short}_ms", "ms", f"{long} of {of}")
        for short, long in statistics.items()
    )


class Code(enum.StrEnum):
    """Why a row should not be believed, or not without thought. Wording: results.warnings."""

    GENERATOR_CPU = "generator-cpu"
    GENERATOR_LAG = "generator-lag"
    RATE_MISSED = "rate-missed"
    LITTLES_LAW = "littles-law"
    FAILURES = "failures"
    LEAD_IN_FAILURES = "lead-in-failures"
    CLOCK_STEPPED = "clock-stepped"
    CLOCK_USER = "clock-user"
    MACHINE_BUSY = "machine-busy"
    MACHINE_SPEED = "machine-speed"
    ONE_CPU = "one-cpu"
    NOT_PINNED = "not-pinned"
    ENVIRONMENT_DRIFT = "environment-drift"
    NOT_VERIFIED = "not-verified"
    SERVER_NOT_READY = "server-not-ready"
    SERVER_DIED = "server-died"
    SERVER_NOT_READABLE = "server-not-readable"
    PROBE_FAILED = "probe-failed"
    GENERATOR_DIED = "generator-died"
    STOP_KILLED = "stop-killed"
    FEW_REQUESTS = "few-requests"


WARNING_SEPARATOR = ";"

_SOME = {"p50": "median", "p99": "99th percentile", "max": "maximum"}

RUNS = Table(
    "runs",
    "A row a Run and load, written as soon as the Run ends.",
    (
        _text(
            "run_id",
            "Round, stack and scenario of the Run; the key of every other table",
            required=True,
        ),
        Column("round", Kind.INTEGER, "", "Round, from 1", True, 1),
        Column(
            "position",
            Kind.INTEGER,
            "",
            "place of the Run in the shuffled order of the whole plan, from 1",
            True,
            1,
        ),
        _text("stack", "what was measured", required=True),
        _text("scenario", "the load that was offered", required=True),
        _text(
            "load",
            "which of the scenario's loads this row is about; `main` where there is one",
            required=True,
        ),
        _text("started_at", "when the server was started, ISO 8601, UTC", required=True),
        _text(
            "load_model",
            "closed (users), open (arrival rate) or idle (connections held open)",
            required=True,
        ),
        _count(
            "users", "closed: users; open: the most connections; idle: connections", required=True
        ),
        _number(
            "arrival_rate_rps",
            "1/s",
            "open: the mean rate of the Poisson arrivals; blank in a closed loop",
        ),
        _number("warmup_s", "s", "length of the discarded lead-in, ramp-up included"),
        _number("measured_s", "s", "length of the measured window"),
        _count("requests", "requests that began in the measured window, however they ended"),
        _count(
            "failures",
            "those of them that failed: wrong answer, broken connection or no answer in time",
        ),
        _number(
            "throughput_rps",
            "1/s",
            "correct answers completed inside the measured window, a second",
        ),
        *_distribution(
            "service_time",
            "actual send to the last byte reaching the client's kernel, correct answers",
        ),
        *_distribution(
            "response_time",
            "intended start to the same instant; the generator's own lateness is not in it",
        ),
        _text("clock", "kernel (receive timestamps) or user (the generator's own reading)"),
        _number(
            "cpu_us_per_request",
            "us",
            "CPU time of the server process over all its threads, a completed request of any load",
        ),
        _number(
            "server_cpu_utilisation",
            "1",
            "CPU time of the server process over wall time; above 1 on several CPUs",
        ),
        _count(
            "rss_peak_bytes",
            "highest resident memory of the server process, up to the end of the window",
            unit="bytes",
        ),
        _number(
            "generator_cpu_utilisation",
            "1",
            "CPU time of the generator process over wall time in the window",
        ),
        _number(
            "generator_lag_p99_ms",
            "ms",
            "99th percentile of the lateness of a 10 ms timer inside the generator",
        ),
        _number(
            "send_lag_p99_ms",
            "ms",
            "open loop: 99th percentile of the generator's own lateness in sending",
        ),
        _number("start_ms", "ms", "start of the process to its word that it listens"),
        _number("first_answer_ms", "ms", "start of the process to the first correct answer"),
        _number("stop_ms", "ms", "request to stop gracefully to the end of the process"),
        Column(
            "exit_code",
            Kind.INTEGER,
            "",
            "exit status of the server process; negative: ended by that signal",
        ),
        Column("killed", Kind.BOOLEAN, "", "true where the process had to be killed at the bound"),
        _number(
            "calibration_ms",
            "ms",
            "a fixed piece of work on the server's CPU, mean of before and after the load",
        ),
        _text("loop_class", "class of the event loop that the probe watched"),
        *(
            _number(
                f"loop_delay_{short}_ms",
                "ms",
                f"{long} of the lateness of a 10 ms timer on the server's loop",
            )
            for short, long in _SOME.items()
        ),
        _number(
            "loop_utilisation",
            "1",
            "share of wall time outside the selector's wait; blank where the loop has no selector",
        ),
        _number(
            "loop_longest_stretch_ms", "ms", "longest time without a return to the selector's wait"
        ),
        _count("tasks_max", "most tasks alive on the loop, looked at every 100 ms"),
        _number("executor_wait_mean_ms", "ms", "mean of submit to start of an executor's call"),
        *(
            _number(f"executor_wait_{short}_ms", "ms", f"{long} of submit to start of a call")
            for short, long in _SOME.items()
        ),
        _count("executor_threads_max", "threads that the executor had started by the end"),
        _count(
            "executor_queue_max", "most calls waiting for a thread, looked at after each submit"
        ),
        _number("handler_time_p50_ms", "ms", "median time inside the load's route"),
        _number("handler_time_p99_ms", "ms", "99th percentile of the time inside the load's route"),
        _number(
            "before_handler_mean_ms",
            "ms",
            "mean time from the send to the begin of the handler: socket, loop and executor",
        ),
        _number("in_handler_mean_ms", "ms", "mean time inside the handler, of the same requests"),
        _number(
            "after_handler_mean_ms",
            "ms",
            "mean time from the end of the handler to the last byte; the three parts add up to "
            "the mean service time",
        ),
        _count("gc_pauses", "pauses of the server's garbage collector, all generations"),
        _number("gc_pause_total_ms", "ms", "their length together"),
        _number("gc_pause_max_ms", "ms", "the longest of them; 0 where there was none"),
        _count("threads_max", "most threads of the server process, the control thread included"),
        _count("voluntary_switches", "context switches of the server that it asked for (waiting)"),
        _count("involuntary_switches", "context switches of the server that were forced on it"),
        _count("rss_start_bytes", "resident memory before the load connected", unit="bytes"),
        _count("rss_end_bytes", "resident memory at the end of the window", unit="bytes"),
        _count(
            "rss_after_bytes",
            "resident memory a second after the load had closed its connections; blank where the "
            "scenario does not wait for that",
            unit="bytes",
        ),
        _count("descriptors_start", "open descriptors of the server before the load connected"),
        _count("descriptors_end", "open descriptors at the end of the window"),
        _count("descriptors_after", "open descriptors at the time of rss_after_bytes"),
        _text("warnings", "codes of results.warnings, `;` between; blank: none"),
    ),
)

HISTOGRAMS = Table(
    "histograms",
    "Every recorded time, from the first to the last: a row a bucket that is not empty.",
    (
        _text("run_id", "the Run", required=True),
        _text(
            "load",
            "which of the scenario's loads; `all` for what is of the whole run",
            required=True,
        ),
        _text(
            "quantity",
            "service_time, response_time (correct answers), failure_time (failed requests: send "
            "to failure), warmup_service_time (the lead-in, kept and labelled), "
            "send_lag, handler_time; of the whole run: generator_lag, loop_delay, executor_wait, "
            "executor_run",
            required=True,
        ),
        _count(
            "upper_us",
            "the highest value that the bucket holds (inclusive)",
            unit="us",
            required=True,
        ),
        Column("count", Kind.INTEGER, "", "how many values fell into it", True, 1),
    ),
)

FAILURES = Table(
    "failures",
    "A row a Run, load and reason.",
    (
        _text("run_id", "the Run", required=True),
        _text("load", "which of the scenario's loads", required=True),
        _text(
            "reason",
            "what was wrong, in a few words that do not vary from request to request",
            required=True,
        ),
        Column(
            "count", Kind.INTEGER, "", "how many requests of the measured window failed so", True, 1
        ),
        _text("example", "one of them, in detail"),
    ),
)

OBSERVATIONS = Table(
    "observations",
    "Where the requests of the measured window ran: a row a Run, route, thread and loop.",
    (
        _text("run_id", "the Run", required=True),
        _text("route", "name of the contract's route", required=True),
        _count("pid", "the server process", required=True),
        _text("thread", "name of the thread that ran the handler", required=True),
        Column("is_main_thread", Kind.BOOLEAN, "", "the process's main thread", True),
        Column("is_loop_thread", Kind.BOOLEAN, "", "the thread that runs the event loop", True),
        _text("loop_class", "class of the loop that was running there; blank: none was"),
        _count("loop_number", "which loop, counted from 1 in the order of appearance; blank: none"),
        _count("requests", "requests of the route that ended there", required=True),
        _number("share", "1", "of all requests of the route in this Run", required=True),
    ),
)

THREADS = Table(
    "threads",
    "A row a Run and thread of the server that was alive at the end of the window.",
    (
        _text("run_id", "the Run", required=True),
        _text("thread", "name of the thread", required=True),
        _number("cpu_ms", "ms", "time on a CPU since the thread began", required=True),
        _number("run_queue_ms", "ms", "time runnable but waiting for a CPU", required=True),
    ),
)

TIMELINE = Table(
    "timeline",
    "A row a Run, load and second of the measured window; the last may be shorter.",
    (
        _text("run_id", "the Run", required=True),
        _text("load", "which of the scenario's loads", required=True),
        _number("from_s", "s", "begin, since the window opened", required=True),
        _number("to_s", "s", "end", required=True),
        _number("throughput_rps", "1/s", "correct answers a second", required=True),
        _number("response_time_p50_ms", "ms", "median of the answers of this second"),
        _number("response_time_p99_ms", "ms", "99th percentile of the answers of this second"),
        _count("failures", "failed requests", required=True),
        _number("server_cpu_utilisation", "1", "CPU time of the server over wall time"),
        _count("rss_bytes", "resident memory at the end of this second", unit="bytes"),
        _count("threads", "threads of the server at the end of this second"),
        _number("loop_delay_p99_ms", "ms", "99th percentile of the loop delay in this second"),
        _number("loop_utilisation", "1", "share of this second outside the selector's wait"),
        _count("executor_queue", "calls waiting for a thread at the end of this second"),
    ),
)

PROBE_COST = Table(
    "probe_cost",
    "What the probe costs, counted under callgrind: a row a stack. Written by `loadtests "
    "probe-cost --out DIR`, which is not part of a bench.",
    (
        _text("stack", "whose `/async` route was asked", required=True),
        _count("requests", "requests in one count", required=True),
        _count("repeats", "counts with the probe off, and as many with it on", required=True),
        _number("off_instructions", "1", "user-space instructions a request, probe off, median"),
        _number("on_instructions", "1", "the same with the probe on, its timer excluded"),
        _number("spread", "1", "the wider range of the counts, as a share of the least"),
        Column("share", Kind.NUMBER, "1", "what the probe adds to a request, as a share"),
        _number("beat_instructions", "1", "instructions of one beat of the probe's timer"),
    ),
)

SUMMARY = Table(
    "summary",
    "A row a Cell, load and metric: its values over the Rounds in numbers. Made from runs.csv.",
    (
        _text("stack", "what was measured", required=True),
        _text("scenario", "the load that was offered", required=True),
        _text("load", "which of the scenario's loads", required=True),
        _text("metric", "name of the column of runs.csv", required=True),
        _text("unit", "unit of centre, low, high, lowest and highest; blank: a pure count"),
        Column("n", Kind.INTEGER, "", "Rounds that have a value", True, 1),
        _reading("centre", "20 % trimmed mean over the Rounds; the median below 5 Rounds", True),
        _reading("low", "begin of the centre's 95 % interval over Rounds; blank below 3 Rounds"),
        _reading("high", "end of that interval"),
        _reading("lowest", "the lowest value of any Round", True),
        _reading("highest", "the highest value of any Round", True),
        _text("reference", "the stack that the ratio is taken to; blank: there is no ratio"),
        Column("ratio_n", Kind.INTEGER, "", "Rounds that have both values", False, 1),
        _number("ratio", "1", "value over the reference's within a Round, centre over the Rounds"),
        _number("ratio_low", "1", "begin of the ratio's 95 % interval; blank below 3 Rounds"),
        _number("ratio_high", "1", "end of that interval"),
        _text("warnings", "codes of results.warnings that concern this metric, `;` between"),
    ),
)

TABLES: tuple[Table, ...] = (RUNS, HISTOGRAMS, FAILURES, OBSERVATIONS, THREADS, TIMELINE)
"""What is measured."""

DERIVED: tuple[Table, ...] = (SUMMARY,)
"""What the reading half makes of it, and can make again."""

EXTRA: tuple[Table, ...] = (PROBE_COST,)
"""What other commands than a bench put beside it."""

RUNS_FOLDER = Path(__file__).resolve().parent / "runs"
"""Where results folders are written unless another place is named; git-ignored."""

ENVIRONMENT_FILE = "environment.json"
PLAN_FILE = "plan.json"


def format_value(value: Value) -> str:
    """One cell: blank for None, `true` and `false`, numbers so that they read back equal."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(round(value, 6))
    return str(value)


def parse_value(column: Column, cell: str) -> Value:
    """The inverse of `format_value`. Raises ValueError with what was expected."""
    if cell == "":
        if column.required:
            raise ValueError("is blank and must not be")
        return None
    value: Value = cell
    if column.kind is Kind.INTEGER:
        value = int(cell)
    elif column.kind is Kind.NUMBER:
        value = float(cell)
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"{cell!r} is not a finite number")
    elif column.kind is Kind.BOOLEAN:
        if cell not in ("true", "false"):
            raise ValueError(f"{cell!r} is neither true nor false")
        value = cell == "true"
    if column.minimum is not None and isinstance(value, int | float) and value < column.minimum:
        raise ValueError(f"{cell} is below {column.minimum:g}")
    return value


def _encode(cells: Iterable[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode()


class TableWriter:
    """Appends rows to one table of a results folder, each batch whole or not at all.

    A batch that the disk does not take (full, gone) is cut off again before
    OSError is raised, so that the file never ends in half a row.
    """

    def __init__(self, folder: Path, table: Table) -> None:
        self._table = table
        self._path = folder / table.filename
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            if os.fstat(self._fd).st_size == 0:
                self._write(_encode(table.names))
        except OSError:
            os.close(self._fd)
            raise

    def append(self, rows: Iterable[Row]) -> None:
        """Write rows; raises SchemaError on a column that the table lacks or a required blank."""
        self._write(b"".join(_encode(self._cells(row)) for row in rows))

    def _cells(self, row: Row) -> list[str]:
        unknown = row.keys() - set(self._table.names)
        if unknown:
            raise SchemaError(f"{self._table.filename} has no column {', '.join(sorted(unknown))}")
        cells = []
        for column in self._table.columns:
            value = row.get(column.name)
            if value is None and column.required:
                raise SchemaError(f"{self._table.filename}: {column.name} must not be blank")
            cells.append(format_value(value))
        return cells

    def _write(self, data: bytes) -> None:
        before = os.fstat(self._fd).st_size
        try:
            rest = data
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            os.ftruncate(self._fd, before)
            raise

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_table(folder: Path, table: Table) -> Iterator[dict[str, Value]]:
    """Rows of one table, typed. Raises SchemaError naming file, row and column.

    Columns that this version does not know are an error too: their meaning is
    not known, so nothing may be computed from them.
    """
    path = folder / table.filename
    try:
        handle = path.open(newline="", encoding="utf-8")
    except FileNotFoundError:
        raise SchemaError(f"{path}: the file is missing") from None
    with handle:
        reader = csv.reader(handle)
        header = next(reader, None)
        if header is None:
            raise SchemaError(f"{path}: the file is empty")
        _check_header(path, table, header)
        by_name = {column.name: column for column in table.columns}
        columns = [by_name[name] for name in header]
        for number, cells in enumerate(reader, start=2):
            if len(cells) != len(columns):
                raise SchemaError(
                    f"{path}, row {number}: {len(cells)} cells instead of {len(columns)}"
                )
            row: dict[str, Value] = {}
            for column, cell in zip(columns, cells, strict=True):
                try:
                    row[column.name] = parse_value(column, cell)
                except ValueError as error:
                    raise SchemaError(
                        f"{path}, row {number}, column {column.name}: {error}"
                    ) from None
            yield row


def _check_header(path: Path, table: Table, header: list[str]) -> None:
    unknown = [name for name in header if name not in table.names]
    if unknown:
        raise SchemaError(f"{path}: unknown column {', '.join(unknown)} (a newer version's file?)")
    missing = [name for name in table.names if name not in header]
    if missing:
        raise SchemaError(
            f"{path}: column {', '.join(missing)} is missing (an older version's file?)"
        )
    if len(set(header)) != len(header):
        raise SchemaError(f"{path}: a column appears twice")
