"""behaviour.csv in the article, in the report and in the index of questions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loopbench.results.errors import ResultsError
from loopbench.results.folder import behaviour_answers
from loopbench.results.report.behaviour_article import INDEX, article, pages, prose
from loopbench.results.report.blocks import Bullets, Code, Link, Table
from loopbench.results.schema import BEHAVIOUR, Row
from tests.conftest import ROOT
from tests.forked import Program
from tests.results.examples import report_folder
from tests.results.examples.folders import put
from tests.results.report.reports import made


def _row(stack: str, setting: str, answer: str, python: str = "3.11.7", **more: str | bool) -> Row:
    return {
        "question": "disconnect.plain-await",
        "topic": "Disconnect",
        "asks": "Is a save finished whose client leaves?",
        "stack": stack,
        "setting": setting,
        "answer": answer,
        "evidence": f"seen on {python}",
        "varies": False,
        "took_s": 0.5,
        "versions": f"{stack} 1.0",
        "python": python,
        **more,
    }


ROWS = (
    _row("aiohttp", "FIN", "saved", "3.13.0"),
    _row("aiohttp", "FIN", "saved"),
    _row(
        "aiohttp",
        "handler_cancellation=True, FIN",
        "lost",
        commonly_said="aiohttp cancels handlers.",
        agrees="yes",
    ),
    _row(
        "quart-hypercorn",
        "FIN",
        "lost",
        commonly_said="Quart finishes what it began.",
        agrees="no",
        follows="Shield what must be finished.",
    ),
    _row("quart-hypercorn", "RST", "lost", "3.11.7"),
    _row("quart-hypercorn", "RST", "<b>half*", "3.13.0", varies=True),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(tmp_path, BEHAVIOUR, ROWS)
    return tmp_path


def test_answers_of_several_pythons_are_one_where_they_agree(folder: Path) -> None:
    """And are told by Python where they do not, the oldest first."""
    questions, problems = behaviour_answers.read(folder)
    assert problems == []
    (question,) = questions
    assert [(one.label, one.answer) for one in question.asked] == [
        ("aiohttp, FIN", "saved"),
        ("aiohttp, handler_cancellation=True, FIN", "lost"),
        ("quart-hypercorn, FIN", "lost"),
        ("quart-hypercorn, RST", "lost (Python 3.11.7); <b>half* (Python 3.13.0)"),
    ]
    assert question.asked[0].evidence == "seen on 3.13.0"
    assert behaviour_answers.pythons(questions) == ("3.11.7", "3.13.0")
    assert behaviour_answers.versions(questions) == ("aiohttp 1.0", "quart-hypercorn 1.0")


def test_the_article_says_claim_answer_and_what_follows(folder: Path) -> None:
    """Text from rows stays text."""
    text = article(behaviour_answers.read(folder)[0])
    assert "1 questions" in text
    assert "### Is a save finished whose client leaves?" in text
    assert "- aiohttp (`FIN`): **saved**. Seen on 3.13.0." in text
    assert "> Commonly said of aiohttp: aiohttp cancels handlers. That is so here." in text
    assert (
        "> Commonly said of quart-hypercorn: Quart finishes what it began. That is not so" in text
    )
    assert "*What follows (quart-hypercorn):* Shield what must be finished." in text
    assert "- “Quart finishes what it began.” **Not so:** quart-hypercorn (`FIN`): lost." in text
    assert "&lt;b&gt;half\\*" in text
    assert "(it varies)" in text


def test_a_claim_that_is_wrong_on_one_python_has_the_answer_of_that_python(tmp_path: Path) -> None:
    """Whichever it is, the newest or an older one; article and report alike."""
    claims = {"eager": ("", "no"), "late": ("no", "yes"), "never": ("no", "no")}
    for setting, by_python in claims.items():
        rows = (
            _row(
                "aiohttp", setting, f"seen on {python}", python, commonly_said="So.", agrees=agrees
            )
            for python, agrees in zip(("3.11.7", "3.13.0"), by_python, strict=True)
        )
        put(report_folder.write(tmp_path / setting), BEHAVIOUR, rows)
    told = {
        "eager": "seen on 3.13.0 (Python 3.13.0)",
        "late": "seen on 3.11.7 (Python 3.11.7)",
        "never": "seen on 3.11.7 (Python 3.11.7); seen on 3.13.0 (Python 3.13.0)",
    }
    verdicts = {
        "eager": "That is not so here.",
        "late": "It is so with `late` (Python 3.13.0), not so with `late` (Python 3.11.7).",
        "never": "That is not so here.",
    }
    for setting, answer in told.items():
        text = article(behaviour_answers.read(tmp_path / setting)[0])
        assert f"- “So.” **Not so:** aiohttp (`{setting}`): {answer}. [" in text
        assert f"> Commonly said of aiohttp: So. {verdicts[setting]}\n" in text
        (section,) = (one for one in made(tmp_path / setting).sections if one.anchor == "behaviour")
        (bullets,) = (part for part in section.parts if isinstance(part, Bullets))
        assert bullets.items == ((f"“So.” not so: aiohttp ({setting}): {answer}.",),)


def test_what_a_claim_has_between_backticks_is_code(tmp_path: Path) -> None:
    """In the report, where these pair; a single one stays what it is."""
    claims = {"Use `a`, not `b`.": ("a", "b"), "One ` alone.": ()}
    rows = (
        _row("aiohttp", setting, "lost", commonly_said=said, agrees="no")
        for said, setting in zip(claims, ("FIN", "RST"), strict=True)
    )
    put(report_folder.write(tmp_path / "run"), BEHAVIOUR, rows)
    (section,) = (one for one in made(tmp_path / "run").sections if one.anchor == "behaviour")
    (bullets,) = (part for part in section.parts if isinstance(part, Bullets))
    code = tuple(
        tuple(span.text for span in line if isinstance(span, Code)) for line in bullets.items
    )
    assert code == tuple(claims.values())
    texts = ["".join(str(getattr(span, "text", span)) for span in line) for line in bullets.items]
    assert texts == [
        "“Use a, not b.” not so: aiohttp (FIN): lost.",
        "“One ` alone.” not so: aiohttp (RST): lost.",
    ]


def test_the_command_prints_the_article(folder: Path, results: Program) -> None:
    """Into a file where one is named; what cannot be read or written is one line."""
    told = results.run("behaviour", str(folder))
    assert told.out == article(behaviour_answers.read(folder)[0])
    told = results.run("behaviour", str(folder), "--out", str(folder / "out.md"))
    assert told.status == 0
    assert (folder / "out.md").read_text() == article(behaviour_answers.read(folder)[0])
    nowhere = folder / "missing" / "out.md"
    refused = results.run("behaviour", str(folder), "--out", str(nowhere))
    assert refused.status == 1
    assert refused.err == f"error: cannot write {nowhere}: No such file or directory\n"
    (folder / BEHAVIOUR.filename).unlink()
    refused = results.run("behaviour", str(folder))
    assert refused.status == 1
    assert refused.err.startswith("error: ")
    assert "make behaviour" in refused.err
    with pytest.raises(ResultsError):
        behaviour_answers.read(folder)


def test_the_report_tells_the_answers(tmp_path: Path) -> None:
    """A section with the claims that do not hold and a table a topic; the index answers too."""
    folder = report_folder.write(tmp_path / "known")
    without = made(folder)
    assert "behaviour" not in [section.anchor for section in without.sections]
    put(folder, BEHAVIOUR, ROWS)
    report = made(folder)
    (section,) = (one for one in report.sections if one.anchor == "behaviour")
    (claims,) = (part for part in section.parts if isinstance(part, Bullets))
    assert claims.items == (
        ("“Quart finishes what it began.” not so: quart-hypercorn (FIN): lost.",),
    )
    (table,) = (part for part in section.parts if isinstance(part, Table))
    assert table.title == "Disconnect"
    assert [row[1:] for row in table.rows] == [
        ("aiohttp", "FIN", "saved", ""),
        ("aiohttp", "handler_cancellation=True, FIN", "lost", "so"),
        ("quart-hypercorn", "FIN", "lost", "not so"),
        ("quart-hypercorn", "RST", "lost (Python 3.11.7); <b>half* (Python 3.13.0)", ""),
    ]
    lines = {
        question.text: [
            "".join(span.text if isinstance(span, Code | Link) else span for span in line)
            for line in (question.line, *question.details)
        ]
        for question in report.questions
    }
    assert lines["Is my handler cancelled when the client leaves?"] == [
        "No: on aiohttp what it saves is kept; on quart-hypercorn what it saves is lost.",
        "aiohttp (FIN): saved.",
        "aiohttp (handler_cancellation=True: FIN): lost.",
        "quart-hypercorn (FIN): lost.",
        "quart-hypercorn (RST): lost (Python 3.11.7); <b>half* (Python 3.13.0).",
    ]
    assert lines["Can I protect a write from that?"][0].startswith("Not measured here.")


def test_code_in_a_sentence_is_code_and_nothing_else_is_markup() -> None:
    """Backticks come in pairs, or are text."""
    assert prose("call `a_b()` *now*") == "call `a_b()` \\*now\\*"
    assert prose("one ` alone") == "one \\` alone"


def test_equal_answers_stand_together(tmp_path: Path) -> None:
    """With all their settings, and the first one's evidence."""
    put(
        tmp_path,
        BEHAVIOUR,
        (
            _row("aiohttp", setting, answer)
            for setting, answer in (("default", "yes"), ("FIN", "no"), ("RST", "yes"))
        ),
    )
    text = article(behaviour_answers.read(tmp_path)[0])
    assert "- aiohttp (by default; `RST`): **yes**. Seen on 3.11.7." in text
    assert "- aiohttp (`FIN`): **no**. Seen on 3.11.7." in text


def test_the_published_article_is_up_to_date(generated: Callable[[Path, str], None]) -> None:
    """The pages of docs/behaviour are made from the published rows, and there is no other."""
    published = behaviour_answers.read(ROOT / "results" / "reference")
    assert published[1] == []
    made = pages(published[0])
    folder = ROOT / "docs" / "behaviour"
    for name, text in made.items():
        generated(folder / name, text)
    assert {path.name for path in folder.iterdir()} == set(made)


def test_a_page_a_topic_says_all_that_the_article_says(folder: Path) -> None:
    """Each question on the page of its topic, each wrong claim in the index with a link to it."""
    questions = behaviour_answers.read(folder)[0]
    made = pages(questions)
    whole = article(questions)
    for question in questions:
        anchor = question.name.replace(".", "-")
        page = f"{question.topic.lower().replace(' ', '-')}.md"
        assert f'<a id="{anchor}"></a>' in made[page]
        assert made[INDEX].count(f"]({page}#{anchor})") == whole.count(f"](#{anchor})")
    assert sum(text.count("<a id=") for text in made.values()) == whole.count("<a id=")
