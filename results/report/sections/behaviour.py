"""Section: what the stacks were seen to do, where `make behaviour` has asked them."""

from __future__ import annotations

from collections.abc import Iterator

from loopbench.results.folder import behaviour_answers
from loopbench.results.folder.behaviour_answers import Asked
from loopbench.results.grouping import grouped
from loopbench.results.report.blocks import (
    Bullets,
    Heading,
    Part,
    Text,
    Words,
    paragraph,
    table,
    words,
)
from loopbench.results.report.data import Material

_HOLDS = {"yes": "so", "no": "not so", "partly": "partly so"}


def parts(material: Material) -> Iterator[Part]:
    """What is commonly said and not so, then the answers by topic."""
    if not material.behaviour:
        return
    questions = material.behaviour
    asked = [outcome for question in questions for outcome in question.asked]
    pythons = ", ".join(behaviour_answers.pythons(questions))
    yield Text(
        (
            f"{len(questions)} questions with {len(asked)} answers, each from an experiment on a ",
            "real server with its framework's own defaults unless a setting is named (Python ",
            f"{pythons}; {', '.join(behaviour_answers.versions(questions))}).",
        )
    )
    claims = tuple(_claims(asked))
    if claims:
        yield Heading("Commonly said, and not so here")
        yield Bullets(claims)
    for topic, mine in behaviour_answers.topics(questions).items():
        yield table(
            topic,
            ("question", "stack", "setting", "answer", "commonly said is"),
            (
                (
                    question.asks,
                    outcome.stack,
                    outcome.setting,
                    outcome.answer,
                    "; ".join(f"{_HOLDS[agrees]}{where}" for agrees, where in outcome.judged),
                )
                for question in mine
                for outcome in question.asked
            ),
            names=4,
            folded=True,
        )
    yield paragraph("The evidence of each answer is in `behaviour.csv`.")


def _claims(asked: list[Asked]) -> Iterator[Words]:
    """Each claim that is not so, or partly, on any Python; the answers of those Pythons alone."""
    differing = (
        (outcome.claim, (agrees, outcome))
        for outcome in asked
        for agrees in ("no", "partly")
        if agrees in outcome.verdicts.values()
    )
    for claim, mine in grouped(differing).items():
        by_answer = grouped(
            ((outcome.stack, outcome.answer_where(agrees)), outcome.setting)
            for agrees, outcome in mine
        )
        answers = "; ".join(
            f"{stack}{_named(settings)}: {answer}"
            for (stack, answer), settings in by_answer.items()
        )
        *begin, end = _quoted(claim, _HOLDS[mine[0][0]])
        yield (*begin, f"{end}: {answers}.")


def _quoted(claim: str, holds: str) -> Words:
    """The claim between quotation marks, and whether it holds, which is text. What stands between
    backticks in the claim is Code, where these pair."""
    text = f"“{claim}” {holds}"
    return words(text) if claim.count("`") % 2 == 0 else (text,)


def _named(settings: list[str]) -> str:
    return "" if settings == [behaviour_answers.DEFAULT] else f" ({'; '.join(settings)})"
