"""The forms of what commands print with `--json`, and a document as text.

Each document is one object, and names its form in `schema`. A form changes by new members only; a
member that goes, or means something else, makes a new number behind the name. Columns of CSV files
keep their names, units and meanings. A figure that was not measured is null.

Not among the names of `results.schema`, which servers import too: they need no command line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import click

from loopbench.results.schema.columns import Column, Table, count, flag, key, number, signed, text
from loopbench.results.schema.regression import FINDINGS
from loopbench.results.schema.tables.derived import SUMMARY
from loopbench.results.schema.tables.extra import BEHAVIOUR

Document = Mapping[str, object]

AS_JSON = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON document instead; its form is in results/README.md.",
)


def json_text(document: Document) -> str:
    """As JSON: readable, keys in the order of the document."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True)
class Nested:
    """A member that is no single value: a list of objects, or of texts, or one object.

    table: the objects are rows of it. members: those of each object, where they are not columns of
    the table or have another form than there; a list without either holds texts.
    """

    name: str
    meaning: str
    members: tuple[Column | Nested, ...] = ()
    table: Table | None = None
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Form:
    """What a command prints. command: as one types it, without the option."""

    name: str
    command: str
    meaning: str
    members: tuple[Column | Nested, ...]


def form(name: str, command: str, meaning: str, *members: Column | Nested) -> Form:
    return Form(name, command, meaning, members)


def objects(
    name: str, meaning: str, *members: Column | Nested, table: Table | None = None
) -> Nested:
    """A list of objects."""
    return Nested(name, meaning, members, table)


def single(name: str, meaning: str, *members: Column | Nested) -> Nested:
    """One object."""
    return Nested(name, meaning, members, listed=False)


def texts(name: str, meaning: str) -> Nested:
    """A list of texts."""
    return Nested(name, meaning)


_RUN = key("run", "name of the results folder")
_STACK = key("stack", "what was measured")
_CASE = key("case", "the request: a case of the contract, or of an own application")
_CELL = (
    _STACK,
    key("scenario", "the load that was offered"),
    key("load", "which of the scenario's loads"),
)
_CASE_OF_STACK = (_STACK, _CASE)

SHOW = form(
    "loopbench.show/1",
    "results show",
    "Every Cell and metric of a folder.",
    _RUN,
    text("reference", "the stack that ratios are taken to; null: there is none"),
    text("yardstick", "the stack without a framework; null: none was measured"),
    objects(
        "summaries",
        "the rows of summary.csv",
        texts("warnings", "codes of Warnings that concern this metric"),
        table=SUMMARY,
    ),
    texts("problems", "what could not be read"),
)

COMPARE = form(
    "loopbench.compare/1",
    "results compare",
    "A verdict a Cell and metric, and what was not the same on the two occasions.",
    key("first", "name of the first folder"),
    key("second", "name of the other"),
    objects(
        "conditions",
        "machine, versions, settings and answers that were not the same",
        key("what", "the fact"),
        text("before", "in the first folder; null: not known there"),
        text("after", "in the second, likewise"),
    ),
    objects(
        "comparisons",
        "a verdict each",
        *_CELL,
        key("metric", "name of the column of runs.csv"),
        signed("before", "as `metric` ends", "centre in the first folder"),
        signed("after", "as `metric` ends", "centre in the second"),
        number("ratio", "1", "second over first"),
        number("ratio_low", "1", "begin of its 95 % interval"),
        number("ratio_high", "1", "end of that interval"),
        key("verdict", "faster, slower, less, more, same or cannot tell"),
        text("reason", "why it cannot be told"),
        text("remarks", "Warnings about the figure that leave the verdict, with the folders"),
    ),
    single(
        "only",
        "Cells that the other folder lacks",
        objects("first", "of the first", *_CELL),
        objects("second", "of the second", *_CELL),
    ),
)

LIMITS = form(
    "loopbench.limits/1",
    "results capacity",
    "Of a folder of `make capacity`: the highest rate of each stack at which the objective held.",
    number("percent", "%", "the percentile that the objective is about", required=True),
    number("limit_ms", "ms", "the response time that it is to keep", required=True),
    key("case", "the request"),
    number("wanted_rps", "1/s", "the rate of `--rps`"),
    objects(
        "stacks",
        "a limit each",
        _STACK,
        number("rate_rps", "1/s", "the limit; null: the trials do not tell"),
        number("rate_low", "1/s", "begin of its 95 % interval"),
        number("rate_high", "1/s", "end of that interval"),
        number("ratio", "1", "the limit over the highest one; null: it is that, or not known"),
        number("ratio_low", "1", "begin of its 95 % interval"),
        number("ratio_high", "1", "end of that interval"),
        number("held_rps", "1/s", "the highest rate of a trial that held"),
        number("not_held_rps", "1/s", "the lowest of one that did not"),
        count("trials", "how many there were", required=True),
        count("processes", "so many serve `wanted_rps`"),
        count("queue_threads", "of the queue that is most like the server"),
        number("queue_service_ms", "ms", "how long a request holds a thread of it, on average"),
        number("queue_variation", "1", "standard deviation of that, over the average"),
        number("queue_wait_ms", "ms", "how long a request waits beside it, and holds none"),
        number("queue_likelihood", "1", "of this kind of queue, a share of that of all"),
        flag(
            "queue_fits",
            "false: no kind of queue fits the trials, and the interval is wider for it",
        ),
        number("stolen_share", "1", "for which the hypervisor had its CPUs, in the middle trial"),
        number("others_share", "1", "for which other programs had, while it was ready to run"),
        text("reason", "why there is no limit"),
    ),
)

CAPACITY = form(
    "loopbench.capacity/1",
    "results capacity --rps RATE",
    "Of a bench: how many processes a rate needs, estimated from its open loops.",
    number("wanted_rps", "1/s", "the rate of `--rps`", required=True),
    number("p99_bound_ms", "ms", "the bound of `--slo-ms`"),
    objects(
        "stacks",
        "an estimate each",
        _STACK,
        count("processes", "so many serve `wanted_rps`"),
        number("per_process_rps", "1/s", "what one process can hold"),
        number("process_bytes", "bytes", "resident memory before the load"),
        number("connection_bytes", "bytes", "what an idle connection adds"),
        objects(
            "offered",
            "the rates that were offered",
            key("scenario", "the open loop"),
            number("rate_rps", "1/s", "its rate", required=True),
            number("p99_ms", "ms", "response time"),
            number("cpu_us", "us", "CPU time a request"),
            number("utilisation", "1", "of one CPU, by all processes together"),
            count("processes", "how many server processes shared the rate", required=True),
            key("why_not", "why the stack did not hold it; blank: it held"),
            flag("held", "whether it held", required=True),
        ),
    ),
)

ANSWERS_OF_STACKS = form(
    "loopbench.behaviour/1",
    "results behaviour",
    "What each stack was seen to do.",
    _RUN,
    objects("answers", "the rows of behaviour.csv", table=BEHAVIOUR),
    texts("problems", "what could not be read"),
)

WHY = form(
    "loopbench.why/1",
    "results why",
    "What the instructions of a request go to; they add up to it.",
    _RUN,
    key("by", "what `groups` are, as `--by` has it"),
    objects(
        "totals",
        "of whole requests",
        *_CASE_OF_STACK,
        key("python", "version of the interpreter that served"),
        count("requests", "requests in one count", required=True),
        count("repeats", "counts, each in a fresh process", required=True),
        number("instructions", "1", "a request, trampolines included", required=True),
        number("spread", "1", "range of the counts, as a share of the least"),
        number("plain_instructions", "1", "as in cost_totals.csv"),
        key("versions", "the stack's packages; blank: not known"),
    ),
    objects(
        "groups",
        "own instructions by group, the dearest first",
        *_CASE_OF_STACK,
        key("name", "the group"),
        number("instructions", "1", "a request", required=True),
        number("share", "1", "of all of the request", required=True),
    ),
    objects(
        "phases",
        "own instructions by phase of the request",
        *_CASE_OF_STACK,
        key("phase", "such as routing"),
        number("instructions", "1", "a request", required=True),
    ),
    objects(
        "differences",
        "with `--between` or `--against`: the groups of two stacks side by side, the largest "
        "difference first",
        _CASE,
        key("first", "a stack"),
        key("second", "the other"),
        key("name", "the group"),
        number("first_instructions", "1", "a request; 0: it has none", required=True),
        number("second_instructions", "1", "likewise", required=True),
    ),
    objects(
        "functions",
        "with `--phase`: the functions that work in it",
        *_CASE_OF_STACK,
        key("function", "dotted name"),
        number("calls", "1", "entries a request", required=True),
        number("instructions", "1", "own, a request", required=True),
    ),
    objects(
        "samples",
        "of functions where CPU time was sampled, too: both shares, the largest first",
        *_CASE_OF_STACK,
        key("function", "dotted name"),
        number("time", "1", "share of the samples", required=True),
        number("instructions", "1", "share of the instructions", required=True),
        number("kernel", "1", "of its samples, those from the kernel; null: not known"),
        flag(
            "apart", "whether either is above 0.05 and they differ by more than 0.05", required=True
        ),
    ),
    texts("problems", "what could not be read"),
)

REGRESSION = form(
    "loopbench.regression/1",
    "results regression",
    "The verdict, and all that was found. The exit status is the same as without the option.",
    _RUN,
    count("exit_status", "0 no regression, 1 regression, 2 cannot tell", required=True),
    key("headline", "the verdict in a line"),
    single(
        "settings",
        "what it was judged by",
        number("instructions", "1", "growth from which on a route regressed", required=True),
        number("floor", "1", "slowdowns below it are none", required=True),
        number("ruled_out", "1", "the slowdown that has to be ruled out", required=True),
        number("alpha", "1", "false alarms of the time layer", required=True),
    ),
    objects("findings", "the rows of regression.csv", table=FINDINGS),
    texts("not_judged", "what the verdict says nothing about, and how to have it judged"),
    texts("files", "what was written into the folder"),
)

SCENARIOS = form(
    "loopbench.scenarios/1",
    "loadtests list",
    "The loads that can be offered.",
    objects(
        "scenarios",
        "in the order of the list",
        key("name", "as `--scenario` takes it"),
        key("asks", "what it answers"),
        flag("default", "whether it is measured unless others are named", required=True),
        objects(
            "loads",
            "what is offered at the same time",
            key("name", "`main` where there is one"),
            key("case", "name of the contract's case"),
            key("method", "of the request"),
            key("target", "path and query"),
            key("load_model", "as in runs.csv"),
            key("described", "the load model in words"),
        ),
    ),
)

STACKS = form(
    "loopbench.stacks/1",
    "servers list",
    "The servers, and which of them can run here.",
    objects(
        "stacks",
        "in the order of the list",
        key("name", "as `--stack` takes it"),
        key("framework", "with which the application is written"),
        key("server", "on which it runs"),
        key("loop", "the event loop"),
        key("summary", "what it is, in words"),
        flag("core", "whether it is measured unless others are named", required=True),
        flag("runs_here", "whether its packages are installed", required=True),
        text("obstacle", "why it cannot run here, with the remedy"),
        texts("lacks", "cases of the contract that it does not answer"),
    ),
)

FORMS: tuple[Form, ...] = (
    *(SHOW, COMPARE, LIMITS, CAPACITY, ANSWERS_OF_STACKS),
    *(WHY, REGRESSION, SCENARIOS, STACKS),
)
