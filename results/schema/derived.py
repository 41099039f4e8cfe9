"""What the reading half makes of the rows, and can make again."""

from __future__ import annotations

from loopbench.results.schema.columns import Column, Kind, Table, number, reading, text

SUMMARY = Table(
    "summary",
    "A row a Cell, load and metric: its values over the Rounds in numbers. Made from runs.csv.",
    (
        text("stack", "what was measured", required=True),
        text("scenario", "the load that was offered", required=True),
        text("load", "which of the scenario's loads", required=True),
        text("metric", "name of the column of runs.csv", required=True),
        text("unit", "unit of centre, low, high, lowest and highest; blank: a pure count"),
        Column("n", Kind.INTEGER, "", "Rounds that have a value", True, 1),
        reading("centre", "20 % trimmed mean over the Rounds; the median below 5 Rounds", True),
        reading("low", "begin of the centre's 95 % interval over Rounds; blank below 3 Rounds"),
        reading("high", "end of that interval"),
        reading("lowest", "the lowest value of any Round", True),
        reading("highest", "the highest value of any Round", True),
        text("reference", "the stack that the ratio is taken to; blank: there is no ratio"),
        Column("ratio_n", Kind.INTEGER, "", "Rounds that have both values", False, 1),
        number("ratio", "1", "value over the reference's within a Round, centre over the Rounds"),
        number("ratio_low", "1", "begin of the ratio's 95 % interval; blank below 3 Rounds"),
        number("ratio_high", "1", "end of that interval"),
        text(
            "warnings",
            "codes of loopbench.results.schema.warnings that concern this metric, `;` between",
        ),
    ),
)

ANSWERS = Table(
    "answers",
    "An answer that the published runs have to one of the report's questions, and a row for each "
    "of its details. A report of a run that did not measure it shows it, with where it is from. "
    "Made by `python -m results answers --write`.",
    (
        text("question", "the question, as reports ask it", required=True),
        Column("clause", Kind.INTEGER, "", "1: the answer; from 2: its details", True, 1),
        text("answer", "what the published run says", required=True),
        text("run", "its folder, below results", required=True),
        text("measured_on", "the day on which it was begun, UTC"),
        text("machine", "the CPU that it was measured on"),
        text("python", "the version of Python that it was measured with"),
    ),
)
