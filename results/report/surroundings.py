"""Section: environment, parity of the settings, and the command that makes it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping

from results.report.material import Material
from results.report.parts import Code, Heading, Part, Text, table
from results.report.places import loop_classes

_ALIKE = ("settings", "executor", "loop", "gc", "in_force", "python", "cpus")
"""What should be equal for all stacks; of it every key is shown, in this order."""

_APART = ("framework", "server", "packages")
"""What makes a stack what it is."""

_OWN_PLACE = ("command", "seed", "stacks", "schema_version", "left_out")
_PLACES = {"--out": 2, "--resume": 1}
"""Options that name a folder, and how many words they take."""


def parts(material: Material) -> Iterator[Part]:
    """What environment.json and plan.json say; nothing where they say nothing."""
    environment, plan = material.folder.environment, material.folder.plan.raw
    again = command(material)
    if again is not None:
        yield Text(("Measure it again: ", Code(again)))
    machine = [
        (key, value)
        for key, value in _leaves("", {k: v for k, v in environment.items() if k not in _OWN_PLACE})
    ]
    chosen = [("seed", _told(environment["seed"]))] if "seed" in environment else []
    chosen += [
        (key, _told(plan[key]))
        for key in ("rounds", "duration_s", "warmup_s", "probe", "runs")
        if key in plan
    ]
    if chosen or machine:
        yield table("Plan, machine and versions", ("what", "value"), chosen + machine, names=2)
    yield from _parity(material)
    left_out = environment.get("left_out")
    if isinstance(left_out, Mapping) and left_out:
        yield Heading("Left out")
        yield table(
            "Planned, but not measured",
            ("stack", "why"),
            [(str(stack), _told(why)) for stack, why in left_out.items()],
            names=2,
        )


def command(material: Material) -> str | None:
    """The command that measures the same again, into a new folder and with the same seed."""
    environment = material.folder.environment
    said = environment.get("command")
    if not isinstance(said, list) or not all(isinstance(word, str) for word in said):
        return None
    again: list[str] = []
    skip = 0
    for word in said:
        skip = skip or _PLACES.get(word, 0)
        if skip:
            skip -= 1
        elif not word.startswith("--out="):
            again.append(word)
    seed = environment.get("seed")
    if isinstance(seed, int) and not any(word.split("=")[0] == "--seed" for word in again):
        again += ["--seed", str(seed)]
    return shlex.join(again)


def _parity(material: Material) -> Iterator[Part]:
    facts = {stack: material.facts[stack] for stack in material.stacks if stack in material.facts}
    if not facts:
        return
    seen = loop_classes(material)
    own, alike = {}, {}
    for stack, told in facts.items():
        own[stack] = dict(_leaves("", {key: told[key] for key in _APART if key in told}))
        alike[stack] = dict(_leaves("", {key: told[key] for key in _ALIKE if key in told}))
        if stack in seen:
            alike[stack]["loop under load"] = ", ".join(sorted(seen[stack]))
    yield Heading("Parity, as the servers said it of themselves")
    yield table(
        "Settings that should be equal",
        ("setting", "", *facts),
        [
            (key, "" if len(set(values)) == 1 else "differs", *values)
            for key, values in _aligned(alike)
        ],
        names=2 + len(facts),
    )
    yield table(
        "What the stacks consist of",
        ("what", *facts),
        [(key, *values) for key, values in _aligned(own)],
        names=1 + len(facts),
    )


def _aligned(by: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    keys = dict.fromkeys(key for told in by.values() for key in told)
    for key in keys:
        yield key, tuple(told.get(key, "–") for told in by.values())


def _leaves(begin: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{begin}.{key}" if begin else str(key), inner)
    else:
        yield begin, _told(value)


def _told(value: object) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
