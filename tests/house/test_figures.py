"""Figures that a document quotes of committed rows are those that the rows give.

Each function below gives words of a document, with the figures in them worked out anew from the
rows. Where the rows are published anew, a failure shows the words that the document should have.
"""

from __future__ import annotations

import csv
import json
import math
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from loopbench.loadtests.scenarios.table import SCENARIOS
from loopbench.loadtests.selfcheck.checks import stalls, twins
from loopbench.loadtests.selfcheck.seeds.holds import HOLDS
from loopbench.results.folder.folder import Folder, load
from loopbench.results.regression.finding import Settings
from loopbench.results.regression.layers import occasions
from loopbench.results.regression.simulate import Shape
from loopbench.results.report.blocks import Table
from loopbench.results.report.data import gather
from loopbench.results.report.sections import data, fetching
from loopbench.results.schema import COUNTS, PROBE_COST, ROOT, SLICES, Row, read_table
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats.formatting import digits
from loopbench.results.stats.intervals.slices import block_estimate
from loopbench.results.stats.queueing.queues import QUEUES
from loopbench.results.stats.summaries.summary import Summaries, Summary, summarise
from loopbench.servers.contract.routes import ROUTES
from loopbench.servers.stacks import CORE

REFERENCE = ROOT / "results" / "reference"
BENCH, DATA = REFERENCE / "bench", REFERENCE / "data"
BASELINE = ROOT / "results" / "baseline"
FAST, SLOW = CORE
WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 8: "eight", 10: "ten", 12: "twelve"}


@cache
def published(path: Path) -> tuple[Folder, Summaries]:
    """A results folder as every command reads it."""
    folder = load(path)
    return folder, summarise(folder, None)


def of(path: Path, stack: str, scenario: str, metric: str) -> Summary:
    """One figure of the last load of a scenario."""
    _, summaries = published(path)
    (found,) = (
        summary
        for (cell, name), summary in summaries.by.items()
        if cell[:2] == (stack, scenario) and cell[2] == "main" and name == metric
    )
    return found


def rates(path: Path, stack: str, *scenarios: str) -> list[str]:
    """Requests a second."""
    return [digits(of(path, stack, name, "throughput_rps").centre) for name in scenarios]


def half_width(summary: Summary) -> float:
    """Half of a ratio's interval in per cent, rounded up as all tables do."""
    assert summary.ratio is not None and summary.ratio.interval is not None
    reach = summary.ratio.interval.reach(summary.ratio.centre)
    assert reach is not None
    return math.ceil(reach * 1000) / 10


@cache
def tables(path: Path) -> Mapping[str, Table]:
    """Those of the report of a folder about streams, uploads and pages, by title."""
    material = gather(*published(path))
    parts = [*data.parts(material), *fetching.parts(material)]
    found = (part if isinstance(part, Table) else getattr(part, "table", None) for part in parts)
    return {table.title: table for table in found if isinstance(table, Table)}


def cells(path: Path, title: str) -> Mapping[tuple[str, str], Mapping[str, str]]:
    """A table of that report, by what its rows are about and the stack."""
    table = tables(path)[title]
    return {(row[0], row[1]): dict(zip(table.header, row, strict=True)) for row in table.rows}


def rows(path: Path) -> list[dict[str, str]]:
    """A table of which no more is asked than its text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def instructions(stack: str, case: str) -> float:
    """Of a request, on the Python of the published runs."""
    (found,) = (
        row["instructions"]
        for row in read_table(REFERENCE, COUNTS)
        if (row["stack"], row["case"]) == (stack, case)
    )
    assert isinstance(found, float)
    return found


def rounds_of_published_runs() -> Iterator[str]:
    """How often each was measured, and by which command the first."""
    command = json.loads((BENCH / "environment.json").read_text())["command"]
    yield f"This table is what `{' '.join(command[3:])}` measured."

    def rounds(name: str) -> str:
        return WORDS[max(run.round for run in load(REFERENCE / name).runs)]

    yield f"[every scenario](results/reference/report.md) in {rounds('')} Rounds"
    yield f"(results/reference/data/report.md) in {rounds('data')}"
    yield f"[every server](results/reference/stacks/report.md) in {rounds('stacks')}"


def kinds_of_queues() -> Iterator[str]:
    """Those that `capacity` compares its trials with."""
    threads = sorted({queue.threads for queue in QUEUES})
    yield f"There are {len(QUEUES)} kinds of them: {threads[0]} to {threads[-1]} threads"


@cache
def blocks_of_twins() -> Mapping[str, list[Row]]:
    """The committed Slices of equal servers, by Run."""
    by_run: defaultdict[str, list[Row]] = defaultdict(list)
    for row in read_table(ROOT / "results" / "noise", SLICES):
        by_run[str(row["run_id"])].append(row)
    return by_run


def equal_servers() -> Iterator[str]:
    """What `selfcheck twins` says of the Blocks that are committed."""
    by_run = blocks_of_twins()
    seen = {metric: twins.judge(by_run, metric) for metric in ("cpu_us_per_request", *_SPEED)}
    (covered, mean), (covered_too, mean_too) = seen.values()
    values = [float(one.outcome.partition(",")[0]) for one in (mean, mean_too)]
    errors = {re.findall(r"error ([\d.]+)%", one.outcome)[0] for one in (mean, mean_too)}
    shares = [one.outcome.partition("%")[0] for one in (covered, covered_too)]
    blocks = len(by_run) // 2
    (error,) = errors
    yield (
        f"| the same stack twice, {blocks} Blocks | `loadtests selfcheck twins` | mean ratio "
        f"{values[0]:.3f} (CPU a request) and {values[1]:.3f} (throughput), standard error "
        f"{error} %; intervals of {WORDS[twins.SET]} Blocks contain 1 in {shares[0]} and "
        f"{shares[1]} of 100 |"
    )


_SPEED = ("throughput_rps",)


def intervals_of_the_default_suite() -> Iterator[str]:
    """Of the loops of 32 users, and of async-32 beside how much the machine varied."""
    folder, _ = published(BENCH)
    sliced = {str(row["run_id"]) for row in folder.slices}
    loops = sorted({run.scenario for run in folder.runs if run.run_id in sliced})
    loads = {name: SCENARIOS[name].loads[0].model for name in loops}
    many = [name for name, model in loads.items() if model.kind == LoadKind.CLOSED]
    many.remove("async-1")
    found = [half_width(of(BENCH, SLOW, name, metric)) for name in many for metric in _METRICS]
    alone = max(half_width(of(BENCH, SLOW, "async-1", metric)) for metric in _METRICS)
    yield f"the published run | `--budget 8m` | ±{min(found)} to {max(found)} % | ±{alone} % |"
    asked = of(BENCH, SLOW, "async-32", "throughput_rps")
    assert asked.ratio is not None
    work = [
        row["work_ms"]
        for row in folder.slices
        if str(row["run_id"]).endswith(".async-32") and isinstance(row["work_ms"], float)
    ]
    varied = statistics.stdev(work) / statistics.fmean(work)
    yield (
        f"| 1:20 on 2026-12-01, there | `bench --budget 8m` | {varied * 100:.0f} % | "
        f"{digits(asked.ratio.centre)}, ±{half_width(asked)} % |"
    )


_METRICS = ("cpu_us_per_request", "throughput_rps")


def messages_of_the_yardstick() -> Iterator[str]:
    """And that the Warning which is told of is in the rows."""
    (rate,) = rates(DATA, "asyncio", "ws-echo-500")
    yield f"the yardstick reached only {rate} messages a second at 500 connections"
    warnings = of(DATA, FAST, "ws-echo-500", "throughput_rps").warnings
    assert "generator-limit" in {one.code for one in warnings}


_ASKED_FOR = 8 * 2**20 / 1e6
"""MB that a slow reader asks for."""


def readers_uploads_and_pages() -> Iterator[str]:
    """What the published run of streams, uploads, large answers and pages shows."""
    plan = published(DATA)[0].plan
    yield f"median of {WORDS[plan.rounds or 0]} Rounds of {plan.raw['duration_s']} s"
    memory = cells(DATA, "Memory with slow readers and without, and what the others met")
    stuck = [memory["stream-stuck", stack] for stack in CORE]
    over, each, after = (
        [row[name] for row in stuck]
        for name in ("memory over before MB", "a slow reader kB", "after they left MB")
    )
    number = int(stuck[0]["slow readers"])
    yield (
        f"{number} of them added {over[0]} MB to aiohttp and {over[1]} MB to Quart on Hypercorn, "
        f"of the {number * _ASKED_FOR:.0f} MB that they had asked for: {each[0]} and {each[1]} kB "
        "each."
    )
    slow, still, alone = rates(DATA, FAST, "stream-slow", "stream-stuck", "stream-100k")
    yield (
        f"aiohttp gave the others {slow} (slow) and {still} (stuck) answers a second, against "
        f"{alone} without slow readers"
    )
    yield f"held {after[1]} MB more than before the load; aiohttp held {after[0]} MB."
    uploads = cells(DATA, "Uploads, by scenario")
    large, raw, part = (
        [uploads[name, stack] for stack in CORE]
        for name in ("upload-64m", "upload-1m", "upload-multipart-1m")
    )
    kept = [row["peak memory over before, MB"] for row in large]
    yield (
        f"uploads of 64 MiB added {kept[0]} and {kept[1]} MB to the memory of the process, at "
        f"{large[0]['MB/s']} and {large[1]['MB/s']} MB/s. A MiB in a part of a form came "
        f"{part[0]['uploads/s']} and {part[1]['uploads/s']} times a second, a raw MiB "
        f"{raw[0]['uploads/s']} and {raw[1]['uploads/s']} times."
    )
    answers = cells(DATA, "Large JSON answers, by scenario")
    small, big = ([answers[name, stack] for stack in CORE] for name in ("json-1k", "json-1m"))
    took = [row["time in the handler p50, ms"] for row in big]
    cost = [row["CPU, µs a KiB"] for row in (*small, *big)]
    yield f"The handler of a MiB of JSON takes {took[0]} and {took[1]} ms"
    yield (
        f"A KiB cost {cost[0]} and {cost[1]} µs of CPU in an answer of 1 KiB, and {cost[2]} and "
        f"{cost[3]} µs in an answer of a MiB"
    )
    pages = cells(DATA, "By way and number of pages")
    further: defaultdict[bool, list[int]] = defaultdict(list)
    for (way, _), row in pages.items():
        if (price := row["CPU µs a further page"]) != "–":
            further[way.startswith("threads")].append(int(price))
    own, threads = further[False], further[True]
    yield (
        f"A further page cost {min(own)} to {max(own)} µs of CPU with aiohttp's client, all at "
        f"once or one after another, and {min(threads)} to {max(threads)} µs with a synchronous "
        "client in threads, on both stacks."
    )
    at_once, in_turn = (
        [pages[f"{way}, 50", stack]["requests/s"] for stack in CORE]
        for way in ("gather", "sequence")
    )
    yield (
        f"{at_once[0]} and {at_once[1]} requests a second that fetched 50 pages at once, and "
        f"{in_turn[0]} and {in_turn[1]} that fetched one after another"
    )


def alarm_of_the_baseline() -> Iterator[str]:
    """Its spread between occasions, and the thresholds that follow from it."""
    of_all = tuple(read_table(BASELINE, occasions.TABLE))
    of_cell = {(row["stack"], row["case"]) for row in of_all}
    number = len({row["occasion"] for row in of_all})
    yield f"Measured: {WORDS[number]} occasions within four hours on one machine"
    shape = Shape()
    spread = occasions.between(of_all)
    cpu, speed, median = (spread[name] for name in _GATED)
    yield (
        f"Pooled over {WORDS[len(of_cell)]} cells, s was {cpu:.1%} for CPU a request over the "
        f"yardstick's, {speed:.1%} for throughput and {median:.1%} for the median service time"
    ).replace("%", " %")
    judged = occasions.JUDGED
    limits, why_not = occasions.thresholds(BASELINE, shape.cells * len(judged), Settings())
    assert why_not == ""
    first, second = (f"{limits[name] * 100:.0f}" for name in judged)
    yield f"the thresholds of the two that are judged are then {first} and {second} %"


_GATED = ("cpu_us_per_request", "throughput_rps", "service_time_p50_ms")


def routes_that_are_counted() -> Iterator[str]:
    """Of the core stacks, and how many of them work in threads."""
    counted = {(row["stack"], row["route"]) for row in rows(BASELINE / "instructions.csv")}
    in_threads = {route.name for route in ROUTES if route.dispatch == "sync"}
    away = [route for _, route in counted if re.sub(r"-\d+$", "", route) in in_threads]
    on_loop = len(counted) - len(away)
    yield (
        f"All {len(counted)} routes were the same, with a median difference of 0.004 %: the "
        f"{on_loop} that stay on the loop within 0.02 %, five of the {WORDS[len(away)]} in threads"
    )
    yield f"33 of the {on_loop} routes of the core stacks that stay on the loop"


def figures_that_move_together() -> Iterator[str]:
    """Of the Blocks of equal servers: a slowdown is more CPU time, and less throughput."""

    def logs(stack: str, metric: str) -> Iterator[float]:
        by_run = blocks_of_twins()
        for run_id in by_run:
            number, _, cell = run_id.partition(".")
            if cell == f"{stack}.{twins.SCENARIO}":
                twin = by_run[f"{number}.{stack}{twins.TWIN}.{twins.SCENARIO}"]
                estimate = block_estimate(twin, by_run[run_id], metric)
                assert estimate is not None
                yield estimate.value

    fast, slow = (
        -statistics.correlation(*(list(logs(stack, metric)) for metric in _METRICS))
        for stack in CORE
    )
    yield (
        "slowdowns by CPU time and by throughput with a correlation of "
        f"{fast:.2f} on aiohttp and {slow:.2f} on Quart"
    )


def memory_of_the_baseline() -> Iterator[str]:
    """What equal code keeps of a request and of a connection, and how processes differ."""
    kept = rows(BASELINE / "memory.csv")
    repeats = {row["repeat"] for row in kept}
    (asked,) = {row["requests"] for row in kept if not row["subject"].startswith("connections")}
    yield f"committed baseline, {WORDS[len(repeats)]} repeats of {asked} requests"
    yield f"is asked {asked} times, what the process holds is read, it is asked {asked} times more"

    def blocks(stack: str, *, connections: bool) -> Mapping[str, list[float]]:
        by_subject: defaultdict[str, list[float]] = defaultdict(list)
        for row in kept:
            if row["stack"] == stack and row["subject"].startswith("connections") is connections:
                by_subject[row["subject"]].append(float(row["blocks"]))
        return by_subject

    texts = []
    for stack in CORE:
        each = blocks(stack, connections=False)
        every = [value for values in each.values() for value in values]
        apart = max(max(values) - min(values) for values in each.values())
        texts.append((f"{min(every):.2f} to {max(every):.2f} blocks", f"{apart:.2f}"))
    most = max(
        float(row["resident_bytes"])
        for row in kept
        if row["stack"] == FAST and not row["subject"].startswith("connections")
    )
    held = [v for values in blocks(SLOW, connections=True).values() for v in values]
    yield (
        f"aiohttp kept {texts[0][0]} and at most {most:.0f} bytes a request, alike to within "
        f"{texts[0][1]} blocks from process to process; Quart on Hypercorn {texts[1][0]}, alike to "
        f"within {texts[1][1]}, and {min(held):.0f} to {max(held):.0f} blocks"
    )


def rates_of_the_table() -> Iterator[str]:
    """What the text draws from the table of simulations beside it, which a test repeats."""
    text = words_of("docs/regression.md")
    table = {
        (machine, int(rounds)): [float(cell.removesuffix(" %")) for cell in line.split(" | ")]
        for machine, rounds, line in re.findall(
            r"\| as measured on an? (\w+) \| (\d+) \| ([\d.% |]*?) \|(?= \|)", text
        )
    }
    fast, slow, more = table["EPYC", 20], table["Xeon", 16], table["Xeon", 24]
    alarms = 10 * max(fast[0], slow[0])
    yield (
        f"no more than {'two' if alarms == 2 else alarms} false alarms in 1,000 tables, and catch "
        f"5 % in {int(fast[2])} of 100 and 3 % in {fast[1]:.0f}."
    )
    yield f"they hold 16, which catch 5 % in {slow[2]:.0f} and 3 % in {slow[1]:.0f};"
    yield f"24 Rounds (`--rounds 24`, seven minutes) catch 3 % in {more[1]:.0f}."


def facts_and_answers() -> Iterator[str]:
    """Of aiohttp, in the baseline and on one Python."""
    facts = sum(row["stack"] == FAST for row in rows(BASELINE / "facts.csv"))
    answers = rows(REFERENCE / "behaviour.csv")
    (python,) = {row["python"] for row in answers if row["python"].startswith("3.11.")}
    asked = sum((row["stack"], row["python"]) == (FAST, python) for row in answers)
    routes = len({row["route"] for row in rows(BASELINE / "instructions.csv")})
    yield f"{facts:,} facts, {asked} answers and {routes} routes the same each time"
    yield f"has {routes} routes of {routes} the same"


def seeded_instructions() -> Iterator[str]:
    """Of what the self-test's edit was a part."""
    yield f"took 2,500 of Quart's {instructions(SLOW, 'plain') / 1e6:.2f} M instructions off"


def a_hundredth_of_a_request() -> Iterator[str]:
    """Of aiohttp's request on /async."""
    hundredth = round(instructions(FAST, "async") / 100, -2)
    yield f"1 % of aiohttp's request is {hundredth:,.0f} instructions"


def what_watching_adds() -> Iterator[str]:
    """In instructions, by the published count; the check's limit is in the sentence beside it."""
    counted = {str(row["stack"]): row for row in read_table(REFERENCE, PROBE_COST)}

    def share(stack: str, column: str) -> str:
        value = counted[stack][column]
        assert isinstance(value, float)
        return f"{value * 100:.2f} %".replace("-", "−")

    (pairs,) = {row["repeats"] for row in counted.values()}
    yield f"in {WORDS[int(str(pairs))]} processes each, in pairs"
    yield f"watching adds {share(FAST, 'share')} on aiohttp (±"
    yield f"and {share(SLOW, 'share')} on Quart under Hypercorn (±"
    yield f"at rest {share(FAST, 'resting_share')} (±"
    yield f") and {share(SLOW, 'resting_share')} (±"
    yield f"up to {share(FAST, 'searching_share')} of aiohttp's"
    beat = counted[FAST]["beat_instructions"]
    assert isinstance(beat, float)
    yield f"is counted on its own: {digits(beat)} instructions on aiohttp"


def a_million_requests() -> Iterator[str]:
    """What follows from the table of the same page, which no committed rows hold."""
    text = words_of("docs/distributed.md")
    (best,) = re.findall(r"trivial responder \| [\d.]+ to ([\d.]+) us", text)
    ((least, most),) = re.findall(r"over 64 connections \| (\d+) to (\d+) us", text)
    ((small, large),) = re.findall(r"windows of 3 s, one load \| (\d+) to (\d+) KB", text)
    cores = {us: math.ceil(float(us) / 0.7) for us in (best, least, most)}
    yield (
        f"At {most} us a request and 70 % of a core, beyond which lag grows, a core gives "
        f"{round(0.7e6 / float(most), -3):,.0f} requests a second: {cores[most]} cores. At {least} "
        f"us: {cores[least]}. In a closed loop at its best, {best} us: {cores[best]}. Plan for "
        f"{cores[most]}"
    )
    each = [int(size) / 3 for size in (small, large)]
    hour = [size * 3600 / 1000 for size in each]
    yield f"come {cores[most]} reports, {cores[most] * int(large) / 1000:.0f} MB at most"
    yield (
        f"adds some {each[0]:.0f} to {each[1]:.0f} KB a worker and load, since it is kept by its "
        f"buckets: an hour would be {hour[0]:.0f} to {hour[1]:.0f} MB a worker"
    )
    yield from _messages_of_workers(text, cores[most])
    busy = [math.ceil(count / cores[most]) for count in (1000, 10_000)]
    yield f"at 10 ms 10,000: {busy[0]} or {busy[1]} a worker"
    (ports,) = re.findall(r"Linux has ([\d,]+) by default", text)
    a_second = int(ports.replace(",", "")) / 60
    yield (
        f"rests for 60 s: {a_second:.0f} requests a second and load host. A million a second that "
        f"way would need {1e6 / a_second:,.0f} source addresses"
    )


def _messages_of_workers(text: str, workers: int) -> Iterator[str]:
    """Locust's own, of which each worker sends a heartbeat a second and a report in three."""
    (beat,) = re.findall(r"one a second and worker \| (\d+) bytes", text)
    (report,) = re.findall(r"one in 3 s and worker \| (\d+) bytes", text)
    kilobytes = workers * (int(beat) + int(report) / 3) / 1000
    yield (
        f"During the window {workers} workers send {workers} heartbeats and {workers / 3:.0f} "
        f"small reports a second: {kilobytes:.0f} KB/s"
    )


def stalls_that_are_seeded() -> Iterator[str]:
    """How many were asked of; which of them were right has no rows."""
    asked = len(HOLDS) * stalls.REPEATS * len(stalls.SERVERS)
    yield f"{len(HOLDS)} kinds, {stalls.REPEATS} times each, on four servers"
    yield f"the cause right in 872 of {asked}, the line in 718 of"
    yield f"the cause right in 872 of {asked}, the line in 717 of"


QUOTED: Mapping[str, tuple[Callable[[], Iterator[str]], ...]] = {
    "README.md": (rounds_of_published_runs,),
    "docs/choosing.md": (kinds_of_queues,),
    "docs/slices.md": (equal_servers, intervals_of_the_default_suite),
    "docs/distributed.md": (a_million_requests,),
    "docs/sockets.md": (messages_of_the_yardstick,),
    "docs/streams-uploads-fetch.md": (readers_uploads_and_pages,),
    "docs/regression.md": (
        alarm_of_the_baseline,
        routes_that_are_counted,
        rates_of_the_table,
        figures_that_move_together,
        memory_of_the_baseline,
    ),
    "docs/regression-tried.md": (facts_and_answers, seeded_instructions),
    "docs/stalls.md": (a_hundredth_of_a_request, what_watching_adds, stalls_that_are_seeded),
}


def words_of(document: str) -> str:
    """A document as one line."""
    return " ".join((ROOT / document).read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    ("document", "quote"),
    [(document, quote) for document, quotes in QUOTED.items() for quote in quotes],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_the_document_says_what_the_rows_say(
    document: str, quote: Callable[[], Iterator[str]]
) -> None:
    """Word for word, to the digits that are quoted."""
    text, quoted = words_of(document), list(quote())
    assert quoted
    for words in quoted:
        assert words in text


WITHOUT_ROWS = {
    "docs/choosing.md": ("that no rows are kept of", r"\bdiffered by\b"),
    "docs/distributed.md": ("No rows of them are kept", r"\bwere measured on\b"),
    "docs/regression-tried.md": ("no row holds these figures", r"\bno row\s+holds\b"),
    "docs/stalls.md": ("is no row of the published ones", r"\bSeen on\b"),
}
"""Documents with readings that no committed rows hold: the words in which they say so, and those
that a paragraph with such readings has."""


@pytest.mark.parametrize("document", WITHOUT_ROWS)
def test_readings_without_rows_say_so_and_when_they_were_taken(document: str) -> None:
    """Each such paragraph names the day and the machine."""
    text = (ROOT / document).read_text(encoding="utf-8")
    says_so, mark = WITHOUT_ROWS[document]
    assert says_so in words_of(document)
    readings = [one for one in text.split("\n\n") if re.search(mark, one)]
    assert readings
    for reading in readings:
        assert re.search(r"\b20\d\d-\d\d-\d\d\b", reading), reading
        assert re.search(r"machine|CPU", reading), reading
