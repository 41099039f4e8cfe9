"""Tables, columns, units and their version; CSV in and out.

This is the only seam between measuring and reading, and the leaf that every
other package may import. A blank cell means "not measured"; a zero means zero.
"""

from __future__ import annotations

from loopbench.results.schema.columns import (
    Column,
    Kind,
    Row,
    SchemaError,
    Table,
    Value,
    format_value,
    parse_value,
)
from loopbench.results.schema.files import TableWriter, read_table
from loopbench.results.schema.folder_lock import FolderInUse, locked
from loopbench.results.schema.paths import (
    IMPORTED_FROM,
    INSTALLED,
    REGRESSIONS_FOLDER,
    ROOT,
    RUNS_FOLDER,
    how_to,
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
from loopbench.results.schema.tables.scenarios import Dispatch, Family, Role, Work
from loopbench.results.schema.tables.slices import SLICES
from loopbench.results.schema.tables.stalls import (
    CAUSE_WORDS,
    CAUSES_OF_A_LINE,
    STALLS,
    Cause,
)
from loopbench.results.schema.tables.thread_pools import THREAD_POOLS
from loopbench.results.schema.warnings import WARNING_SEPARATOR, Code

SCHEMA_VERSION = 1
"""Raised whenever a column changes its meaning, unit or name, or goes away."""

TABLES: tuple[Table, ...] = (
    *(RUNS, SLICES, HISTOGRAMS, FAILURES, OBSERVATIONS),
    *(THREADS, TIMELINE, STALLS, THREAD_POOLS),
)
"""What is measured."""

DERIVED: tuple[Table, ...] = (SUMMARY,)
"""What the reading half makes of it, and can make again."""

EXTRA: tuple[Table, ...] = (
    *(PROBE_COST, COUNTS, COST_TOTALS, COSTS, COST_TREE, COST_SAMPLES),
    *(BEHAVIOUR, WORKERS, TRIALS, TRIAL_SERVICES, ANSWERS),
)
"""What other commands than a bench, or a bench of some options only, put beside it."""

REGRESSION: tuple[Table, ...] = (
    *(FACTS, SIDE_ANSWERS, INSTRUCTIONS, UNCOUNTED),
    *(FUNCTIONS, MEMORY, TAILS, SLOTS),
)
"""What the regression check measures, in a folder of its own; FINDINGS is made of it."""

ENVIRONMENT_FILE = "environment.json"
PLAN_FILE = "plan.json"
