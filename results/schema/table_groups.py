"""The tables by who writes them."""

from __future__ import annotations

from loopbench.results.schema.columns import Table
from loopbench.results.schema.regression import (
    FACTS,
    FUNCTIONS,
    INSTRUCTIONS,
    MEMORY,
    SIDE_ANSWERS,
    SLOTS,
    TAILS,
    UNCOUNTED,
)
from loopbench.results.schema.tables.capacity import TRIAL_SERVICES, TRIALS
from loopbench.results.schema.tables.costs import COST_SAMPLES, COST_TOTALS, COST_TREE, COSTS
from loopbench.results.schema.tables.derived import ANSWERS, SUMMARY
from loopbench.results.schema.tables.extra import BEHAVIOUR, COUNTS, PROBE_COST, WORKERS
from loopbench.results.schema.tables.measured import RUNS
from loopbench.results.schema.tables.run_details import (
    FAILURES,
    HISTOGRAMS,
    OBSERVATIONS,
    THREADS,
    TIMELINE,
)
from loopbench.results.schema.tables.slices import SLICES
from loopbench.results.schema.tables.stalls import STALLS
from loopbench.results.schema.tables.thread_pools import THREAD_POOLS

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
