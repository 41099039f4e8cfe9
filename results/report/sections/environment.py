"""Section: environment, parity of the settings, and the command that makes it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from loopbench.results.folder.folder import leaves, written
from loopbench.results.grouping import grouped
from loopbench.results.report.blocks import Code, Heading, Part, Text, table
from loopbench.results.report.data import Material
from loopbench.results.report.sections.placement import loop_classes

_ALIKE = ("settings", "executor", "loop", "gc", "in_force", "python", "cpus")
"""What should be equal for all stacks; of it every key is shown, in this order."""

_APART = ("framework", "server", "packages")
"""What makes a stack what it is."""

_TABLES = {
    "left_out": ("Left out", "Planned, but not measured", ("stack", "why")),
    "holes": (
        "Holes",
        "What a stack cannot do, and was therefore not asked",
        ("stack", "scenario", "why"),
    ),
    "application": (
        "A person's own application",
        "What was measured, and what every answer was held to",
        ("what", "value"),
    ),
}
"""What has a table of its own: its heading and title, and a header for the keys that lead to each
value and the value itself."""

_NOTHING = "–"
"""In place of what a stack does not say of itself, or does not have."""

_OWN_PLACE = ("command", "seed", "stacks", "schema_version", "parity", *_TABLES)
_PLACES = {"--out": 2, "--resume": 1}
"""Options that name a folder, and how many words they take."""


def parts(material: Material) -> Iterator[Part]:
    """What environment.json and plan.json say; nothing where they say nothing."""
    environment, plan = material.folder.environment, material.folder.plan.raw
    again = command(material)
    if again is not None:
        yield Text(("Measure it again: ", Code(again)))
    machine = list(_leaves({k: v for k, v in environment.items() if k not in _OWN_PLACE}))
    chosen = [("seed", written(environment["seed"]))] if "seed" in environment else []
    chosen += [
        (key, written(plan[key]))
        for key in ("rounds", "duration_s", "warmup_s", "probe", "processes", "manager", "runs")
        if key in plan
    ]
    if chosen or machine:
        yield table("Plan, machine and versions", ("what", "value"), chosen + machine, names=2)
    yield from _parity(material)
    yield from _differences(environment.get("parity"))
    for name, (heading, title, header) in _TABLES.items():
        if isinstance(entries := environment.get(name), Mapping) and entries:
            single = len(header) - 2  # keys with a column of their own
            rows = ((*key[:single], ".".join(key[single:]), text) for key, text in leaves(entries))
            yield Heading(heading)
            yield table(title, header, rows, names=len(header))


def command(material: Material) -> str | None:
    """The command that measures the same again, into a new folder and with the same seed."""
    environment = material.folder.environment
    words = environment.get("command")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return None
    again: list[str] = []
    skip = 0
    for word in words:
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
    classes = loop_classes(material)
    own, alike = {}, {}
    for stack, stack_facts in facts.items():
        own[stack] = dict(_leaves({key: stack_facts[key] for key in _APART if key in stack_facts}))
        alike[stack] = dict(
            _leaves({key: stack_facts[key] for key in _ALIKE if key in stack_facts})
        )
        if stack in classes:
            alike[stack]["loop under load"] = ", ".join(sorted(classes[stack]))
    yield Heading("Parity, as the servers said it of themselves")
    yield table(
        "Settings that should be equal",
        ("setting", "value", "stacks"),
        _by_value(alike),
        names=3,
    )
    yield table(
        "What the stacks consist of",
        ("what", "value", "stacks"),
        (row for row in _by_value(own) if row[1] != _NOTHING),
        names=3,
    )


def _differences(parity: object) -> Iterator[Part]:
    """What the harness found unequal when the run began, and why that is as it should be."""
    unequal = list(differences(parity))
    if not unequal or not isinstance(parity, Mapping):
        return
    yield table(
        f"Settings that are not those of {written(parity.get('reference'))}, and why",
        ("setting", "stack", "value", "of the reference", "why"),
        [
            (
                *(
                    written(difference.get(key))
                    for key in ("setting", "stack", "value", "reference")
                ),
                _why(difference),
            )
            for difference in unequal
        ],
        names=5,
    )


def differences(parity: object) -> Iterator[Mapping[str, object]]:
    """The differences in environment.json's `parity`; none where it holds something else."""
    entries = parity.get("differences") if isinstance(parity, Mapping) else None
    if isinstance(entries, list):
        yield from (difference for difference in entries if isinstance(difference, Mapping))


def _why(difference: Mapping[str, object]) -> str:
    why = difference.get("why")
    return "nothing explains it" if why is None else written(why)


def _by_value(by: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str, str]]:
    """A row for each value that a key has, with the stacks that have it: as wide for two stacks as
    for a dozen."""
    keys = dict.fromkeys(key for values in by.values() for key in values)
    for key in keys:
        stacks = grouped((values.get(key, _NOTHING), stack) for stack, values in by.items())
        for value, some in stacks.items():
            yield key, value, "all" if len(some) == len(by) > 1 else ", ".join(some)


def _leaves(value: object) -> Iterator[tuple[str, str]]:
    return ((".".join(key), text) for key, text in leaves(value))
