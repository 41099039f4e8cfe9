"""A folder of two stacks and one case whose costs can be added up by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loopbench.results.schema import COST_SAMPLES, COST_TOTALS, COST_TREE, COSTS, Row, Table
from tests.results.examples import folders

RUN = "Python", "asyncio", "asyncio.events", "Handle._run"
READ = "Python", "h11", "h11._connection", "Connection.next_event"
ITEM = "Python", "<b>", "h11._events", "Request.__init__"
HANDLER = "the suite's own", "loopbench", "loopbench.servers.apps.asgi_app", "async_"
PARSER = "C extension", "httptools", "httptools.parser", "on_url"
STRANGE = "Python", "strange", "strange", "wrapper"
NOBODY = "nobody", "", "", ""

SLOW = (
    # node, parent, function, calls, own
    (0, None, NOBODY, 0, 100),
    (1, None, RUN, 2, 1000),
    (2, 1, READ, 3, 4000),
    (3, 2, ITEM, 1, 2900),
    (4, 1, HANDLER, 2, 2000),
)
FAST = (
    (0, None, RUN, 1, 1000),
    (1, 0, PARSER, 5, 500),
    (2, 0, STRANGE, 1, 300),
    (3, 2, HANDLER, 2, 200),
)
TREES = {"slow": SLOW, "fast": FAST}
TOTALS = {"slow": 10_000, "fast": 2_000}


SAMPLES = (
    # function, samples, of them in the kernel; the handler was counted and never sampled
    (READ, 500, 0),
    (ITEM, 280, 0),
    (RUN, 220, 110),
)
"""Of the slow stack, 1,000 in all: the handler has 20 % of the instructions."""


def with_samples(folder: Path, kernel: bool = True) -> Path:
    """The three tables, and samples of the slow stack. kernel: whether perf might look there."""
    rows: list[Row] = [
        {
            "stack": "slow",
            "case": "async",
            **dict(zip(("kind", "package", "module", "function"), function, strict=True)),
            "samples": samples,
            "share": samples / 1000,
            "kernel_share": inside / samples if kernel else None,
        }
        for function, samples, inside in SAMPLES
    ]
    return folders.write(write(folder), {COST_SAMPLES: rows})


def write(folder: Path, grown: Mapping[str, int] | None = None) -> Path:
    """The three tables. grown: by so many instructions, by a function's name."""
    more = grown or {}
    rows: dict[Table, list[Row]] = {COST_TOTALS: [], COSTS: [], COST_TREE: []}
    for stack, fixed in TREES.items():
        nodes = [(*node[:4], node[4] + more.get(node[2][3], 0)) for node in fixed]
        where = {"stack": stack, "case": "async"}
        rows[COST_TOTALS].append(
            {
                **where,
                "python": "3.12.1",
                "named": True,
                "requests": 20,
                "repeats": 3,
                "instructions": float(TOTALS[stack]),
                "spread": 0.001,
                "plain_instructions": TOTALS[stack] * 0.8,
                "plain_spread": 0.002,
                "plain_repeats": 3,
                "counterpart": "slow" if stack == "fast" else None,
                "versions": "shop 1.0",
            }
        )
        inclusive = {node: float(own) for node, _, _, _, own in nodes}
        for node, parent, _, _, _ in reversed(nodes):
            if parent is not None:
                inclusive[parent] += inclusive[node]
        for node, parent, function, calls, own in nodes:
            named = dict(zip(("kind", "package", "module", "function"), function, strict=True))
            rows[COST_TREE].append(
                {
                    **where,
                    **named,
                    "node": node,
                    "parent": parent,
                    "calls": float(calls),
                    "own_instructions": float(own),
                }
            )
            rows[COSTS].append(
                {
                    **where,
                    **named,
                    "calls": float(calls),
                    "own_instructions": float(own),
                    "inclusive_instructions": inclusive[node],
                    "share": own / TOTALS[stack],
                    "spread": 0.0,
                }
            )
    return folders.write(folder, rows)
