"""Results folders: finding them, and reading what is in them as far as it can be read.

A bench that was cut short, a file that is missing, a column of another
version or nonsense in a cell does not hide the rest: each becomes a Problem
that names file, row and column, beside the rows that can be used.
"""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from results import schema
from results.errors import ResultsError, UnknownName
from results.schema import Column, Row, Table, Value

MOST_PROBLEMS = 20
"""So many are told of one file; then only how many more there are."""

_LONGEST_CELL = 10_000_000
_MARKS = (schema.RUNS.filename, schema.PLAN_FILE, schema.ENVIRONMENT_FILE)
"""A folder that holds one of these is a results folder."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a folder that could not be used. `row` counts the header as 1."""

    file: str
    text: str
    row: int | None = None
    column: str | None = None

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        column = "" if self.column is None else f", column {self.column}"
        return f"{self.file}{row}{column}: {self.text}"


@dataclass(frozen=True, slots=True)
class RunRow:
    """One row of runs.csv. `values` holds every column, blank cells as None."""

    run_id: str
    round: int
    stack: str
    scenario: str
    load: str
    load_model: str
    codes: tuple[str, ...]
    values: Row

    def number(self, column: str) -> float | None:
        """The cell as a number; None where it is blank or no number."""
        value = self.values.get(column)
        return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True, slots=True)
class Plan:
    """plan.json, as far as it is there: what was to be measured. None: not known."""

    stacks: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    rounds: int | None = None
    runs: int | None = None
    raw: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Folder:
    """A results folder as read. `environment` is empty where environment.json is of no use."""

    path: Path
    runs: tuple[RunRow, ...]
    failures: tuple[Row, ...]
    plan: Plan
    environment: Mapping[str, object]
    problems: tuple[Problem, ...]

    @property
    def stacks(self) -> tuple[str, ...]:
        """Every stack that was planned or measured, by name."""
        return tuple(sorted({*self.plan.stacks, *(run.stack for run in self.runs)}))


def is_results_folder(path: Path) -> bool:
    """Whether `path` holds at least one of the files by which a results folder is known."""
    return any((path / mark).is_file() for mark in _MARKS)


def names(runs: Path = schema.RUNS_FOLDER) -> tuple[str, ...]:
    """Names of the results folders under `runs`, the newest first."""
    try:
        found = [path for path in runs.iterdir() if is_results_folder(path)]
    except OSError:
        return ()
    return tuple(path.name for path in sorted(found, key=_age, reverse=True))


def _age(path: Path) -> tuple[float, str]:
    """When the last Run was written, or the folder made; the name where both are equal."""
    file = path / schema.RUNS.filename
    return (file if file.is_file() else path).stat().st_mtime, path.name


def find(name: str | None, runs: Path = schema.RUNS_FOLDER) -> Path:
    """The results folder of that name or path; the newest one for None.

    Beside the folders in `runs` a name may be that of a sibling of it, such
    as `reference`. Raises UnknownName.
    """
    known = names(runs)
    if name is None:
        if not known:
            raise UnknownName("nothing has been measured yet; `make bench` does it")
        return runs / known[0]
    asked = Path(name).expanduser()
    candidates = [runs / name, asked, runs.parent / name] if name.strip() else []
    if asked.name in _MARKS:
        candidates.append(asked.parent)
    for candidate in candidates:
        if is_results_folder(candidate):
            return candidate
    for candidate in candidates:
        if candidate.is_dir() and candidate != runs.parent:
            raise UnknownName(f"{name} is no results folder: it holds none of {', '.join(_MARKS)}")
    raise UnknownName(f"unknown run {name!r}; {suggestion(name, known)}")


def suggestion(name: str, known: tuple[str, ...], what: str = "run") -> str:
    """What a person may have meant, or where to look."""
    if not known:
        return f"there is no {what} yet"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"the newest is {known[0]!r}"


def load(path: Path) -> Folder:
    """Read runs.csv, failures.csv, plan.json and environment.json of one folder.

    Never raises for what is in them. Raises ResultsError where runs.csv is
    there and cannot be opened.
    """
    problems: list[Problem] = []
    environment = _json(path, schema.ENVIRONMENT_FILE, problems)
    plan = _plan(_json(path, schema.PLAN_FILE, problems), problems)
    runs = tuple(_runs(path, problems))
    failures = tuple(rows(path, schema.FAILURES, problems))
    problems += _cut_short(plan, runs)
    return Folder(path, runs, failures, plan, environment, tuple(problems))


class _Noted:
    """Adds to a list of problems, up to a bound for each file."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self._file, self._problems, self._count = file, problems, 0

    def __call__(self, text: str, row: int | None = None, column: str | None = None) -> None:
        self._count += 1
        if self._count <= MOST_PROBLEMS:
            self._problems.append(Problem(self._file, text, row, column))

    def close(self) -> None:
        more = self._count - MOST_PROBLEMS
        if more > 0:
            self._problems.append(Problem(self._file, f"{more} more like these"))


def rows(path: Path, table: Table, problems: list[Problem]) -> Iterator[dict[str, Value]]:
    """The rows of one table that can be used, typed, one at a time.

    A cell that cannot be read becomes None, which is "not measured"; a row
    whose required cells cannot be read is left out. Each is told in
    `problems`. Columns that this version does not know are ignored, told too.
    Raises ResultsError where the file is there and cannot be opened.
    """
    note = _Noted(table.filename, problems)
    file = path / table.filename
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with open(file, newline="", encoding="utf-8-sig", errors="replace") as handle:
            yield from _read(csv.reader(_whole(handle, note)), table, note)
    except FileNotFoundError:
        note("the file is missing")
    except OSError as error:
        raise ResultsError(f"cannot read {file}: {error.strerror}") from error
    note.close()


def _whole(lines: Iterable[str], note: Callable[..., None]) -> Iterator[str]:
    """Lines that have their end: of one without it nobody knows how much is missing."""
    for line in lines:
        if line.endswith(("\n", "\r")):
            yield line.replace("\0", "\ufffd")
        else:
            note("the last line has no end, so it may be cut off; it is left out")


def _read(
    reader: Iterator[list[str]], table: Table, note: Callable[..., None]
) -> Iterator[dict[str, Value]]:
    header = next(_lines(reader, note), None)
    if header is None:
        note("the file is empty")
        return
    columns = _columns(table, header[1], note)
    if columns is None:
        return
    blank: dict[str, Value] = dict.fromkeys(table.names)
    for number, cells in _lines(reader, note, start=2):
        if len(cells) != len(columns):
            cut = "is cut off" if len(cells) < len(columns) else "is too long"
            note(f"{cut}, {len(cells)} cells instead of {len(columns)}; it is left out", number)
            continue
        row = _row(columns, cells, blank, number, note)
        if row is not None:
            yield row


def _lines(
    reader: Iterator[list[str]], note: Callable[..., None], start: int = 1
) -> Iterator[tuple[int, list[str]]]:
    """Rows with their number, blank lines passed over; ends where the CSV itself is broken."""
    number = start
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            note(f"{error}; nothing after it was read", number)
            return
        if cells:
            yield number, cells
        number += 1


def _columns(
    table: Table, header: list[str], note: Callable[..., None]
) -> list[Column | None] | None:
    """The column of each place, None for one to ignore; None where the table is of no use."""
    by_name = {column.name: column for column in table.columns}
    columns = [by_name.get(name) for name in header]
    twice = sorted({name for name in header if header.count(name) > 1})
    for name in twice:
        note("stands there twice; the table is not used", column=name)
    for name in header:
        if name not in by_name:
            note("is not known to this version (a newer one's file?); it is ignored", column=name)
    missing = [column for column in table.columns if column.name not in header]
    for column in missing:
        so = "the table is not used" if column.required else "its cells count as not measured"
        note(f"is missing (an older version's file?); {so}", column=column.name)
    if twice or any(column.required for column in missing):
        return None
    return columns


def _row(
    columns: list[Column | None],
    cells: list[str],
    blank: dict[str, Value],
    number: int,
    note: Callable[..., None],
) -> dict[str, Value] | None:
    row, usable = blank.copy(), True
    for column, cell in zip(columns, cells, strict=True):
        if column is None:
            continue
        try:
            row[column.name] = schema.parse_value(column, cell)
        except ValueError as error:
            so = "the row is left out" if column.required else "it counts as not measured"
            note(f"{_said(column, cell, error)}; {so}", number, column.name)
            usable = usable and not column.required
    return row if usable else None


def _said(column: Column, cell: str, error: ValueError) -> str:
    """What is wrong with a cell, without the wording of Python's own conversions."""
    try:
        int(cell) if column.kind is schema.Kind.INTEGER else float(cell)
    except ValueError:
        if column.kind in (schema.Kind.INTEGER, schema.Kind.NUMBER) and cell:
            a = {"integer": "an integer", "number": "a number"}[column.kind.value]
            return f"{cell[:40]!r} is not {a}"
    return str(error)


def _runs(path: Path, problems: list[Problem]) -> Iterator[RunRow]:
    seen: set[tuple[str, ...]] = set()
    for values in rows(path, schema.RUNS, problems):
        row = _run_row(values)
        keys = {(row.run_id, row.load), (str(row.round), row.stack, row.scenario, row.load)}
        where = f"Run {row.run_id}, load {row.load}"
        if keys & seen:
            problems.append(
                Problem(schema.RUNS.filename, f"{where} stands there twice; the later is left out")
            )
            continue
        seen |= keys
        problems += [Problem(schema.RUNS.filename, f"{where}: {text}") for text in _nonsense(row)]
        yield row


def _run_row(values: Mapping[str, Value]) -> RunRow:
    written = values["warnings"] or ""
    codes = str(written).split(schema.WARNING_SEPARATOR)
    number = values["round"]
    assert isinstance(number, int)  # required, so parsed
    return RunRow(
        run_id=str(values["run_id"]),
        round=number,
        stack=str(values["stack"]),
        scenario=str(values["scenario"]),
        load=str(values["load"]),
        load_model=str(values["load_model"]),
        codes=tuple(dict.fromkeys(code.strip() for code in codes if code.strip())),
        values=MappingProxyType(dict(values)),
    )


_ROUNDING = 1.01
"""Histogram buckets are at most 1 % wide: two readings may be out of order by that much."""


def _nonsense(row: RunRow) -> Iterator[str]:
    """Cells of one row that contradict each other."""
    failures, requests = row.number("failures"), row.number("requests")
    if failures is not None and requests is not None and failures > requests:
        yield f"failures {failures:g} are more than requests {requests:g}"
    for ascending in _ASCENDING:
        known = [(name, value) for name in ascending if (value := row.number(name)) is not None]
        for (low_name, low), (high_name, high) in pairwise(known):
            if low > high * _ROUNDING:
                yield f"{low_name} {low:g} is above {high_name} {high:g}"


def _ascending() -> tuple[tuple[str, ...], ...]:
    """Columns of one distribution, from its lowest percentile to its maximum."""
    known = set(schema.RUNS.names)
    steps = (*schema.PERCENTILES, "max")
    starts = [name.removesuffix("_p50_ms") for name in schema.RUNS.names if name.endswith("p50_ms")]
    every = (tuple(f"{start}_{step}_ms" for step in steps) for start in starts)
    return tuple(tuple(name for name in columns if name in known) for columns in every)


_ASCENDING = _ascending()


def _json(path: Path, name: str, problems: list[Problem]) -> Mapping[str, object]:
    """A JSON object of the folder; empty, with a Problem, where there is none to use."""
    try:
        text = (path / name).read_text(encoding="utf-8")
        found = json.loads(text)
    except FileNotFoundError:
        problems.append(Problem(name, "the file is missing"))
        return {}
    except OSError as error:
        problems.append(Problem(name, f"cannot be read: {error.strerror}"))
        return {}
    except (ValueError, RecursionError) as error:
        problems.append(Problem(name, f"is not JSON: {error}"))
        return {}
    if not isinstance(found, dict):
        problems.append(Problem(name, "holds no JSON object"))
        return {}
    version = found.get("schema_version")
    if version != schema.SCHEMA_VERSION:
        problems.append(
            Problem(
                name,
                f"was written with schema version {version}, and this program reads "
                f"{schema.SCHEMA_VERSION}: columns may have changed their meaning",
            )
        )
    return MappingProxyType(found)


def _plan(raw: Mapping[str, object], problems: list[Problem]) -> Plan:
    def known_names(key: str) -> tuple[str, ...]:
        value = raw.get(key, [])
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return tuple(value)
        problems.append(Problem(schema.PLAN_FILE, f"{key} is no list of names; it is ignored"))
        return ()

    def count(key: str) -> int | None:
        value = raw.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
            return value
        problems.append(Problem(schema.PLAN_FILE, f"{key} is no positive count; it is ignored"))
        return None

    return Plan(
        known_names("stacks"), known_names("scenarios"), count("rounds"), count("runs"), raw
    )


def _cut_short(plan: Plan, runs: tuple[RunRow, ...]) -> list[Problem]:
    measured = len({run.run_id for run in runs})
    if plan.runs is None or measured >= plan.runs:
        return []
    return [
        Problem(
            schema.RUNS.filename,
            f"{measured} of {plan.runs} planned Runs are here; the bench was cut short, "
            "or rows were left out",
        )
    ]
