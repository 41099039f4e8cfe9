"""docs/behaviour.md: the answers as an article, made from the rows alone.

For each question what is commonly said, what was seen, and what follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from results import behaviour, figures
from results.behaviour import Asked, Question
from results.report.markdown import code, escaped

_VERDICTS = {
    "yes": "That is so here.",
    "no": "That is not so here.",
    "partly": "That is partly so here.",
}


def article(questions: Sequence[Question]) -> str:
    """The whole text, in Markdown."""
    lines = [*_head(questions)]
    for topic, mine in behaviour.topics(questions).items():
        lines += [f"## {escaped(topic)}", ""]
        for question in mine:
            lines += [*_question(question), ""]
    return "\n".join(lines).rstrip() + "\n"


def _head(questions: Sequence[Question]) -> Iterator[str]:
    said = figures.listed(behaviour.versions(questions), 20)
    pythons = figures.listed(behaviour.pythons(questions), 20)
    count = sum(len(question.asked) for question in questions)
    yield "# What the stacks really do"
    yield ""
    yield (
        f"{len(questions)} questions about how aiohttp and Quart behave, asked by experiment: a "
        "small application on its framework's own server, with the framework's own defaults "
        f"unless a setting is named, and a client on a real socket. {count} answers, seen on "
        f"Python {pythons} with {escaped(said)}. Where Pythons differ, the answer says so; the "
        "evidence is that of the newest."
    )
    yield ""
    yield (
        "This page is generated from `behaviour.csv`. `make behaviour` asks everything anew on "
        "the versions that are installed; each experiment is one file under "
        "`loadtests/behaviour/`, short enough to read as an example."
    )
    yield ""
    wrong = [(question, one) for question in questions for one in question.asked if _differs(one)]
    if wrong:
        yield "## Commonly said, and not so"
        yield ""
        claims: dict[tuple[str, str], list[tuple[Question, Asked]]] = {}
        for question, one in wrong:
            claims.setdefault((one.claim, one.agrees), []).append((question, one))
        for (claim, agrees), places in claims.items():
            seen = "; ".join(f"{one.label}: {one.answer}" for _, one in places)
            holds = "partly" if agrees == "partly" else "no"
            link = f"[{escaped(places[0][0].asks)}](#{places[0][0].name.replace('.', '-')})"
            yield f"- “{escaped(claim)}” ({holds}) {escaped(seen)}. {link}"
        yield ""


def _differs(one: Asked) -> bool:
    return one.agrees in ("no", "partly")


def _question(question: Question) -> Iterator[str]:
    yield f'<a id="{question.name.replace(".", "-")}"></a>'
    yield ""
    yield f"### {escaped(question.asks)}"
    for stack in dict.fromkeys(one.stack for one in question.asked):
        yield ""
        yield from _stack(stack, question.of(stack))
    advice = [
        (text, [one for one in question.asked if one.follows == text])
        for text in dict.fromkeys(one.follows for one in question.asked if one.follows)
    ]
    for text, mine in advice:
        stacks = figures.listed(dict.fromkeys(one.stack for one in mine))
        where = "" if len(mine) == len(question.asked) else f" ({escaped(stacks)})"
        yield ""
        yield f"*What follows{where}:* {escaped(text)}"


def _stack(stack: str, asked: Sequence[Asked]) -> Iterator[str]:
    claims = dict.fromkeys(one.claim for one in asked if one.claim)
    for claim in claims:
        mine = [one for one in asked if one.claim == claim and one.agrees]
        verdicts = dict.fromkeys(one.agrees for one in mine)
        told = _VERDICTS[next(iter(verdicts))] if len(verdicts) == 1 else _mixed(mine)
        yield f"> Commonly said of {escaped(stack)}: {escaped(claim)} {told}".rstrip()
        yield ""
    for one in asked:
        setting = "" if one.setting == behaviour.DEFAULT else f", {code(one.setting)}"
        varies = " (it varies)" if one.varies else ""
        yield (
            f"- {escaped(stack)}{setting}: **{escaped(one.answer)}**{varies}. "
            f"{escaped(_sentence(one.evidence))}"
        )


def _mixed(asked: Sequence[Asked]) -> str:
    by = {"yes": "so with", "partly": "partly so with", "no": "not so with"}
    told = [
        f"{words} {figures.listed(code(one.setting) for one in asked if one.agrees == verdict)}"
        for verdict, words in by.items()
        if any(one.agrees == verdict for one in asked)
    ]
    return f"It is {', '.join(told)}."


def _sentence(text: str) -> str:
    """A line of evidence with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"
