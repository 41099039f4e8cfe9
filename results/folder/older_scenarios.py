"""What scenarios, loads and stacks are, for folders from before runs.csv had columns about it.

The only place in the reading half that knows names. Nothing is added here for a new scenario:
its rows say themselves what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from loopbench.results.schema import Dispatch, Family, Role, Row, Value, Work

Facts = dict[str, Value]

_YARDSTICK = "asyncio"
_BURDENS = frozenset(("neighbour", "idle", "slow"))
_LAYERS = re.compile(r"middleware-(\d+)")


def _family(family: Family, **columns: Value) -> Callable[[re.Match[str]], Facts]:
    return lambda _: {"scenario_family": family, **columns}


def _swept(
    family: Family, counted: str, variants: Mapping[str, str] | None = None, **columns: Value
) -> Callable[[re.Match[str]], Facts]:
    """The last group is the parameter, one before it the variant."""

    def facts(match: re.Match[str]) -> Facts:
        *variant, number = match.groups()
        named = variant[0] if variant else None
        return {
            "scenario_family": family,
            "scenario_variant": named if variants is None or named is None else variants[named],
            "scenario_parameter": float(number),
            "scenario_parameter_name": counted,
            **columns,
        }

    return facts


def _sync(match: re.Match[str]) -> Facts:
    return {"scenario_family": Family.SYNC, "baseline_scenario": f"async-{match[1]}"}


def _neighbour(match: re.Match[str]) -> Facts:
    kind = match[1]
    if kind == "none":
        return {"scenario_family": Family.NEIGHBOURS}
    return {
        "scenario_family": Family.NEIGHBOURS,
        "scenario_variant": kind,
        "baseline_scenario": "neighbour-none",
    }


_SCENARIOS: tuple[tuple[str, Callable[[re.Match[str]], Facts]], ...] = (
    (r"sync-(\d+)", _sync),
    (r"waiting-\d+", _family(Family.WAITING, work=Work.WAIT, work_ms=500.0)),
    (r"neighbour-(.+)", _neighbour),
    (
        r"(cliff|cliff16)-(\d+)",
        _swept(
            Family.EXECUTOR_CLIFF,
            "users",
            {"cliff": "default threads", "cliff16": "16 threads"},
            dispatch=Dispatch.SYNC,
            work=Work.WAIT,
            work_ms=50.0,
        ),
    ),
    (r"churn", _family(Family.CHURN)),
    (r"idle-\d+", _family(Family.IDLE)),
    (r"open-.+|rate-\d+", _family(Family.RATES)),
    (r"middleware-(\d+)", _swept(Family.MIDDLEWARE, "layers")),
    (r"save-both-.+|db-save-\d+", _family(Family.STORES)),
    (r"save-.+", _family(Family.SAVES)),
    (r"json-.+", _family(Family.LARGE_ANSWERS)),
    (r"stream-(?:slow|stuck)", _family(Family.SLOW_READERS, baseline_scenario="stream-100k")),
    (r"stream-.+", _family(Family.STREAMS)),
    (r"upload-.+", _family(Family.UPLOADS)),
    (r"fetch-([a-z]+)-(\d+)", _swept(Family.FETCH, "pages")),
    (r"db-(async|sync)-(\d+)", _swept(Family.DATABASE, "users")),
    (r"ws-push", _family(Family.BROADCAST)),
    (r"ws-.+", _family(Family.WEBSOCKETS)),
    (r"feed-slow", _family(Family.BROADCAST, baseline_scenario="feed-even")),
    (r"feed-.+", _family(Family.BROADCAST)),
    (r"(?:async|plain|form)-\d+", _family(Family.CLOSED_LOOP)),
)
_PATTERNS = tuple((re.compile(pattern), facts) for pattern, facts in _SCENARIOS)

_DISPATCHES = {"async": Dispatch.ASYNC, "sync": Dispatch.SYNC, "blocking": Dispatch.BLOCKING}


def facts_of(stack: str, scenario: str, load: str) -> Row:
    """The columns of `schema.scenarios` of a row that lacks them, as far as its names tell.

    A scenario that is not known here is one of a person's own application.
    """
    burden = load in _BURDENS
    facts: Facts = {"scenario_family": Family.CUSTOM}
    for pattern, facts_from in _PATTERNS:
        match = pattern.fullmatch(scenario)
        if match is not None:
            facts = facts_from(match)
            break
    facts |= {
        "load_role": Role.BURDEN if burden else Role.MEASURED,
        "yardstick": stack == _YARDSTICK,
    }
    if facts["scenario_family"] is Family.NEIGHBOURS and burden:
        facts |= _work_of(str(facts["scenario_variant"]))
    if facts["scenario_family"] is Family.DATABASE:
        facts["dispatch"] = _DISPATCHES[str(facts["scenario_variant"])]
    return facts


def _work_of(variant: str) -> Facts:
    """Of a neighbour such as burn-async: it computes on the loop, and so holds it up."""
    work, _, dispatch = variant.partition("-")
    if work not in ("sleep", "burn") or dispatch not in _DISPATCHES:
        return {}
    computes = work == "burn"
    where = Dispatch.BLOCKING if computes and dispatch == "async" else _DISPATCHES[dispatch]
    return {"dispatch": where, "work": Work.COMPUTE if computes else Work.WAIT, "work_ms": 50.0}


def layers_of(case: str) -> int | None:
    """How many layers a case lies under, in a counts.csv without that column."""
    match = _LAYERS.fullmatch(case)
    return None if match is None else int(match[1])
