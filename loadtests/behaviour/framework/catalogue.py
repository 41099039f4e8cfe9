"""CATALOGUE: every Question by name, found by looking into the topics' folders.

A Question registers itself by being there: a module with a QUESTION in the
folder of its topic. Its name is `topic.module`, with dashes.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from loopbench.loadtests.behaviour.framework.question import Experiment, Question

_PACKAGE = "loopbench.loadtests.behaviour"

TOPICS = {
    "dispatch": "Dispatch",
    "blocking": "Blocking",
    "many": "Many at once",
    "disconnect": "Disconnect",
    "starting": "Starting",
    "stopping": "Stopping",
    "order": "Order",
    "state": "State",
    "background": "Background",
    "parsing": "Parsing",
}
"""Folder to title, in the order in which they are told."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One Experiment with the names of where it belongs."""

    topic: str
    name: str
    question: Question
    experiment: Experiment

    @property
    def key(self) -> tuple[str, str, str]:
        """Question, stack and setting: what a row is known by."""
        return self.name, self.experiment.stack, self.experiment.setting


def _modules(topic: str) -> Iterator[str]:
    package = importlib.import_module(f"{_PACKAGE}.{topic}")
    yield from sorted(found.name for found in pkgutil.iter_modules(package.__path__))


def _read() -> Iterator[tuple[str, str, Question]]:
    for topic in TOPICS:
        for module in _modules(topic):
            holder = importlib.import_module(f"{_PACKAGE}.{topic}.{module}")
            # What the Questions of a topic share has no QUESTION.
            if hasattr(holder, "QUESTION"):
                yield topic, f"{topic}.{module.replace('_', '-')}", holder.QUESTION


def questions() -> dict[str, Question]:
    """Every Question by name, in the order in which they are told."""
    return {name: question for _, name, question in _read()}


@cache
def experiments() -> Mapping[tuple[str, str, str], Asked]:
    """Every Experiment by question, stack and setting. Questions are imported once.

    Raises ValueError where two of one Question have the same stack and setting.
    """
    found: dict[tuple[str, str, str], Asked] = {}
    for topic, name, question in _read():
        for experiment in question.experiments:
            asked = Asked(topic, name, question, experiment)
            if asked.key in found:
                raise ValueError(f"{' '.join(asked.key)} is there twice")
            found[asked.key] = asked
    return MappingProxyType(found)
