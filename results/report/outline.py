"""SECTIONS: what a report consists of, in this order. A section appears when its rows are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from loopbench.results.report.blocks import Made, Part, Words, words
from loopbench.results.report.data import Material
from loopbench.results.report.sections import (
    answer,
    behaviour,
    bottleneck,
    costs,
    data,
    environment,
    fetching,
    framework_split,
    lifetime,
    placement,
    pressure,
    request_breakdown,
    response_times,
    stalls,
    throughput,
    timeline,
    warnings,
    websockets,
)
from loopbench.results.schema import how_to, how_to_bench


@dataclass(frozen=True, slots=True)
class Section:
    """parts: makes its parts, none where its rows are missing. needs: those rows, in words."""

    anchor: str
    title: str
    parts: Callable[[Material], Iterable[Part]]
    needs: str


SECTIONS: tuple[Section, ...] = (
    Section("answer", "The answer", answer.parts, "rows of `runs.csv`"),
    Section(
        "stalls",
        "Who held the loop",
        stalls.parts,
        f"stalls, in `stalls.csv`: {how_to_bench()}, where a loop was held for more than 5 ms",
    ),
    Section(
        "speed",
        "Throughput and CPU per request",
        throughput.parts,
        f"throughput or CPU of a closed or an open loop: {how_to_bench()}",
    ),
    Section(
        "split",
        "Is it the framework or the server?",
        framework_split.parts,
        "two stacks that differ in their framework, loop or parser alone: "
        + how_to_bench(stacks="asgi-hypercorn quart-hypercorn"),
    ),
    Section(
        "why",
        "Why a request costs what it costs",
        costs.parts,
        "instructions by function, in `costs.csv`: "
        + how_to("make why OUT=…", "loopbench why --out …"),
    ),
    Section(
        "times",
        "Response time by percentile",
        response_times.parts,
        f"response times, in `histograms.csv` or `runs.csv`: {how_to_bench()}",
    ),
    Section(
        "places",
        "Where it ran",
        placement.parts,
        f"what the probe saw, in `observations.csv` and `runs.csv`: {how_to_bench()}, which has "
        "the probe on unless told otherwise",
    ),
    Section(
        "pressure",
        "Neighbours, the executor's cliff, connections",
        pressure.parts,
        "such scenarios: "
        + how_to_bench(
            scenarios="neighbour-none neighbour-sleep-blocking cliff-4 cliff-16 churn idle-1000"
        ),
    ),
    Section(
        "moving",
        "Streams, uploads, large answers",
        data.parts,
        "such scenarios: "
        + how_to_bench(
            scenarios="stream-100k stream-8m stream-slow stream-stuck upload-1m upload-64m json-1k "
            "json-1m"
        ),
    ),
    Section(
        "fetching",
        "Handlers that fetch",
        fetching.parts,
        "such scenarios: "
        + how_to_bench(
            scenarios="fetch-gather-1 fetch-gather-50 fetch-sequence-1 fetch-sequence-50"
        ),
    ),
    Section(
        "limits",
        "What was the limit",
        bottleneck.parts,
        "scenarios that ask a database: "
        + how_to_bench(scenarios="db-async-1 db-async-32 db-async-256 db-sync-32"),
    ),
    Section(
        "websockets",
        "WebSockets",
        websockets.parts,
        "such scenarios: " + how_to_bench(scenarios="ws-echo-32 ws-connect feed-100"),
    ),
    Section(
        "inside",
        "Where a request's time went",
        request_breakdown.parts,
        f"requests taken apart by the probe: {how_to_bench()}",
    ),
    Section(
        "timeline",
        "Timeline of each Run",
        timeline.parts,
        f"Runs of {timeline.LEAST_SECONDS} seconds or more, of scenarios that are not measured in "
        "Slices: " + how_to_bench(scenarios="waiting-1000", duration="20"),
    ),
    Section(
        "lifetime",
        "Starting and stopping",
        lifetime.parts,
        "times of starting and stopping, in `runs.csv`",
    ),
    Section(
        "behaviour",
        "What the stacks were seen to do",
        behaviour.parts,
        "answers, in `behaviour.csv`: "
        + how_to("make behaviour OUT=…", "loopbench behaviour --out …"),
    ),
    Section("warnings", "Warnings in words", warnings.parts, "nothing"),
    Section("environment", "Environment", environment.parts, "`environment.json` or `plan.json`"),
)


def make(material: Material) -> tuple[tuple[Made, ...], tuple[Words, ...]]:
    """The sections whose rows are there; and of each other one what it needs."""
    made, missing = [], []
    for section in SECTIONS:
        parts = tuple(section.parts(material))
        if parts:
            made.append(Made(section.anchor, section.title, parts))
        else:
            missing.append(words(f"“{section.title}” needs {section.needs}."))
    return tuple(made), tuple(missing)
