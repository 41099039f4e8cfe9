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
        "stalls, in `stalls.csv`: `make bench`, where a loop was held for more than 5 ms",
    ),
    Section(
        "speed",
        "Throughput and CPU per request",
        throughput.parts,
        "throughput or CPU of a closed or an open loop: `make bench`",
    ),
    Section(
        "split",
        "Is it the framework or the server?",
        framework_split.parts,
        "two stacks that differ in their framework, loop or parser alone: "
        '`make bench STACKS="asgi-hypercorn quart-hypercorn"`',
    ),
    Section(
        "why",
        "Why a request costs what it costs",
        costs.parts,
        "instructions by function, in `costs.csv`: `python -m loadtests why --out …`",
    ),
    Section(
        "times",
        "Response time by percentile",
        response_times.parts,
        "response times, in `histograms.csv` or `runs.csv`: `make bench`",
    ),
    Section(
        "places",
        "Where it ran",
        placement.parts,
        "what the probe saw, in `observations.csv` and `runs.csv`: `make bench`, which has the "
        "probe on unless told otherwise",
    ),
    Section(
        "pressure",
        "Neighbours, the executor's cliff, connections",
        pressure.parts,
        'such scenarios: `make bench SCENARIOS="neighbour-none neighbour-sleep-blocking cliff-4 '
        'cliff-16 churn idle-1000"`',
    ),
    Section(
        "moving",
        "Streams, uploads, large answers",
        data.parts,
        'such scenarios: `make bench SCENARIOS="stream-100k stream-8m stream-slow stream-stuck '
        'upload-1m upload-64m json-1k json-1m"`',
    ),
    Section(
        "fetching",
        "Handlers that fetch",
        fetching.parts,
        'such scenarios: `make bench SCENARIOS="fetch-gather-1 fetch-gather-50 fetch-sequence-1 '
        'fetch-sequence-50"`',
    ),
    Section(
        "limits",
        "What was the limit",
        bottleneck.parts,
        "scenarios that ask a database: "
        '`make bench SCENARIOS="db-async-1 db-async-32 db-async-256 db-sync-32"`',
    ),
    Section(
        "websockets",
        "WebSockets",
        websockets.parts,
        'such scenarios: `make bench SCENARIOS="ws-echo-32 ws-connect feed-100"`',
    ),
    Section(
        "inside",
        "Where a request's time went",
        request_breakdown.parts,
        "requests taken apart by the probe: `make bench`",
    ),
    Section(
        "timeline",
        "Timeline of each Run",
        timeline.parts,
        f"Runs of {timeline.LEAST_SECONDS} seconds or more, of scenarios that are not measured in "
        "Slices: `make bench SCENARIOS=waiting-1000 DURATION=20`",
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
        "answers, in `behaviour.csv`: `make behaviour OUT=…`",
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
            missing.append(words(f"{section.title}: this section needs {section.needs}."))
    return tuple(made), tuple(missing)
