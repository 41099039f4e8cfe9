"""Results folders: finding them, and reading what is in them as far as it can be read.

A bench that was cut short, a file that is missing, a column of another
version or nonsense in a cell does not hide the rest: each becomes a Problem
that names file, row and column, beside the rows that can be used.
"""

from __future__ import annotations

import difflib
import fnmatch
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from loopbench.results import schema
from loopbench.results.errors import UnknownName
from loopbench.results.folder import older_scenarios
from loopbench.results.folder.tables import Problem, optional_rows, rows
from loopbench.results.schema import Row, Value
from loopbench.results.schema.files import open_text

_MARKS = (schema.RUNS.filename, schema.PLAN_FILE, schema.ENVIRONMENT_FILE)
"""A folder that holds one of these is a results folder."""


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

    @property
    def where(self) -> tuple[str, str]:
        """Scenario and load."""
        return self.scenario, self.load

    @property
    def cell(self) -> tuple[str, str, str]:
        """Stack, scenario and load."""
        return self.stack, self.scenario, self.load

    def number(self, column: str) -> float | None:
        """The cell as a number; None where it is blank or no number."""
        value = self.values.get(column)
        return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True, slots=True)
class Plan:
    """plan.json, as far as it is there: what was to be measured. None: not known.

    cells: stack and scenario of each Cell; empty where the file does not say.
    """

    stacks: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    rounds: int | None = None
    runs: int | None = None
    cells: frozenset[tuple[str, str]] = frozenset()
    raw: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def sequential(self) -> bool:
        """Whether it was measured until intervals were narrow enough, or a time was over."""
        return self.raw.get("precision") is not None or self.raw.get("budget_s") is not None

    @property
    def budget_s(self) -> float | None:
        """The time within which a bench was to end; None: it had none that can be read."""
        value = self.raw.get("budget_s")
        return value if isinstance(value, int | float) else None

    @property
    def own_manager(self) -> bool:
        """Whether each server ran under its own manager of processes."""
        return self.raw.get("manager") == "own"


def planned(plan: Plan, stack: str, scenario: str) -> bool:
    """Whether a Cell was to be measured, as far as the plan says."""
    return not plan.cells or (stack, scenario) in plan.cells


@dataclass(frozen=True, slots=True)
class Folder:
    """A results folder as read. `environment` is empty where environment.json is of no use."""

    path: Path
    runs: tuple[RunRow, ...]
    failures: tuple[Row, ...]
    plan: Plan
    environment: Mapping[str, object]
    problems: tuple[Problem, ...]
    slices: tuple[Row, ...] = ()
    stalls: tuple[Row, ...] = ()

    @property
    def stacks(self) -> tuple[str, ...]:
        """Every stack that was planned for some scenario, or measured, by name."""
        cells = self.plan.cells
        planned = {stack for stack, _ in cells} if cells else set(self.plan.stacks)
        return tuple(sorted({*planned, *(run.stack for run in self.runs)}))

    @property
    def yardstick(self) -> str | None:
        """The stack without a framework, by which the measuring is measured; None without one.
        Of one without rows environment.json tells it."""
        marked = (run.stack for run in self.runs if run.values["yardstick"])
        facts = facts_of(self)
        bare = (
            stack for stack in self.plan.stacks if facts.get(stack, {}).get("framework") == "none"
        )
        return next(marked, None) or next(bare, None)


def is_results_folder(path: Path) -> bool:
    """Whether `path` holds at least one of the files by which a results folder is known."""
    return any(os.path.isfile(path / mark) for mark in _MARKS)


def names(runs: Path | None = None) -> tuple[str, ...]:
    """Names of the results folders under `runs` (results/runs), the newest first."""
    runs = runs or schema.RUNS_FOLDER
    try:
        folders = [path for path in runs.iterdir() if is_results_folder(path)]
    except OSError:
        return ()
    return tuple(path.name for path in sorted(folders, key=_age, reverse=True))


def _age(path: Path) -> tuple[float, str]:
    """When the last Run was written, or the folder made; the name where both are equal."""
    file = path / schema.RUNS.filename
    return (file if file.is_file() else path).stat().st_mtime, path.name


def find(name: str | None, runs: Path | None = None) -> Path:
    """The results folder of that name or path; the newest one for None.

    Beside the folders in `runs` a name may be that of a sibling of it, such
    as `reference`. Raises UnknownName.
    """
    runs = runs or schema.RUNS_FOLDER
    known = names(runs)
    if name is None:
        if not known:
            how = schema.how_to("make bench", "loopbench bench")
            raise UnknownName(f"nothing has been measured yet; {how} does it")
        return runs / known[0]
    asked = _expanded(name)
    candidates = [runs / name, asked, runs.parent / name] if name.strip() else []
    if asked.name in _MARKS:
        candidates.append(asked.parent)
    for candidate in candidates:
        if is_results_folder(candidate):
            return candidate
    for candidate in candidates:
        if os.path.isdir(candidate) and candidate != runs.parent:
            raise UnknownName(f"{name} is no results folder: it holds none of {', '.join(_MARKS)}")
    newest = f"the newest is {known[0]!r}" if known else "nothing has been measured yet"
    raise UnknownName(f"unknown run {name!r}; {nearest(name, known) or newest}")


def _expanded(name: str) -> Path:
    """The path with a home folder in place of ~; as it is where there is no such home."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def nearest(name: str, known: Iterable[str]) -> str:
    """A question whether the nearest known name was meant; blank where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else ""


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
    problems += _cut_short(path, plan, runs)
    # Folders from before have neither.
    slices = optional_rows(path, schema.SLICES, problems)
    stalls = optional_rows(path, schema.STALLS, problems)
    return Folder(path, runs, failures, plan, environment, tuple(problems), slices, stalls)


def facts_of(folder: Folder) -> dict[str, Mapping[str, object]]:
    """What each server said of itself, by stack; empty where environment.json does not say."""
    stacks = folder.environment.get("stacks")
    if not isinstance(stacks, Mapping):
        return {}
    return {str(name): facts for name, facts in stacks.items() if isinstance(facts, Mapping)}


def leaves(value: object, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """What stands in nested objects of JSON, each with the keys that lead to it."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from leaves(inner, (*key, str(name)))
    else:
        yield key, written(value)


def written(value: object) -> str:
    """A text as it is; what else JSON has, as JSON."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def only(folder: Folder, patterns: Sequence[str]) -> Folder:
    """The folder as if only the scenarios of these names had been planned and measured.

    patterns: names or patterns such as `cliff-*`. Raises UnknownName for one that fits none.
    """
    known = sorted({*folder.plan.scenarios, *(run.scenario for run in folder.runs)})
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            near = nearest(pattern, known) or f"there are: {', '.join(known)}"
            raise UnknownName(f"no scenario {pattern!r} here; {near}")

    def meant(scenario: str) -> bool:
        return any(fnmatch.fnmatchcase(scenario, pattern) for pattern in patterns)

    plan = replace(
        folder.plan,
        scenarios=tuple(filter(meant, folder.plan.scenarios)),
        cells=frozenset(cell for cell in folder.plan.cells if meant(cell[1])),
    )
    runs = tuple(run for run in folder.runs if meant(run.scenario))
    return replace(folder, runs=runs, plan=plan)


def _runs(path: Path, problems: list[Problem]) -> Iterator[RunRow]:
    earlier_keys: set[tuple[str, ...]] = set()
    for values in rows(path, schema.RUNS, problems):
        row = _run_row(values if values["scenario_family"] else _completed(values))
        keys = {(row.run_id, row.load), (str(row.round), row.stack, row.scenario, row.load)}
        where = f"Run {row.run_id}, load {row.load}"
        if keys & earlier_keys:
            problems.append(
                Problem(schema.RUNS.filename, f"{where} stands there twice; the later is left out")
            )
            continue
        earlier_keys |= keys
        problems += [Problem(schema.RUNS.filename, f"{where}: {text}") for text in _nonsense(row)]
        yield row


def _completed(values: Mapping[str, Value]) -> dict[str, Value]:
    """The row with what its names told before there were columns of it."""
    stack, scenario, load = (str(values[name]) for name in ("stack", "scenario", "load"))
    known = {name: value for name, value in values.items() if value is not None}
    return {**values, **older_scenarios.facts_of(stack, scenario, load), **known}


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
        with open_text(path / name) as handle:
            document = json.load(handle)
    except FileNotFoundError:
        problems.append(Problem(name, "the file is missing"))
        return {}
    except OSError as error:
        problems.append(Problem(name, f"cannot be read: {error.strerror}"))
        return {}
    except (ValueError, RecursionError) as error:
        problems.append(Problem(name, f"is not JSON: {error}"))
        return {}
    if not isinstance(document, dict):
        problems.append(Problem(name, "holds no JSON object"))
        return {}
    version = document.get("schema_version")
    if version != schema.SCHEMA_VERSION:
        problems.append(
            Problem(
                name,
                f"was written with schema version {version}, and this program reads "
                f"{schema.SCHEMA_VERSION}: columns may have changed their meaning",
            )
        )
    return MappingProxyType(document)


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
        known_names("stacks"),
        known_names("scenarios"),
        count("rounds"),
        count("runs"),
        _cells(raw, problems),
        raw,
    )


def _cells(raw: Mapping[str, object], problems: list[Problem]) -> frozenset[tuple[str, str]]:
    value = raw.get("cells", [])
    if isinstance(value, list) and all(
        isinstance(cell, list) and len(cell) == 2 and all(isinstance(part, str) for part in cell)
        for cell in value
    ):
        return frozenset((cell[0], cell[1]) for cell in value)
    problems.append(Problem(schema.PLAN_FILE, "cells is no list of pairs; it is ignored"))
    return frozenset()


def _cut_short(path: Path, plan: Plan, runs: tuple[RunRow, ...]) -> list[Problem]:
    measured = len({run.run_id for run in runs})
    if plan.runs is None or measured >= plan.runs:
        return []
    of_time = "" if plan.budget_s is None else f"ended by its budget of {_span(plan.budget_s)}, "
    writer = schema.writer_of(path)
    why = f"the bench {of_time}was cut short, or rows were left out"
    if writer is not None:
        why = f"process {writer} is writing into the folder"
    here = f"{measured} of {plan.runs} planned Runs {'is' if measured == 1 else 'are'} here"
    return [Problem(schema.RUNS.filename, f"{here}; {why}")]


def _span(seconds: float) -> str:
    return f"{seconds:g} s" if seconds % 60 else f"{seconds / 60:g} min"
