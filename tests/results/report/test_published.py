"""A report answers with the published run what its own run did not measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loopbench.results.folder.folder import load
from loopbench.results.report import markdown, why_page
from loopbench.results.report.document import document
from loopbench.results.report.page import html
from loopbench.results.report.questions import published
from loopbench.results.report.questions.questions import QUESTIONS
from loopbench.results.report.write import FORMATS
from loopbench.results.schema import ANSWERS, ENVIRONMENT_FILE, ROOT, read_table
from loopbench.results.stats.summaries.summary import summarise
from loopbench.results.why import costs
from tests.results.examples import golden

pytestmark = pytest.mark.published
NEVER = "What does a version bump change?"
"""Two runs answer it, and no single one."""


def test_the_file_is_what_the_published_runs_say() -> None:
    """Word for word; `make docs` writes it anew."""
    assert list(read_table(published.FOLDER, ANSWERS)) == list(published.rows())


@pytest.mark.parametrize("name", published.RUNS)
def test_the_published_reports_are_what_their_rows_say(
    name: str, generated: Callable[[Path, str], None]
) -> None:
    """In the present words, and drawn as a report of today is."""
    folder = load(ROOT / "results" / name)
    made = document(folder, summarise(folder))
    for suffix, render in FORMATS.items():
        generated(folder.path / f"report.{suffix}", render(made))


def test_the_published_page_of_costs_is_what_its_rows_say(
    generated: Callable[[Path, str], None],
) -> None:
    """As the report beside it."""
    folder = ROOT / "results" / "costs"
    generated(folder / "why.html", why_page.page(costs.read(folder), folder.name))


def test_all_questions_but_one_are_answered() -> None:
    """In every report, if not by its own rows."""
    assert {one.text for one in QUESTIONS} - set(published.read()) == {NEVER}


def test_a_report_says_which_answers_are_not_its_own(tmp_path: Path) -> None:
    """Its own rows come first; a published answer has its date and machine, and the command."""
    folder = load(golden.write(tmp_path / "golden"))
    told = {one.text: one for one in document(folder, summarise(folder)).questions}
    own = told["How much faster is one than the other, and at what?"]
    assert own.source == ()
    uvloop = told["What does uvloop gain?"]
    (row,) = [
        row for row in read_table(published.FOLDER, ANSWERS) if "uvloop" in str(row["question"])
    ][:1]
    assert uvloop.line == (f"{row['answer']}.",)
    last = "".join(map(str, uvloop.source))
    assert f"The published run says so ({row['measured_on']}, {row['machine']}" in last
    assert 'make bench STACKS="aiohttp aiohttp-uvloop" SCENARIOS=async-32' in last
    assert "".join(map(str, told[NEVER].line)).startswith("No version changes within one run. ")


def test_a_person_s_own_application_is_not_answered_for(tmp_path: Path) -> None:
    """Its routes are not those of the published runs."""
    path = golden.write(tmp_path / "golden")
    text = (path / ENVIRONMENT_FILE).read_text()
    (path / ENVIRONMENT_FILE).write_text('{"application": {"target": "a:b"},' + text[1:])
    folder = load(path)
    made = document(folder, summarise(folder))
    told = {one.text: one.line for one in made.questions}
    assert "What does uvloop gain?" not in told


def test_of_an_own_application_only_what_its_rows_answer_is_asked(tmp_path: Path) -> None:
    """The commands for the rest measure the suite's servers, and so do those for other sections."""
    path = golden.write(tmp_path / "golden")
    folder = load(path)
    every = document(folder, summarise(folder))
    text = (path / ENVIRONMENT_FILE).read_text()
    (path / ENVIRONMENT_FILE).write_text('{"application": {"target": "a:b"},' + text[1:])
    folder = load(path)
    own = document(folder, summarise(folder))
    answered = {one.text for one in every.questions if one.answered and not one.source}
    assert {one.text for one in own.questions} == answered
    assert 0 < len(answered) < len(every.questions) == 15
    assert (every.asked, own.asked) == ("Fifteen questions", "Questions that it answers")
    assert every.missing and not own.missing
    for page in (markdown.render(own), html.render(own)):
        assert "Questions that it answers" in page
        assert "Fifteen questions" not in page
        assert "Not measured here" not in page and "Not in this run" not in page
