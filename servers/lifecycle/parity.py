"""Whether stacks are measured on equal terms: what is in force in each, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from loopbench.servers.stacks import STACKS
from loopbench.servers.supervision.messages import Json

PARITY_EXCEPTIONS: dict[tuple[str, str], str] = {
    (stack.name, setting): why
    for stack in STACKS.values()
    for setting, why in stack.differs.items()
}
"""By stack and setting: why a difference from the other stacks is as it should be."""

_REFERENCE = "aiohttp"

_WHERE_THERE_IS = "in_force.database_pool_"
"""Settings of what not every application has: compared among those that have it."""

_COMPARED = ("python", "loop", "executor", "gc", "cpus", "settings", "in_force")
"""The parts of servers.lifecycle.introspection that are to be alike. The rest names the stack and
its packages."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting of one stack that is not the reference's. why: None where nothing explains it."""

    stack: str
    setting: str
    value: Any
    reference: Any
    why: str | None


def readings(facts: Json) -> Json:
    """The settings among a server's facts, by names such as `in_force.backlog`."""
    return {name: value for part in _COMPARED for name, value in _flat(part, facts.get(part))}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    else:
        yield name, value


def table(facts: Mapping[str, Json]) -> Json:
    """What differs among the servers of one run, as JSON types for environment.json.

    reference: aiohttp where it is among them, else the first; None without facts. differences:
    as of `differences`, each explained by the row of either stack, as its facts have it.
    """
    reference = _REFERENCE if _REFERENCE in facts else next(iter(facts), None)
    if reference is None:
        return {"reference": None, "differences": []}
    own = _reasons(facts[reference])
    return {
        "reference": reference,
        "differences": [
            {
                **asdict(difference),
                "why": {**own, **_reasons(facts[difference.stack])}.get(difference.setting),
            }
            for difference in differences(facts, reference)
        ],
    }


def _reasons(of_stack: Json) -> dict[str, str]:
    """Those in the facts, and before them those of the rows with the same server and loop: a
    person's own application on it has none of its own."""
    kind = str((of_stack.get("loop") or {}).get("class")).partition(".")[0]
    reasons: dict[str, str] = {}
    for stack in STACKS.values():
        if (stack.server, stack.loop) == (of_stack.get("server"), kind):
            reasons |= stack.differs
    return reasons | dict(of_stack.get("differs", {}))


def unexplained(parity: Json) -> dict[str, list[str]]:
    """Of a `table`: by stack the settings whose difference nothing explains."""
    settings: dict[str, list[str]] = {}
    for difference in parity["differences"]:
        if difference["why"] is None:
            settings.setdefault(difference["stack"], []).append(difference["setting"])
    return settings


def differences(facts: Mapping[str, Json], reference: str = _REFERENCE) -> list[Difference]:
    """Every setting in which a stack is not as `reference`, a setting that only one has included,
    but for those of a pool of connections.

    facts: by stack, as `servers.lifecycle.introspection.gather` gives them. Raises KeyError without
    `reference`.
    """
    expected = readings(facts[reference])
    different = []
    for stack, of_stack in facts.items():
        read = readings(of_stack)
        for setting in dict.fromkeys((*expected, *read)):
            value, other = read.get(setting), expected.get(setting)
            only_one = (setting in read) != (setting in expected)
            if only_one and setting.startswith(_WHERE_THERE_IS):
                continue
            if value != other or only_one:
                why = PARITY_EXCEPTIONS.get((stack, setting))
                different.append(Difference(stack, setting, value, other, why))
    return different
