"""Columns of runs.csv about a scenario: its place among the others, and the work of its handlers.

The reading half asks these, and never the name of a scenario, a load or a stack.
"""

from __future__ import annotations

import enum

from loopbench.results.schema.columns import flag, later, number, signed, text


class Family(enum.StrEnum):
    """Scenarios that answer one question together, and that a report shows side by side."""

    CLOSED_LOOP = "closed-loop"
    SYNC = "sync"
    WAITING = "waiting"
    NEIGHBOURS = "neighbours"
    EXECUTOR_CLIFF = "executor-cliff"
    CHURN = "churn"
    IDLE = "idle"
    RATES = "rates"
    MIDDLEWARE = "middleware"
    SAVES = "saves"
    LARGE_ANSWERS = "large-answers"
    STREAMS = "streams"
    SLOW_READERS = "slow-readers"
    UPLOADS = "uploads"
    FETCH = "fetch"
    DATABASE = "database"
    STORES = "stores"
    WEBSOCKETS = "websockets"
    BROADCAST = "broadcast"
    CUSTOM = "custom"


class Role(enum.StrEnum):
    """What a load is there for."""

    MEASURED = "measured"
    BURDEN = "burden"


class Work(enum.StrEnum):
    """How a handler spends `work_ms`."""

    WAIT = "wait"
    COMPUTE = "compute"


SCENARIO_COLUMNS = later(
    text("scenario_family", f"kind of the scenario: {', '.join(Family)}"),
    text(
        "scenario_variant",
        "which way of the family's kind; scenarios of one family and variant differ in their "
        "parameter only; blank: the family has one way",
    ),
    signed(
        "scenario_parameter",
        "as `scenario_parameter_name` says",
        "the number that is different in each scenario of a family and variant; blank: none is",
    ),
    text("scenario_parameter_name", "what that number counts, such as users, pages or layers"),
    text(
        "baseline_scenario",
        "the scenario that this one is to be read against; blank: it has no such scenario",
    ),
    text(
        "load_role",
        "measured: the scenario asks about this load; burden: it is offered beside, so that its "
        "effect on the measured one shows",
    ),
    text("case", "name of the contract's case that is requested, or method and path"),
    text(
        "dispatch",
        "where the route's work runs: async (on the loop), sync (in a worker thread) or blocking "
        "(on the loop, which it holds up); blank for a person's own application",
    ),
    text("work", "what the handler does for `work_ms`: wait or compute; blank: neither"),
    number("work_ms", "ms", "how long the handler waits or computes; blank: it does neither"),
    flag("yardstick", "true where the stack is the yardstick: no framework"),
)
"""Results from before have none of them; `results.folder.older_scenarios` knows their values."""
