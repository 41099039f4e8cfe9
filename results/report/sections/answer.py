"""Section: the answer, in three to six sentences from the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from loopbench.results.folder.scenarios import LoadFacts, Where
from loopbench.results.grouping import grouped
from loopbench.results.report.blocks import Link, Part, Text, Words
from loopbench.results.report.data import Material
from loopbench.results.report.sections import ratios
from loopbench.results.report.sections.throughput import CPU, THROUGHPUT
from loopbench.results.report.series import findings
from loopbench.results.schema import Dispatch, Family, Work
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.schema.reading_warnings import MIN_ROUNDS, TRIM_FROM, ReadingCode
from loopbench.results.schema.warnings import wording
from loopbench.results.stats import formatting
from loopbench.results.stats.summaries.sample import Cell
from loopbench.results.terminal.table import rounds_of

P99 = "response_time_p99_ms"
FAILED = 0.01
"""Share of a Cell's requests from which on their failures stand in the answer."""


def parts(material: Material) -> Iterator[Part]:
    """The headline, the picture that carries it, then a paragraph a sentence; what to distrust
    comes last, and always."""
    paragraphs = [words for sentence in SENTENCES if (words := sentence(material))]
    headline, *others = paragraphs
    yield Text(headline, strong=True)
    yield from ratios.parts(material)
    for words in others:
        yield Text(words)


def fastest(material: Material) -> Words:
    """Throughput, where the first closed loop compares it."""
    compared = _compared(material)
    if compared is None:
        return _alone(material)
    return (f"{findings.headline(compared[1])}.",)


Found = tuple[Where, list[findings.Difference]] | None


def _compared(material: Material) -> Found:
    """The first closed loop that compares throughput."""
    return findings.first(material, material.models(LoadKind.CLOSED), THROUGHPUT)


def _clauses(compared: Found, anchor: str) -> Words:
    return () if compared is None else (findings.contender_clauses(compared[1]), *_see(anchor))


def rates(material: Material) -> Words:
    """What each stack reached there, in requests a second."""
    compared = _compared(material)
    if compared is None:
        return ()
    reached = [
        f"{stack} {formatting.figure(THROUGHPUT, summary.centre)}"
        for stack in material.contenders()
        if (summary := material.get(stack, compared[0], THROUGHPUT)) is not None
    ]
    figures = formatting.listed(reached, most=len(reached))
    return (f"Requests/s in {material.name(compared[0])}: {figures}", *_see("speed"))


def _alone(material: Material) -> Words:
    """What is reached where nothing is compared: one contender, or none, or no ratio of several."""
    for where in material.models(LoadKind.CLOSED):
        rates = {
            stack: formatting.figure(THROUGHPUT, summary.centre)
            for stack in material.contenders() or material.stacks
            if (summary := material.get(stack, where, THROUGHPUT)) is not None
        }
        if rates:
            (stack, rate), *others = rates.items()
            clause = f"{stack} answers {rate} requests/s"
            if not others:
                end = f"in {material.name(where)}; no other stack was measured beside it"
                return (f"{clause} {end}", *_see("speed"))
            more = findings.listed([clause, *(f"{other} {its}" for other, its in others)])
            no_ratio = f"there is no ratio of them to {material.summaries.reference}"
            return (f"{more} in {material.name(where)}; {no_ratio}", *_see("speed"))
    return ()


def elsewhere(material: Material) -> Words:
    """Throughput in the other closed loops."""
    compared = _compared(material)
    if compared is None:
        return ()
    others = [where for where in material.models(LoadKind.CLOSED) if where != compared[0]]
    sentences = list(findings.summed_up(material, others, THROUGHPUT))
    return (
        (f"Requests answered in the other closed loops, {'. '.join(sentences)}", *_see("speed"))
        if sentences
        else ()
    )


def cost(material: Material) -> Words:
    """CPU per request, in the scenario of the first sentence."""
    closed = material.models(LoadKind.CLOSED)
    chosen = _compared(material)
    wheres = [*([chosen[0]] if chosen else []), *closed, *material.models(LoadKind.OPEN)]
    return _clauses(findings.first(material, wheres, CPU), "speed")


def counted(material: Material) -> Words:
    """Instructions of a request, in the scenario of the first sentence."""
    chosen = _compared(material)
    counts = {} if chosen is None else material.instructions(chosen[0])
    reference = material.summaries.reference
    base = counts.get(str(reference))
    others = {
        stack: value / base
        for stack, value in counts.items()
        if base and stack in material.contenders() and stack != reference
    }
    if chosen is None or base is None or not others:
        return ()
    least, most = min(others, key=others.__getitem__), max(others, key=others.__getitem__)
    costs = [
        f"{formatting.digits(others[stack])}x on {stack} ({formatting.digits(counts[stack])})"
        for stack in dict.fromkeys((least, most))
    ]
    sentence = (
        "Counted in instructions, which the machine's load does not change, a request of "
        f"{material.name(chosen[0])} costs {' to '.join(costs)} what it costs on {reference} "
        f"({formatting.digits(base)})"
    )
    return (sentence, *_see("speed"))


def tail(material: Material) -> Words:
    """The 99th percentile at the first given rate."""
    rates = [where for where in material.models(LoadKind.OPEN) if material.fact(where).is_rate]
    return _clauses(findings.first(material, rates, P99), "times")


def blocking(material: Material) -> Words:
    """What one blocking call does to its neighbours."""
    where = next(iter(blocked(material)), None)
    if where is None:
        return ()
    baseline = material.baseline(where)
    changes = []
    for stack in material.contenders():
        beside = material.get(stack, where, P99)
        if beside is None:
            continue
        alone = None if baseline is None else material.get(stack, baseline, P99)
        now = f"{formatting.figure(P99, beside.centre)} ms"
        if baseline is None or alone is None:
            changes.append(f"to {now} on {stack}")
            continue
        factor = material.against((stack, *where), (stack, *baseline), P99)
        first = formatting.figure(P99, alone.centre)
        changes.append(f"from {first} to {now} on {stack} ({findings.ratio(factor)})")
    if not changes:
        return ()
    what = f"the p99 response time of innocent requests beside it {findings.listed(changes)}"
    doubts = findings.doubted(material, dict.fromkeys(filter(None, (baseline, where)), (P99,)))
    return (f"{neighbour(material, where[0])} takes {what}{doubts}", *_see("pressure"))


def blocked(material: Material) -> list[Where]:
    """Innocent loads beside one whose handlers wait on the loop without giving it back."""
    return beside(material, lambda facts: facts.dispatch == Dispatch.BLOCKING, Work.WAIT)


def beside(material: Material, chosen: Callable[[LoadFacts], bool], work: Work) -> list[Where]:
    """The loads that scenarios about neighbours ask about, where a neighbour does this work."""
    return [
        where
        for where in material.family(Family.NEIGHBOURS)
        if any(
            facts.work == work and chosen(facts)
            for facts in map(material.fact, material.burdens(where[0]))
        )
    ]


def neighbour(material: Material, scenario: str) -> str:
    """The blocking load in words: how long it was meant to block, and how often it was offered."""
    burdens = material.burdens(scenario)
    rows = [run for run in material.runs if run.where in burdens]
    works = [value for where in burdens if (value := material.fact(where).work_ms) is not None]
    rates = [value for run in rows if (value := run.number("arrival_rate_rps")) is not None]
    long = f" for {works[0]:g} ms" if works else ""
    often = f", {rates[0]:g} times a second," if rates else ""
    return f"One call that blocks the loop{long}{often}"


def distrust(material: Material) -> Words:
    """The Warnings that weigh most, and what the number of Rounds allows."""
    counts = rounds_of(material.folder).values()
    rounds = max(counts, default=0)
    few = sum(count < TRIM_FROM for count in counts)
    grave = [note for note in material.notes if wording(note.code).disqualifies]
    light = [
        note
        for note in material.notes
        if note not in grave and note.code != ReadingCode.STACK_MISSING
    ]
    clauses = list(_failed(material))
    if grave:
        where = (f"{note.code} ({_cells(len(note.cells))})" for note in grave)
        clauses.append(f"what is marked {formatting.listed(map(formatting.plain, where))}")
    if light:
        where = (f"{note.code} ({_cells(len(note.cells))})" for note in light)
        clauses.append(f"with less weight {formatting.listed(map(formatting.plain, where))}")
    if rounds < MIN_ROUNDS:
        clauses.append("everything, since fewer than three Rounds allow no interval")
    elif few == len(counts):
        clauses.append(f"small differences, since {rounds} Rounds do not tolerate an outlier")
    elif few:
        share = f"{few} of {len(counts)} scenarios"
        clauses.append(
            f"small differences in {share}, which have fewer than {TRIM_FROM} Rounds: these do not "
            "tolerate an outlier"
        )
    if material.problems:
        count = len(material.problems)
        notes = "1 note" if count == 1 else f"{count} notes"
        clauses.append(f"what rests on rows that are missing or could not be read ({notes})")
    text = "; ".join(clauses) or f"nothing in particular: no Warning in {rounds} Rounds"
    return (f"What to distrust: {text}", *_see("warnings", "in words"))


def _failed(material: Material) -> Iterator[str]:
    """Where so many requests failed that the figures, which are of right answers, are of a part of
    them: of how many, where most did."""
    shares: dict[Cell, float] = {}
    for cell, runs in grouped((run.cell, run) for run in material.runs).items():
        requests, failures = (
            sum(run.number(column) or 0.0 for run in runs) for column in ("requests", "failures")
        )
        if requests and failures >= FAILED * requests:
            shares[cell] = failures / requests
    if shares:
        worst = max(shares, key=lambda cell: shares[cell])
        name = formatting.plain(material.summaries.name(worst))
        others = f", and some of {_cells(len(shares) - 1)} more" if len(shares) > 1 else ""
        share = f"{shares[worst]:.0%} of the requests of {name}"
        yield f"figures of right answers alone, since {share} failed{others}"


def _cells(count: int) -> str:
    return formatting.counted(count, "Cell")


def _see(anchor: str, text: str = "figures") -> Words:
    return (" (", Link(text, anchor), ").")


SENTENCES: tuple[Callable[[Material], Words], ...] = (
    fastest,
    rates,
    elsewhere,
    cost,
    counted,
    tail,
    blocking,
    distrust,
)
