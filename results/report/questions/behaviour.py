"""Answers of `make behaviour` in a line, for the index of questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from loopbench.results.folder.behaviour_answers import DEFAULT, Asked
from loopbench.results.report.data import Material


def told(*names: str) -> Callable[[Material], list[str]]:
    """Clauses from the questions of these names: each stack's answers, equal ones together."""

    def clauses(material: Material) -> list[str]:
        found = [one for name in names for one in material.behaviour if one.name == name]
        return [
            f"{f'{question.asks} ' if len(found) > 1 else ''}{answer}"
            for question in found
            for answer in _answers(question.asked)
        ]

    return clauses


def _answers(asked: Iterable[Asked]) -> list[str]:
    by: dict[str, dict[str, list[str]]] = {}
    for one in asked:
        by.setdefault(one.stack, {}).setdefault(one.answer, []).append(one.setting)
    return [
        f"{stack}: {'; '.join(_one(answer, settings) for answer, settings in answers.items())}"
        for stack, answers in by.items()
    ]


MOST_SETTINGS = 3


def _one(answer: str, settings: list[str]) -> str:
    """An answer, and in brackets the settings that have it, unless that is the default alone."""
    if settings == [DEFAULT]:
        return answer
    more = len(settings) - MOST_SETTINGS
    shown = "; ".join(settings[:MOST_SETTINGS]) + (f"; {more} more" if more > 0 else "")
    return f"{answer} [{shown}]"
