"""Folders of the regression check, small and made by hand: every row of them is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from loopbench.results.schema import FACTS, INSTRUCTIONS, SLOTS, Row, Table, Value
from tests.results.examples import folders

STACKS = ("aiohttp", "quart-hypercorn")
CASES = ("async", "sync")
ROUNDS = 30
SIDES = ("base", "candidate")

FINGERPRINT = {
    "python": "3.12.1 a",
    "libc": "2.36",
    "method": "2, any processor",
    "machine": "x86_64",
}

VALUES = {
    "status": "200",
    "content-type": "application/json",
    "body": '{"loop":"L","thread":"T"}\n',
    "thread": "worker thread",
    "blocked": "no",
}

INSTRUCTION_COUNTS = {"aiohttp": 247_000.0, "quart-hypercorn": 1_683_000.0}
CPU_US = {"aiohttp": 30.0, "quart-hypercorn": 230.0, "asyncio": 8.0}

Change = Callable[[dict[str, Value]], "dict[str, Value] | None"]
"""One row as it is to be; None leaves it out."""


def same(row: dict[str, Value]) -> dict[str, Value]:
    """The row as it is."""
    return row


@dataclass
class Plan:
    """A folder to be written, without any change between the sides unless the test makes one."""

    sides: tuple[str, ...] = SIDES
    stacks: tuple[str, ...] = STACKS
    rounds: int = ROUNDS
    sd: float = 0.01
    layers: dict[str, dict[str, object]] = field(
        default_factory=lambda: {
            name: {"run": True, "why_not": None, "bound": {}}
            for name in ("facts", "instructions", "time")
        }
    )
    names: dict[str, str] = field(
        default_factory=lambda: {"base": "main", "candidate": "this tree"}
    )
    fingerprint: Mapping[str, str | None] = field(default_factory=lambda: dict(FINGERPRINT))
    packages: Mapping[str, str] = field(default_factory=lambda: {"aiohttp": "3.14.5"})
    fact: Change = same
    count: Change = same
    slot: Change = same
    seed: int = 7

    def without(self, *layers: str) -> Plan:
        """The same with layers that nobody asked for."""
        for name in layers:
            self.layers[name] = {"run": False, "why_not": None, "bound": {}}
        return self


def write(folder: Path, plan: Plan | None = None) -> Path:
    """Write the folder; returns it."""
    plan = plan or Plan()
    tables: dict[Table, list[Row]] = {}
    for layer, table, rows, change in (
        ("facts", FACTS, fact_rows(plan), plan.fact),
        ("instructions", INSTRUCTIONS, count_rows(plan), plan.count),
        ("time", SLOTS, slot_rows(plan), plan.slot),
    ):
        if plan.layers[layer]["run"]:
            tables[table] = [changed for row in rows if (changed := change(dict(row)))]
    return folders.write(folder, tables, sides=sides(plan))


def sides(plan: Plan) -> dict[str, object]:
    """What sides.json holds."""
    return {
        "schema_version": 1,
        "command": ["python", "-m", "loadtests", "regression"],
        "sides": {
            side: {
                "name": plan.names[side],
                "commit": "0123456789abcdef" if side == "base" else "fedcba9876543210",
                "changed": side == "candidate",
                "measured_at": "2026-01-02T03:04:05+00:00",
                "fingerprint": plan.fingerprint,
                "packages": plan.packages,
            }
            for side in plan.sides
        },
        "layers": plan.layers,
    }


def fact_rows(plan: Plan) -> Iterator[Row]:
    """Five facts of each case."""
    for side in plan.sides:
        for stack in plan.stacks:
            for case in CASES:
                for fact, value in VALUES.items():
                    yield _fact(side, stack, case, fact, value)


def _fact(side: str, stack: str, subject: str, fact: str, value: str) -> Row:
    return {"side": side, "stack": stack, "subject": subject, "fact": fact, "value": value}


def count_rows(plan: Plan) -> Iterator[Row]:
    """Three repeats whose range is 0.004 % of the median: 0, +0.002 % and -0.002 %."""
    for side in plan.sides:
        for stack in plan.stacks:
            for case in CASES:
                for repeat, share in enumerate((0.0, 2e-5, -2e-5), start=1):
                    yield {
                        "side": side,
                        "stack": stack,
                        "route": case,
                        "repeat": repeat,
                        "requests": 500,
                        "instructions": INSTRUCTION_COUNTS[stack] * (1 + share),
                    }


def slot_rows(plan: Plan) -> Iterator[Row]:
    """Two slots a side and Round with normal noise from a seed, and the yardstick beside them."""
    rng = np.random.default_rng(plan.seed)
    position = 0
    measured = [(side, stack) for side in plan.sides for stack in plan.stacks]
    for number in range(1, plan.rounds + 1):
        for side, stack in [*measured, ("yardstick", "asyncio")]:
            for case in CASES if side != "yardstick" else ("async",):
                for slot in (1, 2):
                    position += 1
                    yield slot_row(side, number, slot, position, stack, case, rng, plan.sd)


def slot_row(
    side: str,
    number: int,
    slot: int,
    position: int,
    stack: str,
    case: str,
    rng: np.random.Generator,
    sd: float,
) -> Row:
    """One slot of half a second."""
    cpu, throughput, p50, p99 = np.exp(rng.normal(0, sd, 4))
    rate = 900_000 / CPU_US[stack]
    return {
        "side": side,
        "round": number,
        "slot": slot,
        "position": position,
        "stack": stack,
        "case": case,
        "users": 32,
        "measured_s": 0.5,
        "requests": math.floor(rate / 2),
        "failures": 0,
        "throughput_rps": rate * float(throughput),
        "cpu_us_per_request": CPU_US[stack] * float(cpu),
        "service_time_p50_ms": 32_000 / rate * float(p50),
        "service_time_p99_ms": 64_000 / rate * float(p99),
        "warnings": None,
    }


def kept(
    side: str, stack: str, subject: str, repeat: int, blocks: float, resident: float = 0.0
) -> Row:
    """A row of memory.csv."""
    return {
        "side": side,
        "stack": stack,
        "subject": subject,
        "repeat": repeat,
        "requests": 100,
        "blocks": blocks,
        "resident_bytes": resident,
        "reason": None,
    }


def batch(side: str, stack: str, case: str, number: int, slow: int, failures: int = 0) -> Row:
    """A row of tails.csv."""
    return {
        "side": side,
        "stack": stack,
        "case": case,
        "batch": number,
        "requests": 100,
        "failures": failures,
        "slow": slow,
        "slow_ms": 2.0,
        "median_ms": 0.4,
        "longest_ms": 6.0 if slow else 1.0,
    }


def only(change: Change, **where: Value) -> Change:
    """A change of the rows with these values; the others stay."""

    def apply(row: dict[str, Value]) -> dict[str, Value] | None:
        matches = all(row[name] == value for name, value in where.items())
        return change(row) if matches else row

    return apply


def put_in(**values: Value) -> Change:
    """The row with these cells instead."""
    return lambda row: {**row, **values}


def drop(row: dict[str, Value]) -> dict[str, Value] | None:
    """No row."""
    return None


def times(factor: float, *columns: str) -> Change:
    """The row with these numbers times a factor."""

    def apply(row: dict[str, Value]) -> dict[str, Value]:
        scaled = {name: float(value) * factor for name in columns if (value := row[name])}
        return {**row, **scaled}

    return apply


def both(*changes: Change) -> Change:
    """One change after the other."""

    def apply(row: dict[str, Value]) -> dict[str, Value] | None:
        changed: dict[str, Value] | None = row
        for change in changes:
            if changed is None:
                return None
            changed = change(changed)
        return changed

    return apply


def apart(folder: Callable[..., Path]) -> Path:
    """One side, against a baseline counted elsewhere, without occasions.csv."""
    path = folder(Plan(sides=("candidate",)))
    baseline = Plan(sides=("base",), names={"base": "baseline"}, fingerprint={"python": "3.13"})
    folder(baseline, "checked/baseline")
    return path
