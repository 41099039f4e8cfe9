"""The answers as an article, and as docs/behaviour/: made from the rows alone.

For each question what is commonly said, what was seen, and what follows; before all of them
what is commonly said and is not so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from loopbench.results.folder import behaviour_answers
from loopbench.results.folder.behaviour_answers import Asked, Question
from loopbench.results.grouping import grouped
from loopbench.results.report.markdown import code, escaped
from loopbench.results.stats import formatting

_VERDICTS = {
    "yes": "That is so here.",
    "no": "That is not so here.",
    "partly": "That is partly so here.",
}

MOST_SETTINGS = 2
"""So many settings of a stack are named in the list of wrong claims."""

INDEX = "README.md"
"""The page of `pages` that leads to the others: code hosts show it with its folder."""


def article(questions: Sequence[Question]) -> str:
    """The whole text, in Markdown."""
    lines = [*_head(questions), *_differing(questions, lambda question: f"#{_anchor(question)}")]
    for topic, mine in behaviour_answers.topics(questions).items():
        lines += [f"## {escaped(topic)}", ""]
        for question in mine:
            lines += [*_question(question), ""]
    return "\n".join(lines).rstrip() + "\n"


def pages(questions: Sequence[Question]) -> dict[str, str]:
    """The same as a page a topic, by file name, and an index of topics and of wrong claims."""
    topics = behaviour_answers.topics(questions)
    index = [*_head(questions), "## Topics", ""]
    for topic, mine in topics.items():
        answers = sum(len(question.asked) for question in mine)
        link = f"[{escaped(topic)}]({_page(topic)})"
        index.append(f"- {link}: {len(mine)} questions, {answers} answers")
    index += [
        "",
        *_differing(questions, lambda question: f"{_page(question.topic)}#{_anchor(question)}"),
    ]
    written = {INDEX: "\n".join(index).rstrip() + "\n"}
    for topic, mine in topics.items():
        lines = [f"# {escaped(topic)}", "", f"[All topics]({INDEX})", ""]
        lines += [f"- [{prose(question.asks)}](#{_anchor(question)})" for question in mine]
        for question in mine:
            lines += ["", *_question(question)]
        written[_page(topic)] = "\n".join(lines).rstrip() + "\n"
    return written


def _page(topic: str) -> str:
    return topic.lower().replace(" ", "-") + ".md"


def _head(questions: Sequence[Question]) -> Iterator[str]:
    versions = formatting.listed(behaviour_answers.versions(questions), 20)
    pythons = " and ".join(behaviour_answers.pythons(questions))
    count = sum(len(question.asked) for question in questions)
    yield "# What the stacks really do"
    yield ""
    yield (
        f"{len(questions)} questions about how aiohttp and Quart behave, asked by experiment: a "
        "small application on its framework's own server, with the framework's own defaults "
        f"unless a setting is named, and a client on a real socket. {count} answers, seen on "
        f"Python {pythons} with {escaped(versions)}. Where Pythons differ, answer and verdict say "
        "so. Settings with the same answer stand together, with the evidence of the first of them, "
        "seen on the newest Python."
    )
    yield ""
    yield (
        "This page is generated from `behaviour.csv`. `make behaviour` asks everything anew on "
        "the versions that are installed; each question is a few lines under "
        "`loadtests/behaviour/`, short enough to read as an example."
    )
    yield ""


def _differing(questions: Sequence[Question], address: Callable[[Question], str]) -> Iterator[str]:
    """What is commonly said and is not so, by topic, each with links to its questions."""
    wrong = [question for question in questions if any(map(_differs, question.asked))]
    if wrong:
        yield "## Commonly said, and not so"
        yield ""
        yield (
            "After each claim stands what was seen where it is wrong: for each stack the answer "
            f"that most of its settings gave, and in brackets at most {MOST_SETTINGS} of them by "
            "name. A Python is named where the claim is wrong on that one only. The linked "
            "question has all answers."
        )
        yield ""
    for topic, mine in behaviour_answers.topics(wrong).items():
        yield f"### {escaped(topic)}"
        yield ""
        asked = (
            (question, outcome)
            for question in mine
            for outcome in question.asked
            if _differs(outcome)
        )
        claims = grouped((outcome.claim, (question, outcome)) for question, outcome in asked)
        for claim, places in claims.items():
            yield f"- “{prose(claim)}” {_wrong([outcome for _, outcome in places])} " + ", ".join(
                f"[{prose(question.asks)}]({address(question)})"
                for question in {question.name: question for question, _ in places}.values()
            )
        yield ""


def _wrong(asked: Sequence[Asked]) -> str:
    """Of one claim: where it is not so, and where it is so in part."""
    return " ".join(
        f"**{words}:** {'; '.join(answers)}."
        for agrees, words in (("no", "Not so"), ("partly", "Partly so"))
        if (answers := list(_in_short(asked, agrees)))
    )


def _in_short(asked: Iterable[Asked], agrees: str) -> Iterator[str]:
    """The commonest answer with this verdict of each stack, stacks of one answer together."""
    mine = [
        (outcome.stack, (outcome.answer_where(agrees), outcome))
        for outcome in asked
        if agrees in outcome.verdicts.values()
    ]
    usual = [
        max(grouped(some).items(), key=lambda pair: len(pair[1])) for some in grouped(mine).values()
    ]
    by_answer = grouped((answer, _labels(most, MOST_SETTINGS)) for answer, most in usual)
    for answer, labels in by_answer.items():
        yield f"{', '.join(labels)}: {escaped(answer)}"


def prose(text: str) -> str:
    """A sentence from a row; what stands between its backticks is code, nothing else is markup."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:  # a backtick without its other half
        return escaped(text)
    return "".join(
        code(piece) if place % 2 and piece else escaped(piece) for place, piece in enumerate(pieces)
    )


def _anchor(question: Question) -> str:
    return question.name.replace(".", "-")


def _alike(asked: Iterable[Asked]) -> list[list[Asked]]:
    """Settings of one stack with equal answers together, in the order of the first of each."""
    return list(grouped(((outcome.answer, outcome.varies), outcome) for outcome in asked).values())


def _labels(group: Sequence[Asked], most: int | None = None) -> str:
    """The stack, and the settings that are not the default alone. most: so many of them; all."""
    settings = list(dict.fromkeys(outcome.setting for outcome in group))
    named = [
        "by default" if setting == behaviour_answers.DEFAULT else code(setting)
        for setting in settings[:most]
    ]
    if len(named) < len(settings):
        named.append(f"and {len(settings) - len(named)} more")
    return escaped(group[0].stack) + (
        "" if settings == [behaviour_answers.DEFAULT] else f" ({'; '.join(named)})"
    )


def _differs(outcome: Asked) -> bool:
    """On any Python."""
    return not {"no", "partly"}.isdisjoint(outcome.verdicts.values())


def _question(question: Question) -> Iterator[str]:
    yield f'<a id="{_anchor(question)}"></a>'
    yield ""
    yield f"### {prose(question.asks)}"
    for stack in dict.fromkeys(outcome.stack for outcome in question.asked):
        yield ""
        yield from _stack(stack, question.of(stack))
    advice = [
        (text, [outcome for outcome in question.asked if outcome.follows == text])
        for text in dict.fromkeys(outcome.follows for outcome in question.asked if outcome.follows)
    ]
    for text, mine in advice:
        stacks = formatting.listed(dict.fromkeys(outcome.stack for outcome in mine))
        where = "" if len(mine) == len(question.asked) else f" ({escaped(stacks)})"
        yield ""
        yield f"*What follows{where}:* {prose(text)}"


def _stack(stack: str, asked: Sequence[Asked]) -> Iterator[str]:
    claims = dict.fromkeys(outcome.claim for outcome in asked if outcome.claim)
    for claim in claims:
        mine = [outcome for outcome in asked if outcome.claim == claim]
        verdicts = {agrees for outcome in mine for agrees, _ in outcome.judged}
        verdict = _VERDICTS[verdicts.pop()] if len(verdicts) == 1 else _mixed(mine)
        yield f"> Commonly said of {escaped(stack)}: {prose(claim)} {verdict}".rstrip()
        yield ""
    for group in _alike(asked):
        varies = " (it varies)" if group[0].varies else ""
        yield (
            f"- {_labels(group)}: **{escaped(group[0].answer)}**{varies}. "
            f"{escaped(_sentence(group[0].evidence))}"
        )


def _mixed(asked: Sequence[Asked]) -> str:
    """Under which settings a claim is so, and on which Python where they differ."""
    by = {"yes": "so with", "partly": "partly so with", "no": "not so with"}
    settings = grouped(
        (agrees, code(outcome.setting) + where)
        for outcome in asked
        for agrees, where in outcome.judged
    )
    clauses = [
        f"{words} {formatting.listed(settings[verdict])}"
        for verdict, words in by.items()
        if verdict in settings
    ]
    return f"It is {', '.join(clauses)}." if clauses else ""


def _sentence(text: str) -> str:
    """A line of evidence with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"
