"""Tables, columns, units and their version; CSV in and out.

This is the only seam between measuring and reading, and the leaf that every
other package may import. A blank cell means "not measured"; a zero means zero.

Each name comes with the module that holds it, when somebody imports the name: a server's process
needs three of them, and all tables together would be a tenth of its start.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopbench.results.schema.columns import (
        Column,
        Kind,
        Row,
        SchemaError,
        Table,
        format_value,
        parse_value,
    )
    from loopbench.results.schema.dispatch import Dispatch
    from loopbench.results.schema.files import TableWriter, read_table
    from loopbench.results.schema.folder_lock import FolderInUse, locked, writer_of
    from loopbench.results.schema.paths import (
        IMPORTED_FROM,
        INSTALLED,
        REGRESSIONS_FOLDER,
        ROOT,
        RUNS_FOLDER,
        how_to,
        how_to_bench,
    )
    from loopbench.results.schema.regression import (
        FACTS,
        FINDINGS,
        FUNCTIONS,
        INSTRUCTIONS,
        MEMORY,
        SIDE_ANSWERS,
        SLOTS,
        TAILS,
        UNCOUNTED,
    )
    from loopbench.results.schema.table_groups import DERIVED, EXTRA, REGRESSION, TABLES
    from loopbench.results.schema.tables.capacity import TRIAL_SERVICES, TRIALS
    from loopbench.results.schema.tables.costs import (
        COST_SAMPLES,
        COST_TOTALS,
        COST_TREE,
        COSTS,
        CostKind,
    )
    from loopbench.results.schema.tables.derived import ANSWERS, SUMMARY
    from loopbench.results.schema.tables.extra import BEHAVIOUR, COUNTS, PROBE_COST, WORKERS
    from loopbench.results.schema.tables.measured import PERCENTILES, RUNS
    from loopbench.results.schema.tables.run_details import (
        FAILURES,
        HISTOGRAMS,
        OBSERVATIONS,
        THREADS,
        TIMELINE,
    )
    from loopbench.results.schema.tables.scenarios import Family, Role, Work
    from loopbench.results.schema.tables.slices import SLICES
    from loopbench.results.schema.tables.stalls import (
        CAUSE_WORDS,
        CAUSES_OF_A_LINE,
        STALLS,
        Cause,
    )
    from loopbench.results.schema.tables.thread_pools import THREAD_POOLS
    from loopbench.results.schema.value import Value
    from loopbench.results.schema.warnings import WARNING_SEPARATOR, Code

SCHEMA_VERSION = 1
"""Raised whenever a column changes its meaning, unit or name, or goes away."""

ENVIRONMENT_FILE = "environment.json"
PLAN_FILE = "plan.json"

_MODULES = {
    "columns": "Column Kind Row SchemaError Table format_value parse_value",
    "dispatch": "Dispatch",
    "files": "TableWriter read_table",
    "folder_lock": "FolderInUse locked writer_of",
    "paths": "IMPORTED_FROM INSTALLED REGRESSIONS_FOLDER ROOT RUNS_FOLDER how_to how_to_bench",
    "regression": "FACTS FINDINGS FUNCTIONS INSTRUCTIONS MEMORY SIDE_ANSWERS SLOTS TAILS UNCOUNTED",
    "table_groups": "DERIVED EXTRA REGRESSION TABLES",
    "tables.capacity": "TRIAL_SERVICES TRIALS",
    "tables.costs": "COST_SAMPLES COST_TOTALS COST_TREE COSTS CostKind",
    "tables.derived": "ANSWERS SUMMARY",
    "tables.extra": "BEHAVIOUR COUNTS PROBE_COST WORKERS",
    "tables.measured": "PERCENTILES RUNS",
    "tables.run_details": "FAILURES HISTOGRAMS OBSERVATIONS THREADS TIMELINE",
    "tables.scenarios": "Family Role Work",
    "tables.slices": "SLICES",
    "tables.stalls": "CAUSE_WORDS CAUSES_OF_A_LINE STALLS Cause",
    "tables.thread_pools": "THREAD_POOLS",
    "value": "Value",
    "warnings": "WARNING_SEPARATOR Code",
}
"""What is imported above, which only type checkers read, by the module that has it."""

_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}

if not TYPE_CHECKING:  # to a type checker a name that is not above is a mistake

    def __getattr__(name: str) -> object:
        """A name of another module's, at its first use (PEP 562)."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
