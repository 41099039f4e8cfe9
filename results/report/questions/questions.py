"""QUESTIONS: what people ask, and the line that this run's rows answer with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from loopbench.results.folder.scenarios import Where
from loopbench.results.report.blocks import Table, Words, words
from loopbench.results.report.data import Material
from loopbench.results.report.questions import many
from loopbench.results.report.questions.behaviour import Asks, told
from loopbench.results.report.sections import framework_split, pressure
from loopbench.results.report.sections.answer import P99, beside, blocked
from loopbench.results.report.sections.throughput import CPU, THROUGHPUT
from loopbench.results.report.series import findings, readings
from loopbench.results.schema import ROOT, Family, Work
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats import formatting
from loopbench.results.stats.summary import Summary

Answer = Callable[[Material], list[str]]
"""Clauses from the rows, one thing each; none where they do not hold it."""


@dataclass(frozen=True, slots=True)
class Question:
    """anchor: the section that holds more. measured_by: what to do where rows are missing, our
    own wording. many: the answer about many stacks, in place of a clause for each."""

    text: str
    answer: Answer
    anchor: str
    measured_by: str
    many: many.Tabled = many.none


@dataclass(frozen=True, slots=True)
class Published:
    """An answer of another run. clauses: one thing each. source: when and on what."""

    clauses: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with its answer, a line a clause, or with the command that would measure it.

    table: a row a stack, where there are many.
    """

    text: str
    lines: tuple[Words, ...]
    anchor: str | None
    table: Table | None = None


def answered(
    material: Material, anchors: set[str], published: Mapping[str, Published]
) -> tuple[Answered, ...]:
    """Every question, in order. anchors: of the sections that the report has. published: what
    other runs answer, by question, for those that this one does not."""
    return tuple(_answered(question, material, anchors, published) for question in QUESTIONS)


def _answered(
    question: Question,
    material: Material,
    anchors: set[str],
    published: Mapping[str, Published],
) -> Answered:
    clauses = question.answer(material)
    if clauses:
        anchor = question.anchor if question.anchor in anchors else None
        several = question.many(material)
        if several is not None:
            return Answered(question.text, ((f"{several.line}.",),), anchor, several.table)
        return Answered(question.text, tuple((f"{clause}.",) for clause in clauses), anchor)
    command = question.measured_by.format(folder=_place(material.folder.path))
    elsewhere = published.get(question.text)
    if elsewhere is None:
        return Answered(question.text, (words(f"Not measured here. {command}"),), None)
    lines = tuple((f"{clause}.",) for clause in elsewhere.clauses)
    source = f"The published run says so ({elsewhere.source}), not this one. {command}"
    return Answered(question.text, (*lines, words(source)), None)


def _place(folder: Path) -> str:
    """Where a clone has it; elsewhere a word in its place, since a report may move."""
    try:
        return str(folder.resolve().relative_to(ROOT))
    except ValueError:
        return "FOLDER"


def _faster(material: Material) -> list[str]:
    found = findings.first(material, material.models(LoadKind.CLOSED), THROUGHPUT)
    return [] if found is None else [findings.answer(one) for one in found[1]]


def _waiting(material: Material) -> list[str]:
    """Against the first closed loop: whether the intervals of the two ratios have a part in
    common."""
    found = findings.first(material, material.family(Family.WAITING), THROUGHPUT)
    usual = findings.first(material, material.models(LoadKind.CLOSED), THROUGHPUT)
    if found is None:
        return []
    before = {} if usual is None else {one.stack: one for one in usual[1]}
    return [findings.held(one, before.get(one.stack)) for one in found[1]]


def _sync(material: Material) -> list[str]:
    """The same answer from a worker thread, against that from the loop."""
    for threaded in material.family(Family.SYNC):
        direct = material.baseline(threaded)
        if direct is None:
            continue
        told = [
            text
            for stack in material.contenders()
            if (text := _dispatch(material, stack, direct, threaded))
        ]
        if told:
            return told
    return []


def _dispatch(material: Material, stack: str, direct: Where, threaded: Where) -> str:
    ratio = material.against((stack, *threaded), (stack, *direct), CPU)
    if ratio is None:
        return ""
    wait = material.get(stack, threaded, "executor_wait_mean_ms")
    waited = "" if wait is None else f", after a mean wait of {_ms(wait)} for a thread"
    of = f"the CPU a request of {direct[0]} on {stack}"
    return f"{findings.leading(ratio)} {of}: {threaded[0]} calls its handler in a thread{waited}"


def _ms(summary: Summary) -> str:
    return f"{formatting.figure(summary.sample.metric, summary.centre)} ms"


def _pool(material: Material) -> list[str]:
    told = []
    for sweep in pressure.sweeps(material):
        for stack in material.contenders():
            size = pressure.pool_size(material, stack, sweep.steps)
            most = max(sweep.steps)
            rate = material.get(stack, sweep.steps[most], THROUGHPUT)
            wait = material.get(stack, sweep.steps[most], "executor_wait_p50_ms")
            if size is None or rate is None or wait is None:
                continue
            told.append(
                f"{size} threads on {stack} ({sweep.variant}): {most} users get "
                f"{formatting.figure(THROUGHPUT, rate.centre)}/s, where {size} ÷ "
                f"{sweep.work_s:g} s is {formatting.digits(size / sweep.work_s)}/s, each after "
                f"a wait of {_ms(wait)} for a thread"
            )
    return told


def _slowest(material: Material, stack: str, where: Where) -> str:
    found = material.get(stack, where, "response_time_max_ms")
    return f", the slowest {_ms(found)}" if found else ""


def _stall(material: Material) -> list[str]:
    for where in blocked(material):
        told = [
            text for stack in material.contenders() if (text := _stalled(material, stack, where))
        ]
        if told:
            return told
    return []


def _stalled(material: Material, stack: str, where: Where) -> str:
    """Whether the p99 of innocent requests grew; without a baseline only what it is."""
    beside, baseline = material.get(stack, where, P99), material.baseline(where)
    if beside is None:
        return ""
    slowest = _slowest(material, stack, where)
    alone = None if baseline is None else material.get(stack, baseline, P99)
    if baseline is None or alone is None:
        return f"{_ms(beside)} on {stack}, the p99 of innocent requests beside it{slowest}"
    grown = material.against((stack, *where), (stack, *baseline), P99)
    told = "No" if grown is None or grown.significant is False or grown.centre < 1 else "Yes"
    if grown is not None and grown.interval is None:
        told = "Cannot tell"
    change = f"the p99 of innocent requests goes from {_ms(alone)} to {_ms(beside)}"
    return f"{told} on {stack}: {change}{slowest}"


def _health(material: Material) -> list[str]:
    return [
        f"{_ms(found)} on {stack}, the p99 of innocent requests in {where[0]}"
        f"{_slowest(material, stack, where)}"
        for where in beside(material, lambda _: True, Work.COMPUTE)
        for stack in material.contenders()
        if (found := material.get(stack, where, P99)) is not None
    ]


def _memory(material: Material) -> list[str]:
    each, after = pressure.HELD[0], pressure.HELD[2]
    told = []
    for scenario in pressure.lingering(material):
        for stack in material.contenders():
            standing = pressure.held(material, stack, scenario, each)
            if standing is None:
                continue
            kilobytes = formatting.digits(readings.estimate(standing)[0])
            left = pressure.held(material, stack, scenario, after)
            kept = ""
            if left is not None:
                megabytes = formatting.digits(readings.estimate(left)[0])
                kept = f"; {megabytes} MB are still held when all are closed"
            told.append(f"{kilobytes} kB a connection on {stack} in {scenario}{kept}")
    return told


def _peers(material: Material, differ: str, same: tuple[str, ...]) -> list[tuple[str, str]]:
    """Pairs of stacks that differ in one fact and share others."""

    def fact(stack: str, key: str) -> object:
        facts = material.facts.get(stack, {})
        loop = facts.get("loop")
        return loop.get("class") if key == "loop" and isinstance(loop, dict) else facts.get(key)

    stacks = [stack for stack in material.contenders() if stack in material.facts]
    return [
        (one, other)
        for place, one in enumerate(stacks)
        for other in stacks[place + 1 :]
        if all(fact(one, key) is not None and fact(one, key) == fact(other, key) for key in same)
        and None not in (fact(one, differ), fact(other, differ))
        and fact(one, differ) != fact(other, differ)
    ]


def _between_peers(material: Material, pairs: list[tuple[str, str]]) -> list[str]:
    told = []
    for one, other in pairs:
        found = many.first_ratio(material, one, other)
        if found is not None:
            where, ratio = found
            of = f"the throughput of {one} in {material.name(where)}"
            told.append(f"{findings.leading(ratio)} {of}: {other}")
    return told


def _loops(material: Material) -> list[tuple[str, str]]:
    pairs = _peers(material, "loop", ("framework", "server"))
    return [pair for pair in pairs if _is_uvloop(material, pair)]


def _uvloop(material: Material) -> list[str]:
    return _between_peers(material, _loops(material))


def _many_loops(material: Material) -> many.Many | None:
    return many.peers(material, _loops(material))


def _is_uvloop(material: Material, pair: tuple[str, str]) -> bool:
    return any("uvloop" in str(material.facts[stack].get("loop")) for stack in pair)


def _layers(material: Material) -> list[str]:
    return framework_split.told(material) or _between_peers(material, _servers(material))


def _servers(material: Material) -> list[tuple[str, str]]:
    return _peers(material, "server", ("framework", "loop"))


def _many_layers(material: Material) -> many.Many | None:
    parts = framework_split.frameworks(material)
    return many.layers(parts) if parts else many.peers(material, _servers(material))


def _cores(material: Material) -> list[str]:
    for where in material.models(LoadKind.CLOSED, LoadKind.OPEN):
        told = [
            f"{formatting.digits(cost.centre * 1e-6 * many.CORES_FOR_RPS)} cores on {stack}"
            for stack in material.contenders()
            if (cost := material.get(stack, where, CPU)) is not None
        ]
        if told:
            rate = f"{many.CORES_FOR_RPS:,} requests/s of {material.name(where)}"
            return [f"{', '.join(told)}: for {rate}, by CPU a request, with nothing to spare"]
    return []


def _never(_: Material) -> list[str]:
    return []


_BEHAVIOUR = "`make behaviour OUT={folder}`, with the folder of this run, asks it."

QUESTIONS: tuple[Question, ...] = (
    Question(
        "How much faster is one than the other, and at what?",
        _faster,
        "answer",
        "`make bench` measures two stacks side by side.",
        many.faster,
    ),
    Question(
        "Does that hold when the handler waits for something?",
        _waiting,
        "speed",
        "`make bench SCENARIOS=waiting-1000` measures it.",
    ),
    Question(
        "Why is a sync route slower when it does nothing?",
        _sync,
        "inside",
        '`make bench SCENARIOS="async-32 sync-32"` measures it.',
    ),
    Question(
        "What is the default thread-pool size, and what happens past it?",
        _pool,
        "pressure",
        '`make bench SCENARIOS="cliff-4 cliff-16"` measures it.',
    ),
    Question(
        "Does one blocking call stall everyone, for how long?",
        _stall,
        "pressure",
        '`make bench SCENARIOS="neighbour-none neighbour-sleep-blocking"` measures it.',
    ),
    Question(
        "Do health checks survive a busy handler?",
        _health,
        "pressure",
        '`make bench SCENARIOS="neighbour-burn-async neighbour-burn-sync"` measures it.',
    ),
    Question(
        "Is my handler cancelled when the client leaves?",
        told(Asks("disconnect.plain-await", "handler cancelled")),
        "behaviour",
        _BEHAVIOUR,
    ),
    Question(
        "Can I protect a write from that?",
        told(
            Asks("disconnect.shield", "saved"),
            Asks("disconnect.aiojobs-shield", "saved"),
            Asks("disconnect.background-task", "saved"),
        ),
        "behaviour",
        _BEHAVIOUR,
    ),
    Question(
        "Will requests in flight finish at shutdown, and how long may it take?",
        told(
            Asks("stopping.request-ends-inside-grace", "client got 200"),
            Asks("stopping.request-outlives-grace", "client got 200"),
        ),
        "behaviour",
        _BEHAVIOUR,
    ),
    Question(
        "Why does the server not stop?",
        told(
            Asks("stopping.idle-keep-alive", "stops at once", unless=True),
            Asks("stopping.open-websocket", "stops at once", unless=True),
            # Nothing can end a thread from outside: either the stop waits for it or it goes on.
            Asks("stopping.work-in-thread", "thread ended"),
        ),
        "behaviour",
        _BEHAVIOUR,
    ),
    Question(
        "How much memory a connection, and is it given back?",
        _memory,
        "pressure",
        "`make bench SCENARIOS=idle-1000` measures it.",
    ),
    Question(
        "What does uvloop gain?",
        _uvloop,
        "speed",
        '`make bench STACKS="aiohttp aiohttp-uvloop" SCENARIOS=async-32` measures it.',
        _many_loops,
    ),
    Question(
        "Is it the framework or the server that is slow?",
        _layers,
        "speed",
        '`make bench STACKS="asgi-hypercorn quart-hypercorn quart-uvicorn" SCENARIOS=async-32` '
        "measures it.",
        _many_layers,
    ),
    Question(
        "How many cores for N requests a second?",
        _cores,
        "speed",
        "`make bench SCENARIOS=async-32` measures it.",
        many.cores,
    ),
    Question(
        "What does a version bump change?",
        _never,
        "",
        "`make regression BASE=aiohttp==3.13.2 CANDIDATE=aiohttp==3.14.5` says it of two versions; "
        "`python -m results compare BEFORE AFTER` of two runs.",
    ),
)
