"""QUESTIONS: what people ask, and the sentence that this run's rows answer with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from loopbench.results.report.blocks import Table, Words, words
from loopbench.results.report.data import Material
from loopbench.results.report.questions import memory, neighbours, peers, rates, threads, versions
from loopbench.results.report.questions.behaviour import (
    Asks,
    cancelled,
    causes,
    finished,
    protected,
)
from loopbench.results.report.questions.reply import Reply
from loopbench.results.schema import ROOT, how_to, how_to_bench


@dataclass(frozen=True, slots=True)
class Question:
    """answer: from the rows; None where they do not hold it. anchor: the section that holds more.
    measured_by: what to do where rows are missing, our own wording. without: what is said there
    before it."""

    text: str
    answer: Callable[[Material], Reply | None]
    anchor: str
    measured_by: str
    without: Callable[[Material], str] = lambda _: "Not measured here."


@dataclass(frozen=True, slots=True)
class Published:
    """An answer of another run. source: when and on what."""

    reply: Reply
    source: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with its answer, or with the command that would measure it.

    details: what stands behind "more", a sentence each. table: a row a stack, where there are
    many. source: of an answer that is another run's. answered: false where the line is how to.
    """

    text: str
    line: Words
    anchor: str | None
    details: tuple[Words, ...] = ()
    table: Table | None = None
    source: Words = ()
    answered: bool = True


def answered(
    material: Material, anchors: set[str], published: Mapping[str, Published]
) -> tuple[Answered, ...]:
    """Every question, in order. anchors: of the sections that the report has. published: what
    other runs answer, by question, for those that this one does not."""
    return tuple(_answered(question, material, anchors, published) for question in QUESTIONS)


def _answered(
    question: Question, material: Material, anchors: set[str], published: Mapping[str, Published]
) -> Answered:
    reply = question.answer(material)
    if reply is not None:
        return _written(question, reply, question.anchor if question.anchor in anchors else None)
    command = question.measured_by.format(folder=_place(material.folder.path))
    elsewhere = published.get(question.text)
    if elsewhere is None:
        line = (f"{question.without(material)} ", *words(command))
        return Answered(question.text, line, None, answered=False)
    source = f"The published run says so ({elsewhere.source}), not this one. {command}"
    return _written(question, elsewhere.reply, None, words(source))


def _written(question: Question, reply: Reply, anchor: str | None, source: Words = ()) -> Answered:
    details = () if reply.table else tuple((f"{detail}.",) for detail in reply.details)
    return Answered(question.text, (f"{reply.line}.",), anchor, details, reply.table, source)


def _place(folder: Path) -> str:
    """Where a clone has it; elsewhere a word in its place, since a report may move."""
    try:
        return str(folder.resolve().relative_to(ROOT))
    except ValueError:
        return "FOLDER"


_BEHAVIOUR = (
    how_to("make behaviour OUT={folder}", "loopbench behaviour --out {folder}")
    + ", with the folder of this run, asks it."
)

AT_ONCE = "stops at once"


def _measured_by(*, stacks: str = "", scenarios: str) -> str:
    return f"{how_to_bench(stacks=stacks, scenarios=scenarios)} measures it."


QUESTIONS: tuple[Question, ...] = (
    Question(
        "How much faster is one than the other, and at what?",
        rates.faster,
        "answer",
        f"{how_to_bench()} measures two stacks side by side.",
    ),
    Question(
        "Does that hold when the handler waits for something?",
        rates.waiting,
        "speed",
        _measured_by(scenarios="waiting-1000"),
    ),
    Question(
        "Why is a sync route slower when it does nothing?",
        threads.sync,
        "inside",
        _measured_by(scenarios="async-32 sync-32"),
    ),
    Question(
        "What is the default thread-pool size, and what happens past it?",
        threads.pool,
        "pressure",
        _measured_by(scenarios="cliff-4 cliff-16"),
    ),
    Question(
        "Does one blocking call stall everyone, for how long?",
        neighbours.stall,
        "pressure",
        _measured_by(scenarios="neighbour-none neighbour-sleep-blocking"),
    ),
    Question(
        "Do health checks survive a busy handler?",
        neighbours.health,
        "pressure",
        _measured_by(scenarios="neighbour-burn-async neighbour-burn-sync"),
    ),
    Question(
        "Is my handler cancelled when the client leaves?",
        cancelled(Asks("disconnect.plain-await", "handler cancelled")),
        "behaviour",
        _BEHAVIOUR,
    ),
    Question(
        "Can I protect a write from that?",
        protected(
            Asks("disconnect.shield", "saved", "asyncio.shield"),
            Asks("disconnect.aiojobs-shield", "saved", "aiojobs' shield"),
            Asks("disconnect.background-task", "saved", "the framework's own background task"),
        ),
        "behaviour",
        _BEHAVIOUR,
    ),
    Question(
        "Will requests in flight finish at shutdown, and how long may it take?",
        finished(
            Asks(
                "stopping.request-ends-inside-grace",
                "client got 200",
                "a request ends within the grace time",
                decides=True,
            ),
            Asks("stopping.request-outlives-grace", "client got 200", "it takes longer"),
        ),
        "behaviour",
        _BEHAVIOUR,
    ),
    Question(
        "Why does the server not stop?",
        causes(
            Asks("stopping.open-websocket", AT_ONCE, "an open WebSocket", unless=True),
            Asks("stopping.work-in-thread", AT_ONCE, "a call in a thread", unless=True),
            Asks(
                "stopping.request-outlives-grace",
                AT_ONCE,
                "a request longer than the grace time",
                unless=True,
            ),
            Asks("stopping.long-stream", AT_ONCE, "a stream that goes on", unless=True),
            Asks("stopping.half-sent-body", AT_ONCE, "a body that does not come", unless=True),
            Asks("stopping.half-sent-request", AT_ONCE, "half a request", unless=True),
            Asks("stopping.idle-keep-alive", AT_ONCE, "an idle connection", unless=True),
        ),
        "behaviour",
        _BEHAVIOUR,
    ),
    Question(
        "How much memory a connection, and is it given back?",
        memory.memory,
        "pressure",
        _measured_by(scenarios="idle-1000"),
    ),
    Question(
        "What does uvloop gain?",
        peers.uvloop,
        "speed",
        _measured_by(stacks="aiohttp aiohttp-uvloop", scenarios="async-32"),
    ),
    Question(
        "Is it the framework or the server that is slow?",
        peers.layers,
        "speed",
        _measured_by(stacks="asgi-hypercorn quart-hypercorn quart-uvicorn", scenarios="async-32"),
    ),
    Question(
        "How many cores for N requests a second?",
        rates.cores,
        "speed",
        _measured_by(scenarios="async-32"),
    ),
    Question(
        "What does a version bump change?",
        lambda _: None,  # no single run tells
        "",
        how_to(
            "make regression BASE=aiohttp==3.13.2 CANDIDATE=aiohttp==3.14.5",
            "loopbench compare BEFORE AFTER",
        )
        + " compares two versions.",
        versions.unchanged,
    ),
)
