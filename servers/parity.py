"""Whether stacks are measured on equal terms: what is in force in each, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from servers.stacks import STACKS

PARITY_EXCEPTIONS: dict[tuple[str, str], str] = {
    (stack.name, setting): why
    for stack in STACKS.values()
    for setting, why in stack.differs.items()
}
"""By stack and setting: why a difference from the other stacks is as it should be."""

_COMPARED = ("python", "loop", "executor", "gc", "cpus", "settings", "in_force")
"""The parts of servers.facts that are to be alike. The rest names the stack and its packages."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting of one stack that is not the reference's. why: None where nothing explains it."""

    stack: str
    setting: str
    value: Any
    reference: Any
    why: str | None


def readings(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among a server's facts, by names such as `in_force.backlog`."""
    return {name: value for part in _COMPARED for name, value in _flat(part, facts.get(part))}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    else:
        yield name, value


def differences(
    facts: Mapping[str, Mapping[str, Any]], reference: str = "aiohttp"
) -> list[Difference]:
    """Every setting in which a stack is not as `reference`, a setting that only one has included.

    facts: by stack, as `servers.facts.gather` gives them. Raises KeyError without `reference`.
    """
    asked = readings(facts[reference])
    found = []
    for stack, told in facts.items():
        read = readings(told)
        for setting in dict.fromkeys((*asked, *read)):
            value, other = read.get(setting), asked.get(setting)
            if value != other or (setting in read) != (setting in asked):
                why = PARITY_EXCEPTIONS.get((stack, setting))
                found.append(Difference(stack, setting, value, other, why))
    return found
