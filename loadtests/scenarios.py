"""SCENARIOS: the loads that are offered, and what each one asks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from servers.contract import CASES, Case, Expected, Request
from servers.settings import Settings


@dataclass(frozen=True, slots=True)
class Closed:
    """Each of `users` sends its next request when the last answer is in.

    ramp_s: the users' first requests are spread evenly over this time, within
    the warm-up. Users that all wait for the same time would otherwise stay in
    step for ever, and a window would catch a whole wave too many or too few.
    """

    users: int
    ramp_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Open:
    """Requests are scheduled as a Poisson process, whatever the server does.

    rate_rps: mean arrivals a second. connections: the most requests that can
    be under way at once; an arrival that finds none free waits for one, and
    is charged with that wait.
    """

    rate_rps: float
    connections: int


@dataclass(frozen=True, slots=True)
class Load:
    """One stream of requests of a Scenario, with figures of its own."""

    name: str
    case: Case
    model: Closed | Open


@dataclass(frozen=True, slots=True)
class Scenario:
    """One or more Loads offered together, and the settings that they need.

    warmup_s: the least lead-in before the measured window, where it needs
    more than the bench's own.
    """

    name: str
    asks: str
    loads: tuple[Load, ...]
    warmup_s: float = 0.0
    settings: Settings = field(default_factory=Settings)


def _closed(name: str, case: str, users: int, asks: str) -> Scenario:
    return Scenario(name, asks, (Load("main", CASES[case], Closed(users)),))


def _open(name: str, case: str, rate_rps: float, connections: int, asks: str) -> Scenario:
    return Scenario(name, asks, (Load("main", CASES[case], Open(rate_rps, connections)),))


_SCENARIOS: tuple[Scenario, ...] = (
    _closed(
        "async-32", "async", 32, "how many small JSON answers an async route gives, 32 at once"
    ),
    _closed("sync-32", "sync", 32, "the same from a sync route, run in worker threads"),
    _closed("async-1", "async", 1, "how long one request takes when nothing else is asked"),
    _closed("plain-32", "plain", 32, "the least that a route can do: a constant text"),
    _closed("form-32", "form", 32, "what parsing a small form adds"),
    Scenario(
        "waiting-1000",
        "whether 1,000 users who each wait half a second disturb each other",
        (Load("main", CASES["hello-waiting"], Closed(1000, ramp_s=0.5)),),
        warmup_s=1.2,
    ),
    _open("open-low", "async", 1000.0, 128, "response times at a rate that every stack can hold"),
    _open("open-high", "async", 6000.0, 128, "response times at a rate that only the faster holds"),
)

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _SCENARIOS}


def load_to_json(load: Load) -> dict[str, Any]:
    """A Load as JSON types, for the control pipe. Bytes travel as latin-1 text."""
    request, expected = load.case.request, load.case.expected
    pattern = isinstance(expected.body, re.Pattern)
    body = expected.body.pattern if isinstance(expected.body, re.Pattern) else expected.body
    model: dict[str, Any] = (
        {"users": load.model.users, "ramp_s": load.model.ramp_s}
        if isinstance(load.model, Closed)
        else {"rate_rps": load.model.rate_rps, "connections": load.model.connections}
    )
    return {
        "name": load.name,
        "case": load.case.name,
        "method": request.method,
        "target": request.target,
        "headers": [list(pair) for pair in request.headers],
        "body": request.body.decode("latin-1"),
        "status": expected.status,
        "content_type": expected.content_type,
        "answer": body.decode("latin-1"),
        "answer_is_pattern": pattern,
        "allow": expected.allow,
        "model": model,
    }


def load_from_json(values: dict[str, Any]) -> Load:
    """The inverse of `load_to_json`."""
    answer = values["answer"].encode("latin-1")
    request = Request(
        values["method"],
        values["target"],
        tuple((name, value) for name, value in values["headers"]),
        values["body"].encode("latin-1"),
    )
    expected = Expected(
        values["status"],
        values["content_type"],
        re.compile(answer) if values["answer_is_pattern"] else answer,
        values["allow"],
    )
    model = values["model"]
    return Load(
        values["name"],
        Case(values["case"], request, expected),
        Closed(**model) if "users" in model else Open(**model),
    )
