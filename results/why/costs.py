"""The tables of `loadtests why`, read from a folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from loopbench.results import schema
from loopbench.results.errors import ResultsError, UnknownName
from loopbench.results.folder.folder import nearest
from loopbench.results.folder.tables import Problem, optional_rows
from loopbench.results.grouping import grouped
from loopbench.results.schema import COST_SAMPLES, COST_TOTALS, COST_TREE, COSTS, CostKind, Row

Where = tuple[str, str]
"""Stack and case."""


@dataclass(frozen=True, slots=True)
class Function:
    """By its name. Blank package, module and name: what belongs to nobody."""

    kind: CostKind
    package: str
    module: str
    name: str

    @property
    def label(self) -> str:
        """As a person writes it."""
        if self.kind is CostKind.NOBODY:
            return "(nobody's)"
        return f"{self.module}.{self.name}" if self.module else self.name


@dataclass(frozen=True, slots=True)
class Total:
    """Instructions of a whole request. plain: without trampolines; None where not counted.
    counterpart: the stack that answers as all do, where this one is as documentation shows it."""

    python: str
    named: bool
    requests: int
    repeats: int
    instructions: float
    spread: float | None
    plain: float | None
    counterpart: str | None
    versions: str


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one function, a request: entries, own instructions, those with all that it called."""

    function: Function
    calls: float
    own: float
    inclusive: float
    share: float
    spread: float | None


@dataclass(frozen=True, slots=True)
class Sampled:
    """Of one function: samples of CPU time. share: of all of the case. kernel: the share of them
    that was taken in the kernel; None where perf might not look there."""

    function: Function
    samples: int
    share: float
    kernel: float | None


@dataclass(frozen=True, slots=True)
class Node:
    """A path of calls: its last function, its own instructions, and the paths that go on.
    inclusive: with those of all that go on."""

    function: Function
    own: float
    calls: float
    children: tuple[Node, ...]
    inclusive: float


@dataclass(frozen=True, slots=True)
class Costs:
    """All of a folder. trees: the outermost Nodes. samples: where time was sampled, too."""

    totals: Mapping[Where, Total]
    functions: Mapping[Where, tuple[Cost, ...]]
    trees: Mapping[Where, tuple[Node, ...]]
    samples: Mapping[Where, tuple[Sampled, ...]]
    problems: tuple[Problem, ...]

    @property
    def stacks(self) -> tuple[str, ...]:
        """In the order in which they were counted."""
        return tuple(dict.fromkeys(stack for stack, _ in self.totals))

    def cases(self, *stacks: str) -> tuple[str, ...]:
        """Those that all these stacks were asked."""
        asked = dict.fromkeys(case for _, case in self.totals)
        return tuple(c for c in asked if all((stack, c) in self.totals for stack in stacks))


def find(name: Path | None) -> Path:
    """The folder named, or the newest under results/runs that holds these tables.

    Raises UnknownName.
    """
    if name is not None:
        for folder in (schema.RUNS_FOLDER / name, name, schema.RUNS_FOLDER.parent / name):
            if (folder / COSTS.filename).is_file():
                return folder
        raise UnknownName(
            f"{name} holds no {COSTS.filename}; "
            f"{schema.how_to(f'make why OUT={name}', f'loopbench why --out {name}')} writes it"
        )
    paths = sorted(
        schema.RUNS_FOLDER.glob(f"*/{COSTS.filename}"), key=lambda path: path.stat().st_mtime
    )
    if not paths:
        how = schema.how_to("make why", "loopbench why")
        raise UnknownName(f"no cost has been counted by function yet; {how} does it")
    return paths[-1].parent


def read(folder: Path) -> Costs:
    """Raises ResultsError where a table cannot be opened, or where there is none to read."""
    problems: list[Problem] = []
    totals = {_where(row): _total(row) for row in optional_rows(folder, COST_TOTALS, problems)}
    functions, branches, samples = (
        grouped((_where(row), row) for row in optional_rows(folder, table, problems))
        for table in (COSTS, COST_TREE, COST_SAMPLES)
    )
    return Costs(
        totals,
        {where: tuple(map(_cost, rows)) for where, rows in functions.items()},
        {where: tuple(_trees(rows)) for where, rows in branches.items()},
        {where: tuple(map(_sampled, rows)) for where, rows in samples.items()},
        tuple(problems),
    )


def beside(before: Costs, after: Costs, names: tuple[str, str]) -> Costs:
    """Two folders in one, each stack under its name and that of its folder, such as
    `aiohttp (old)`; what only one of them counted is left out.

    names: of the folders. Raises ResultsError where they have nothing in common.
    """
    common = [where for where in before.totals if where in after.totals]
    if not common:
        raise ResultsError("the two have no stack and case in common")
    sides = tuple(zip(names, (before, after), strict=True))
    wheres = [(where, side, _under(where, name)) for where in common for name, side in sides]
    return Costs(
        {new: side.totals[old] for old, side, new in wheres},
        {new: side.functions.get(old, ()) for old, side, new in wheres},
        {new: side.trees.get(old, ()) for old, side, new in wheres},
        {new: side.samples[old] for old, side, new in wheres if old in side.samples},
        (*before.problems, *after.problems),
    )


def _under(where: Where, name: str) -> Where:
    stack, case = where
    return f"{stack} ({name})", case


def chosen(costs: Costs, stack: str) -> str:
    """The stack of that name. Raises UnknownName."""
    if stack not in costs.stacks:
        near = nearest(stack, costs.stacks) or f"there are: {', '.join(costs.stacks)}"
        raise UnknownName(f"{stack!r} was not counted here; {near}")
    return stack


def _where(row: Row) -> Where:
    return str(row["stack"]), str(row["case"])


def _total(row: Row) -> Total:
    return Total(
        python=str(row["python"]),
        named=row["named"] is True,
        requests=int(_number(row, "requests")),
        repeats=int(_number(row, "repeats")),
        instructions=_number(row, "instructions"),
        spread=_maybe(row, "spread"),
        plain=_maybe(row, "plain_instructions"),
        counterpart=None if row["counterpart"] is None else str(row["counterpart"]),
        versions=str(row["versions"] or ""),
    )


def _cost(row: Row) -> Cost:
    return Cost(
        _function(row),
        calls=_number(row, "calls"),
        own=_number(row, "own_instructions"),
        inclusive=_number(row, "inclusive_instructions"),
        share=_number(row, "share"),
        spread=_maybe(row, "spread"),
    )


def _sampled(row: Row) -> Sampled:
    return Sampled(
        _function(row),
        samples=int(_number(row, "samples")),
        share=_number(row, "share"),
        kernel=_maybe(row, "kernel_share"),
    )


def _function(row: Row) -> Function:
    package, module, name = (str(row[key] or "") for key in ("package", "module", "function"))
    try:
        kind = CostKind(str(row["kind"]))
    except ValueError:
        raise ResultsError(f"{row['kind']!r} is no kind of code that this version knows") from None
    return Function(kind, package, module, name)


def _number(row: Row, column: str) -> float:
    value = _maybe(row, column)
    if value is None:
        raise ResultsError(f"a row of {row['stack']} and {row['case']} has no {column}")
    return value


def _maybe(row: Row, column: str) -> float | None:
    value = row[column]
    return float(value) if isinstance(value, int | float) else None


def _trees(rows: list[Row]) -> Iterator[Node]:
    """The outermost Nodes; rows have parents before their children."""
    below: dict[int | None, list[Row]] = defaultdict(list)
    for row in rows:
        parent = _maybe(row, "parent")
        below[None if parent is None else int(parent)].append(row)

    def node(row: Row) -> Node:
        children = tuple(node(child) for child in below[int(_number(row, "node"))])
        own = _number(row, "own_instructions")
        inclusive = own + sum(child.inclusive for child in children)
        return Node(_function(row), own, _number(row, "calls"), children, inclusive)

    return map(node, below[None])
