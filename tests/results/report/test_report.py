"""The report of a folder whose figures are known: sentences, tables, questions, formats."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loopbench.results.folder.folder import load
from loopbench.results.report import markdown, write
from loopbench.results.report.blocks import Code, Link, Text, Words
from loopbench.results.report.outline import SECTIONS
from loopbench.results.report.page import html
from loopbench.results.report.questions.questions import QUESTIONS
from loopbench.results.schema import BEHAVIOUR, RUNS, TABLES, Row
from loopbench.results.stats.summaries.summary import summarise
from tests.conftest import ROOT
from tests.results.examples import report_folder
from tests.results.examples.folders import put
from tests.results.report.reports import Page, made, table, tables

GOLDEN = Path(__file__).parent / "report.golden.md"

REACH = "[3.93–4.07]"
"""Of 4 times e to plus and minus 4.302653 * 0.01 / sqrt(3)."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return report_folder.write(tmp_path / "known")


def _plain(words: Words) -> str:
    return "".join(span.text if isinstance(span, Code | Link) else span for span in words)


def _sentences(folder: Path) -> list[str]:
    answer = made(folder).sections[0]
    assert answer.anchor == "answer"
    return [_plain(part.words) for part in answer.parts if isinstance(part, Text)]


def test_the_answer_is_made_from_the_rows(folder: Path) -> None:
    """Who is faster at what and by how much, the CPU, the blocking call, and what to distrust."""
    first, rates, others, cpu, tail, blocking, distrust = _sentences(folder)
    assert first == (
        "quart-hypercorn answers 0.250x [0.246–0.254] as many requests as aiohttp in async-32."
    )
    assert rates == "Requests/s in async-32: aiohttp 2,000, quart-hypercorn 500 (figures)."
    assert others == (
        "Requests answered in the other closed loops, quart-hypercorn beside aiohttp: from "
        "0.250x [0.246–0.254] in sync-32 to 0.500x [0.491–0.509] in idle-1000; no difference can "
        "be told in cliff-4, cliff-8, cliff-16; a Warning forbids comparing them in waiting-1000 "
        "(figures)."
    )
    assert cpu == (
        "quart-hypercorn spends 5.00x [4.88–5.13] the CPU a request of aiohttp in async-32: "
        "1,000 µs against 200 µs (figures)."
    )
    assert tail == (
        f"quart-hypercorn has 4.00x {REACH} the p99 response time of aiohttp in open-low: "
        "12.0 ms against 3.00 ms (figures)."
    )
    assert blocking == (
        "One call that blocks the loop for 50 ms, 10 times a second, takes the p99 response time "
        "of innocent requests beside it from 2.00 to 100 ms on aiohttp (50.0x [50.0–50.0]) and "
        "from 4.00 to 200 ms on quart-hypercorn (50.0x [50.0–50.0]) (figures)."
    )
    assert distrust == (
        "What to distrust: what is marked generator-limit (1 Cell); with less weight "
        "stop-killed (1 Cell); small differences, since 3 Rounds do not tolerate an outlier "
        "(in words)."
    )


def test_a_difference_that_cannot_be_told_is_not_claimed(folder: Path) -> None:
    """Where the ratio's interval contains 1 no stack is called faster."""
    rows: list[Row] = [
        {**row, "throughput_rps": 1000.0 + 10 * (int(str(row["round"])) - 2) * sign}
        for row in report_folder.run_rows()
        if row["scenario"] == "async-32" and row["stack"] != "asyncio"
        for sign in [1 if row["stack"] == "aiohttp" else -1]
    ]
    put(folder, RUNS, rows)
    said = _sentences(folder)[0]
    assert said.startswith(
        "quart-hypercorn and aiohttp cannot be told apart by their throughput in async-32 "
        "(ratio [0."
    )


def test_two_rounds_rule_out_no_chance(folder: Path) -> None:
    """Below three Rounds no stack is called faster."""
    rows = [row for row in report_folder.run_rows() if row["round"] != 3]
    put(folder, RUNS, rows)
    said = _sentences(folder)
    assert said[0] == (
        "quart-hypercorn answers 0.249x as many requests as aiohttp in async-32 as far as 2 Rounds "
        "can tell."
    )
    assert "everything, since fewer than three Rounds allow no interval" in said[-1]


def test_a_stack_at_the_ceiling_is_not_compared(folder: Path) -> None:
    """In waiting-1000 aiohttp reached what the yardstick reached, so the factor says nothing."""
    rows = [row for row in report_folder.run_rows() if row["scenario"] == "waiting-1000"]
    put(folder, RUNS, rows)
    assert _sentences(folder)[0] == (
        "quart-hypercorn and aiohttp cannot be compared by their throughput in waiting-1000 "
        "(generator-limit)."
    )


def test_one_stack_alone_is_compared_with_nothing(folder: Path) -> None:
    """It is told what it reached, and that no other was measured."""
    rows = [row for row in report_folder.run_rows() if row["stack"] == "aiohttp"]
    put(folder, RUNS, rows)
    assert _sentences(folder)[0] == (
        "aiohttp answers 2,000 requests/s in async-32; no other stack was measured beside it "
        "(figures)."
    )


def test_the_ceiling_is_that_of_the_yardstick(folder: Path) -> None:
    """2,000 of 16,000 are an eighth; at 2,000 of 2,000 the generator was the limit."""
    rows = table(made(folder), "Throughput and CPU per request by scenario and stack")
    place = rows.header.index("of the ceiling")
    shares = {row[:2]: row[place] for row in rows.rows if row[place]}
    assert shares == {
        ("async-32", "aiohttp"): "12%",
        ("async-32", "quart-hypercorn"): "3%",
        ("waiting-1000", "aiohttp"): "100% (limit)",
        ("waiting-1000", "quart-hypercorn"): "50%",
    }


def test_percentiles_are_medians_over_the_rounds(folder: Path) -> None:
    """Of 50, 40, 9 and 1 requests at 1, 2, 4 and 8 ms; Round two takes twice as long, and is the
    median; the slowest of all was in Round three. Requests of several Rounds are not pooled."""
    title = "Response times in ms: the median over the Rounds of each Round's percentile"
    rows = table(made(folder), title).rows
    assert rows[0] == (
        "async-32", "aiohttp", "3", "2.00", "4.00", "8.00", "16.0", "16.0", "32.0"
    )  # fmt: skip
    assert rows[1] == (
        "async-32", "quart-hypercorn", "3", "8.00", "16.0", "32.0", "64.0", "64.0", "128"
    )  # fmt: skip


def test_the_whole_report_is_as_it_should_be(
    folder: Path, generated: Callable[[Path, str], None]
) -> None:
    """Every figure of the known folder, in a golden file that was checked by hand."""
    generated(GOLDEN, markdown.render(made(folder)))


def test_both_formats_hold_the_same_tables(folder: Path) -> None:
    """Cell by cell, in the order of the sections."""
    report = made(folder)
    expected = [[list(one.header), *map(list, one.rows)] for one in tables(report)]
    assert Page(html.render(report)).tables == expected
    written = markdown.render(report)
    for one in tables(report):
        for row in one.rows:
            assert f"| {' | '.join(map(markdown.escaped, row))} |" in written


def test_every_question_has_an_answer_or_a_command(folder: Path) -> None:
    """Fifteen; those that this run can answer lead to a section that is there."""
    report = made(folder)
    anchors = {section.anchor for section in report.sections}
    assert [question.text for question in report.questions] == [one.text for one in QUESTIONS]
    assert len(QUESTIONS) == 15
    for question in report.questions:
        if question.anchor is None:
            assert re.match(r"(Not measured here|No version changes .*)\. $", str(question.line[0]))
            assert any(isinstance(span, Code) for span in question.line)
        else:
            assert question.anchor in anchors
    unanswered = [n for n, one in enumerate(report.questions, start=1) if one.anchor is None]
    assert unanswered == [7, 8, 9, 10, 12, 13, 15]


BEGINS = re.compile(r"(Yes|No|Cannot tell|Not measured here|[0-9][0-9.,]*)\b")


def _answered(folder: Path) -> dict[int, list[str]]:
    report = made(folder)
    return {
        number: [_plain(line) for line in (question.line, *question.details)]
        for number, question in enumerate(report.questions, start=1)
    }


def _seen(
    name: str, asks: str, answer: str, setting: str, stack: str = "aiohttp", python: str = "3.12.1"
) -> Row:
    """A row of behaviour.csv."""
    return {
        **dict.fromkeys(BEHAVIOUR.names),
        "question": name,
        "topic": "a",
        "asks": asks,
        "stack": stack,
        "setting": setting,
        "answer": answer,
        "evidence": "seen",
        "varies": False,
        "took_s": 1.0,
        "versions": "aiohttp 3",
        "python": python,
    }


def test_an_answer_begins_with_yes_no_or_the_number(folder: Path) -> None:
    """Of every question, those about behaviour too; one sentence, and no list of brackets."""
    asked = [
        ("disconnect.plain-await", "Is it cancelled?", "lost, handler cancelled", "FIN"),
        ("disconnect.plain-await", "Is it cancelled?", "saved, handler finished", "half-close"),
        ("disconnect.plain-await", "Is it cancelled?", "lost, handler cancelled", "RST"),
        ("stopping.idle-keep-alive", "Does it hold up?", "stops at once", "default"),
        ("stopping.open-websocket", "And this?", "not answered", "default"),
    ]
    put(folder, BEHAVIOUR, [_seen(*one) for one in asked])
    found = _answered(folder)
    for line, *_ in found.values():
        assert BEGINS.match(line), line
        assert "[" not in re.sub(r"\[[\d.,]+–[\d.,]+\]", "", line), line
        assert ". " not in re.sub(r"^Not measured here\. |\. make regression", "", line), line
    assert found[7] == [
        "Yes: on aiohttp the handler is cancelled and what it saves is lost.",
        "aiohttp (FIN, RST): lost, handler cancelled.",
        "aiohttp (half-close): saved, handler finished.",
    ]
    assert found[10] == [
        (
            "0 of 2 causes that were tried: an idle connection does not; of an open WebSocket "
            "nothing can be told."
        ),
        "an open WebSocket, on aiohttp: not answered.",
        "an idle connection, on aiohttp: stops at once.",
    ]


def test_means_and_stops_are_told_by_stack_and_by_python(folder: Path) -> None:
    """What keeps half of a save does not keep it; a stack may lack a means; a Python is named where
    another stops otherwise; what a setting has before its comma is said once."""
    quart = "quart-hypercorn"
    inside, longer = "stopping.request-ends-inside-grace", "stopping.request-outlives-grace"
    asked = [
        ("disconnect.shield", "a", "half saved, handler cancelled", "FIN"),
        ("disconnect.shield", "a", "saved, handler finished", "on=True, FIN"),
        ("disconnect.shield", "a", "saved, handler finished", "on=True, RST"),
        ("disconnect.background-task", "b", "none", "default"),
        ("disconnect.shield", "a", "saved, handler cancelled", "FIN", quart),
        ("disconnect.background-task", "b", "saved, handler finished", "FIN", quart),
        (inside, "c", "stops with the request, client got 200 with 'done'", "default"),
        (longer, "d", "stops after the grace time, client got 500", "default"),
        (
            longer,
            "d",
            "does not stop within 140 s, client still waits",
            "default",
            "aiohttp",
            "3.13",
        ),
    ]
    put(folder, BEHAVIOUR, [_seen(*one) for one in asked])
    found = _answered(folder)
    assert found[8][:3] == [
        (
            "No on aiohttp, yes on quart-hypercorn: asyncio.shield keeps it on quart-hypercorn and "
            "does not on aiohttp; the framework's own background task keeps it on quart-hypercorn "
            "(aiohttp has none)."
        ),
        "asyncio.shield, on aiohttp (FIN): half saved, handler cancelled.",
        "asyncio.shield, on aiohttp (on=True: FIN, RST): saved, handler finished.",
    ]
    assert found[9][0] == (
        "Yes: where a request ends within the grace time, the server stops when the request has "
        "ended (aiohttp); where it takes longer, it is not finished and the server stops after the "
        "grace time (aiohttp on Python 3.12.1) or does not stop within 140 s (aiohttp on Python "
        "3.13)."
    )


def test_health_checks_survive_where_the_slowest_is_in_time_and_none_failed(folder: Path) -> None:
    """Kubernetes waits a second; the slowest of all Rounds counts, and so does one failure."""
    found = _answered(folder)[6]
    assert found[0].startswith("Yes: beside a handler that computes, the slowest of all other ")
    for column, value, begins in (
        ("response_time_max_ms", 1000.0, "No on aiohttp, yes on quart-hypercorn: "),
        ("failures", 1, "No on aiohttp, yes on quart-hypercorn: "),
    ):
        rows: list[Row] = [
            {**row, column: value}
            if (row["scenario"], row["stack"], row["round"])
            == ("neighbour-burn-sync", "aiohttp", 3)
            and row["load"] == "canary"
            else row
            for row in report_folder.run_rows()
        ]
        put(folder, RUNS, rows)
        assert _answered(folder)[6][0].startswith(begins)
    assert "and 1 of them failed" in _answered(folder)[6][0]


def test_whether_a_difference_holds_is_told_by_the_intervals(folder: Path) -> None:
    """Yes where the ratio elsewhere has a part of its interval in common with the first."""
    assert _answered(folder)[2][0].startswith("Cannot tell: ")  # at the generator's ceiling
    for factor, begin in ((0.25, "Yes: where handlers wait"), (0.5, "No: where handlers wait")):
        rows: list[Row] = [
            {**row, "throughput_rps": 100.0 * factor ** (row["stack"] == "quart-hypercorn")}
            if row["scenario"] == "waiting-1000"
            else row
            for row in report_folder.run_rows()
        ]
        put(folder, RUNS, [row for row in rows if row["stack"] != "asyncio"])
        assert _answered(folder)[2][0].startswith(begin)


def test_what_uvloop_and_the_server_bring_is_read_from_peers(folder: Path) -> None:
    """Stacks that differ in the loop only, or in the server only, answer two more questions."""
    (folder / "environment.json").write_text(
        (folder / "environment.json")
        .read_text()
        .replace('"framework": "Quart"', '"framework": "aiohttp"')
    )
    report = made(folder)
    assert _plain(report.questions[12].line) == (
        "0.250x [0.246–0.254] for quart-hypercorn over aiohttp: the throughput of one framework on "
        "another server, the loop the same, with 32 users at once (async-32)."
    )
    text = (folder / "environment.json").read_text().replace("Hypercorn", "aiohttp")
    at = text.rindex(report_folder.LOOP, 0, text.index('"asyncio": {'))
    (folder / "environment.json").write_text(
        text[:at] + text[at:].replace(report_folder.LOOP, "uvloop.Loop", 1)
    )
    assert _plain(made(folder).questions[11].line) == (
        "0.250x [0.246–0.254] for quart-hypercorn over aiohttp: the throughput with uvloop over "
        "that without it, with 32 users at once (async-32)."
    )


def test_sections_vanish_with_their_rows(folder: Path) -> None:
    """With one column of one scenario only, four sections are left, and the others say what
    they need."""
    rows: list[Row] = [
        {
            name: value
            for name, value in row.items()
            if name in RUNS.names
            and (name == "throughput_rps" or RUNS.columns[RUNS.names.index(name)].required)
        }
        for row in report_folder.run_rows()
        if row["scenario"] == "async-32"
    ]
    put(folder, RUNS, rows)
    for other in TABLES[1:]:
        put(folder, other, [])
    report = made(folder)
    left = [section.anchor for section in report.sections]
    assert left == ["answer", "speed", "warnings", "environment"]
    assert len(report.missing) == len(SECTIONS) - len(left)


def test_a_new_scenario_and_stack_need_no_code(folder: Path) -> None:
    """Rows with names that nothing here knows are in the tables and pictures."""
    rows: list[Row] = [
        {**row, "scenario": "brand-new", "stack": f"new-{row['stack']}"}
        for row in report_folder.run_rows()
        if row["scenario"] == "async-32"
    ]
    put(folder, RUNS, rows)
    found = table(made(folder), "Throughput and CPU per request by scenario and stack")
    assert {row[:2] for row in found.rows} == {
        ("brand-new", f"new-{stack}") for stack in report_folder.STACKS
    }


def test_the_command_measures_the_same_again(folder: Path) -> None:
    """Into a new folder, and with the seed that was drawn."""
    environment = made(folder).sections[-1]
    first = environment.parts[0]
    assert isinstance(first, Text)
    assert first.words == (
        "Measure it again: ",
        Code("python -m loadtests bench --rounds 3 --seed 7"),
    )


def test_the_same_rows_make_the_same_files(folder: Path) -> None:
    """No date, no random id: byte for byte."""
    loaded = load(folder)
    first = [path.read_bytes() for path in write.write(loaded, summarise(loaded))]
    second = [path.read_bytes() for path in write.write(loaded, summarise(loaded))]
    assert first == second


def _report(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "results", "report", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(cwd)},
        capture_output=True,
        check=False,
        text=True,
    )


def test_the_command_prints_what_it_wrote(folder: Path) -> None:
    """Both files by default, and the path of the page."""
    done = _report("known", cwd=folder.parent)
    assert (done.returncode, done.stdout) == (0, "known/report.html\n"), done.stderr
    assert (folder / "report.md").read_text(encoding="utf-8").startswith("# Report of known")
    assert {path.name for path in folder.iterdir() if path.name.startswith(".")} == set()


def test_one_format_can_be_chosen(folder: Path) -> None:
    """Only that file is written."""
    done = _report("known", "--format", "md", cwd=folder.parent)
    assert (done.returncode, done.stdout) == (0, "known/report.md\n"), done.stderr
    assert not (folder / "report.html").exists()


def test_a_folder_that_cannot_be_written_to_is_one_line(folder: Path) -> None:
    """Where something stands in the way of report.html: cause, no traceback, exit status 1."""
    (folder / "report.html").mkdir()
    done = _report("known", cwd=folder.parent)
    assert done.returncode == 1
    assert done.stderr == f"error: cannot write {Path('known/report.html')}: Is a directory\n"
