"""What the reading half makes of the rows, and can make again."""

from __future__ import annotations

from loopbench.results.schema.columns import key, number, ordinal, reading, table, text

SUMMARY = table(
    "summary",
    "A row a Cell, load and metric: its values over the Rounds in numbers. Made from runs.csv.",
    key("stack", "what was measured"),
    key("scenario", "the load that was offered"),
    key("load", "which of the scenario's loads"),
    key("metric", "name of the column of runs.csv"),
    text("unit", "unit of centre, low, high, lowest and highest; blank: a pure count"),
    ordinal("n", "Rounds that have a value"),
    reading(
        "centre", "20 % trimmed mean over the Rounds; the median below 5 Rounds", required=True
    ),
    reading("low", "begin of the centre's 95 % interval over Rounds; blank below 3 Rounds"),
    reading("high", "end of that interval"),
    reading("lowest", "the lowest value of any Round", required=True),
    reading("highest", "the highest value of any Round", required=True),
    text("reference", "the stack that the ratio is taken to; blank: there is no ratio"),
    ordinal("ratio_n", "Rounds that have both values", required=False),
    number("ratio", "1", "value over the reference's within a Round, centre over the Rounds"),
    number("ratio_low", "1", "begin of the ratio's 95 % interval; blank below 3 Rounds"),
    number("ratio_high", "1", "end of that interval"),
    text(
        "warnings",
        "codes of loopbench.results.schema.warnings that concern this metric, `;` between",
    ),
)

ANSWERS = table(
    "answers",
    "An answer that the published runs have to one of the report's questions, and a row for each "
    "of its details. A report of a run that did not measure it shows it, with where it is from. "
    "Made by `python -m results answers --write`.",
    key("question", "the question, as reports ask it"),
    ordinal("clause", "1: the answer; from 2: its details"),
    key("answer", "what the published run says"),
    key("run", "its folder, below results"),
    text("measured_on", "the day on which it was begun, UTC"),
    text("machine", "the CPU that it was measured on"),
    text("python", "the version of Python that it was measured with"),
)
