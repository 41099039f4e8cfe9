"""Every Question by name: its texts from the topic's questions.toml, its rows from the modules.

Each topic is a folder. Its `questions.toml` has what is asked, commonly said and what follows,
in the order in which they are told, where answers are patterns (fnmatch) of which the first that
fits counts; its modules have the experiments, found by importing all.
"""

import importlib
import pkgutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from loopbench.loadtests.behaviour.framework.experiment import registered
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Claim,
    Experiment,
    Key,
    Question,
)

CORE = ("aiohttp", "quart-hypercorn")
"""Whom a claim about `both` is about."""

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
    def key(self) -> Key:
        """What its row is known by."""
        return self.name, self.experiment.stack, self.experiment.setting


def _import(topic: str) -> Path:
    """Import all of a topic's modules, which registers their experiments; its folder."""
    package = importlib.import_module(f"{_PACKAGE}.{topic}")
    for module in sorted(
        module_info.name for module_info in pkgutil.iter_modules(package.__path__)
    ):
        importlib.import_module(f"{_PACKAGE}.{topic}.{module}")
    return Path(package.__path__[0])


def _claim(whom: str, saying: str, text: Mapping[str, Any]) -> Claim:
    """What is said of a stack, or of `both` core stacks: under `settings`, or under all; or `of`
    stacks under settings of their own. Either is the claim's, or that of all claims of a question.
    """
    verdicts = {pattern: Agrees(verdict) for pattern, verdict in text["verdicts"].items()}
    alike = dict.fromkeys(CORE if whom == "both" else (whom,), text.get("settings", ()))
    return Claim(saying, verdicts, text.get("of", alike))


def _read() -> Iterator[Asked]:
    """All of them. Raises ValueError where texts or experiments are missing."""
    names_with_text: set[str] = set()
    for topic in TOPICS:
        texts = tomllib.loads((_import(topic) / "questions.toml").read_text(encoding="utf-8"))
        rows = registered()
        for short, text in texts.items():
            name = f"{topic}.{short}"
            names_with_text.add(name)
            claims = tuple(
                _claim(whom, saying, {**text, **claim})
                for whom, sayings in text.get("claims", {}).items()
                for saying, claim in sayings.items()
            )
            mine, follows = rows.get(name, ()), text.get("follows", {})
            question = Question(text["asks"], mine, claims, follows)
            yield from (Asked(topic, name, question, experiment) for experiment in mine)
    for name in names_with_text ^ registered().keys():
        missing = "experiment" if name in names_with_text else "text in its topic's questions.toml"
        raise ValueError(f"{name} has no {missing}")


@cache
def experiments() -> Mapping[Key, Asked]:
    """Every Experiment by question, stack and setting. Questions are imported once.

    Raises ValueError where two of one Question have the same stack and setting.
    """
    entries: dict[Key, Asked] = {}
    for asked in _read():
        if asked.key in entries:
            raise ValueError(f"{' '.join(asked.key)} is there twice")
        entries[asked.key] = asked
    return MappingProxyType(entries)
