"""Which experiments are asked, in which order and how often; their rows; the command."""

from __future__ import annotations

import asyncio
import inspect
import re
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import BadHttpMethod
from aiohttp.http_parser import HttpRequestParserC, HttpRequestParserPy
from aiohttp.web_protocol import RequestHandler
from click.testing import CliRunner
from hypercorn import Config

from loopbench.loadtests.behaviour.framework import scheduler
from loopbench.loadtests.behaviour.framework.catalogue import TOPICS, Asked, experiments
from loopbench.loadtests.behaviour.framework.command import askable, behaviour
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Key,
    Outcome,
    Question,
)
from loopbench.loadtests.behaviour.framework.rows import (
    NOT_ANSWERED,
    PACKAGES,
    row_of,
    write,
    written,
)
from loopbench.loadtests.errors import HarnessError
from loopbench.results.schema import BEHAVIOUR
from loopbench.servers.stacks import CORE
from tests.conftest import ROOT

QUESTIONS = {one.name: one.question for one in experiments().values()}


def test_every_question_asks_both_core_stacks() -> None:
    """Every topic has questions, and they have an experiment on each of the two."""
    found = QUESTIONS
    assert {name.partition(".")[0] for name in found} == set(TOPICS)
    for name, question in found.items():
        assert {experiment.stack for experiment in question.experiments} >= set(CORE), name
        assert question.asks.endswith("?"), name


def test_a_stack_that_is_not_installed_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """With a line; an error where no other is asked. The wheel's own packages hold the core ones
    only."""
    every = list(experiments().values())
    packages = {**PACKAGES, "flask-gthread": ("flask", "no-such-server")}
    asked = {one.experiment.stack for one in askable(every, packages)}
    assert asked == set(PACKAGES) - {"flask-gthread"}
    note = "not installed, so not asked: flask-gthread needs no-such-server ("
    assert capsys.readouterr().err.startswith(f"note: {note}")
    only = [one for one in every if one.experiment.stack == "flask-gthread"]
    with pytest.raises(HarnessError, match=re.escape(note)):
        askable(only, packages)


def test_the_report_asks_for_questions_that_there_are() -> None:
    """Its index names some of them; the reading half cannot import them."""
    source = (ROOT / "results" / "report" / "questions" / "questions.py").read_text()
    named = re.findall(r'Asks\("([^"]+)"', source)
    assert len(named) >= 4
    assert set(named) <= QUESTIONS.keys()


def test_claims_and_advice_are_about_somebody() -> None:
    """A claim names stacks and settings that are asked, at most one claim for each."""
    for name, question in QUESTIONS.items():
        asked = {(one.stack, one.setting) for one in question.experiments}
        for claim in question.claims:
            met = [(stack, setting) for stack, setting in asked if claim.is_about(stack, setting)]
            assert {stack for stack, _ in met} == set(claim.of), name
            assert {setting for _, setting in met} >= set(chain(*claim.of.values())), name
        for stack, setting in asked:
            about = [claim.statement for claim in question.claims if claim.is_about(stack, setting)]
            assert len(about) <= 1, (name, stack, setting)


def test_advice_names_defaults_that_the_frameworks_have() -> None:
    """Those that are too long to be waited for, beside the one of `web.run_app`."""
    runner, run_app = (
        inspect.signature(takes).parameters["keepalive_timeout"].default
        for takes in (RequestHandler, web.run_app)
    )
    open_still = QUESTIONS["parsing.half-sent-head"].advice("open after 30 s")
    assert f"`AppRunner` has {runner:,} s by default, `web.run_app` {run_app:g} s" in open_still
    finished = QUESTIONS["background.blocking-cleanup"].advice("finished, the stop is clean")
    assert f"(`shutdown_timeout`, {Config().shutdown_timeout:g} s by default)" in finished


def test_aiohttps_parser_in_python_takes_a_method_that_the_one_in_c_refuses() -> None:
    """As the advice about unknown methods says."""
    head = b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n"
    with closing(asyncio.new_event_loop()) as loop:
        in_python, in_c = (
            parser(BaseProtocol(loop), loop, 2**16)
            for parser in (HttpRequestParserPy, HttpRequestParserC)
        )
        ((message, _),), _, _ = in_python.feed_data(head)
        assert message.method == "FOO"
        with pytest.raises(BadHttpMethod):
            in_c.feed_data(head)


def test_the_same_setting_is_asked_once() -> None:
    """Rows are known by question, stack and setting; `experiments` raises for two alike."""
    assert len(experiments()) >= 2 * len(QUESTIONS)


QUESTION = Question(
    asks="Is it so?",
    experiments=(
        Experiment("aiohttp", "default", lambda: Answer("", "")),
        Experiment("quart-hypercorn", "default", lambda: Answer("", "")),
    ),
    claims=(Claim("It is so.", {"yes*": Agrees.YES, "no": Agrees.NO}, {"aiohttp": ()}),),
    follows={"yes*": "Rely on it."},
)
FIRST, SECOND = (Asked("order", "order.so", QUESTION, one) for one in QUESTION.experiments)


@pytest.mark.parametrize(
    ("patterns", "stacks"),
    [
        (("flask-*",), {"flask-dev", "flask-gthread", "flask-waitress"}),
        (("flask-dev", "quart-*"), {"flask-dev", "quart-hypercorn"}),
    ],
)
def test_questions_and_stacks_are_chosen_by_name_or_pattern(
    patterns: tuple[str, ...], stacks: set[str]
) -> None:
    """A question is listed where one of the stacks that fit has a row of it."""
    words = ["dispatch.*", "--list", *(f"--stack={pattern}" for pattern in patterns)]
    done = CliRunner().invoke(behaviour, words)
    meant = {name for name, stack, _ in experiments() if stack in stacks}
    listed = {line.split()[0] for line in done.output.splitlines()}
    assert listed == {name for name in meant if name.startswith("dispatch.")}
    assert "dispatch.flask-threads" in listed


def test_a_pattern_that_fits_nothing_is_a_usage_error() -> None:
    """It names the kind, and what is nearest to it."""
    done = CliRunner().invoke(behaviour, ["--list", "--stack=aihttp"])
    assert done.exit_code == 2
    assert "unknown stack 'aihttp'; did you mean aiohttp?\n" in done.output


def _outcome(answer: str | None) -> Outcome:
    said = None if answer is None else Answer(answer, "was seen")
    return Outcome(said, "" if said else "cut after 1 s", 0.25, "", waited_s=0.0)


@pytest.mark.parametrize(
    ("asked", "answer", "agrees", "follows"),
    [
        (FIRST, "yes, always", "yes", "Rely on it."),
        (FIRST, "no", "no", None),
        (FIRST, "perhaps", None, None),
        (FIRST, None, None, None),
        (SECOND, "yes", None, "Rely on it."),
    ],
)
def test_a_row_follows_from_its_outcome(
    asked: Asked, answer: str | None, agrees: str | None, follows: str | None
) -> None:
    """Verdict and advice go with the answer; without an answer there is neither."""
    row = row_of(asked, _outcome(answer))
    assert row["answer"] == (answer or NOT_ANSWERED)
    assert row["evidence"] == ("was seen" if answer else "cut after 1 s")
    assert row["agrees"] == agrees
    assert (row["follows"] or None) == follows
    assert row["topic"] == "Order"
    assert str(row["versions"]).startswith("aiohttp " if asked is FIRST else "quart ")


def test_a_range_bears_nothing_out() -> None:
    """An answer that cannot be told has neither verdict nor advice, whatever is named in it."""
    claims = (Claim("It is so.", {"*yes": Agrees.YES}, {"aiohttp": ()}),)
    question = Question("Is it so?", QUESTION.experiments, claims, {"*yes": "Rely on it."})
    asked = Asked("order", "order.so", question, QUESTION.experiments[0])
    certain, range_ = (row_of(asked, _outcome(text)) for text in ("yes", "cannot tell: no or yes"))
    assert (certain["agrees"], certain["follows"]) == ("yes", "Rely on it.")
    assert (range_["agrees"], range_["follows"]) == (None, None)
    assert range_["answer"] == "cannot tell: no or yes"


def test_rows_replace_those_of_the_same_python_only(tmp_path: Path) -> None:
    """They stand in the order of the questions; those of questions that are no more go."""
    old = {**row_of(SECOND, _outcome("no")), "python": "3.9.1"}
    gone = {**row_of(FIRST, _outcome("no")), "question": "order.gone"}
    order = [FIRST.key, SECOND.key]
    write(
        tmp_path,
        [old, gone, row_of(SECOND, _outcome("no"))],
        [*order, ("order.gone", *FIRST.key[1:])],
    )
    assert len(written(tmp_path)) == 3
    write(tmp_path, [row_of(SECOND, _outcome("yes")), row_of(FIRST, _outcome("no"))], order)
    assert [
        (row["stack"], row["python"] == "3.9.1", row["answer"]) for row in written(tmp_path)
    ] == [
        ("aiohttp", False, "no"),
        ("quart-hypercorn", True, "no"),
        ("quart-hypercorn", False, "yes"),
    ]
    assert [path.name for path in tmp_path.iterdir()] == [BEHAVIOUR.filename]


class Listening:
    """Stands for a nursery, and notes what is begun."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.most = 0
        self._under_way: list[Key] = []

    def begin(self, key: Key, bound_s: float) -> None:
        self.begun.append(key[2])
        self._under_way.append(key)
        self.most = max(self.most, len(self._under_way))

    def next(self) -> tuple[Key, Outcome]:
        return self._under_way.pop(), _outcome("yes")


def _asked(setting: str, bound_s: float, alone: bool = False, waits: bool = False) -> Asked:
    run = partial(Answer, "", "")
    experiment = Experiment("aiohttp", setting, run, bound_s, alone, alone, waits)
    return Asked("order", "order.so", QUESTION, experiment)


def test_all_are_asked_the_long_ones_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that must be alone come last, one after another."""
    listening = Listening()
    monkeypatch.setattr(scheduler, "Nursery", lambda: nullcontext(listening))

    wanted = [_asked("alone 1", 99.0, True), _asked("alone 2", 9.0, True)]
    wanted += [_asked("short", 1.0), _asked("long", 50.0)]
    done = [one.experiment.setting for one, _ in scheduler.ask_all(wanted)]
    assert listening.begun == ["long", "short", "alone 1", "alone 2"]
    assert done == ["short", "long", "alone 1", "alone 2"]
    assert listening.most == 2


def test_what_waits_for_minutes_keeps_nothing_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It computes nothing meanwhile; what computes is waited for."""
    begun: list[tuple[str, list[str]]] = []

    class Beside(Listening):
        def begin(self, key: Key, bound_s: float) -> None:
            begun.append((key[2], [under_way[2] for under_way in self._under_way]))
            super().begin(key, bound_s)

        def next(self) -> tuple[Key, Outcome]:
            """What waits comes last."""
            return self._under_way.pop(), _outcome("yes")

    monkeypatch.setattr(scheduler, "Nursery", lambda: nullcontext(Beside()))
    wanted = [
        _asked("waits", 80.0, waits=True),
        _asked("computes", 9.0),
        _asked("alone", 5.0, True),
    ]
    list(scheduler.ask_all(wanted))
    assert begun == [("waits", []), ("computes", ["waits"]), ("alone", ["waits"])]


def test_what_waits_for_minutes_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: as many others are under way at once as without them."""
    listening = Listening()
    monkeypatch.setattr(scheduler, "Nursery", lambda: nullcontext(listening))
    many = 2 * scheduler.TOGETHER
    wanted = [_asked(f"waits {number}", 80.0, waits=True) for number in range(many)]
    wanted += [_asked(f"computes {number}", 9.0) for number in range(many)]
    assert len(list(scheduler.ask_all(wanted))) == 2 * many
    assert listening.most == many + scheduler.TOGETHER


@pytest.mark.parametrize(
    ("answers", "said", "varies", "left"),
    [
        (("a", "a", "x"), "a", False, 1),
        (("a", "b", "b", "x"), "b", False, 1),
        (("a", "b", "a", "b", "a", "x"), "cannot tell: a or b", True, 1),
        (("a", None, "x"), None, False, 1),
    ],
)
def test_a_disturbed_answer_is_asked_for_until_it_repeats(
    answers: tuple[str | None, ...], said: str | None, varies: bool, left: int
) -> None:
    """Twice in a row, of at most five; else it is a range, which says that it is one."""
    outcomes: list[Outcome] = []
    waiting, outcome = list(answers), None
    while outcome is None:
        outcomes.append(replace(_outcome(waiting.pop(0)), waited_s=9.0))
        outcome = scheduler.settled(outcomes)
    if said is None:
        assert outcome.answer is None
    else:
        assert outcome.answer is not None
        assert (outcome.answer.answer, outcome.answer.varies) == (said, varies)
    assert len(waiting) == left


@pytest.mark.parametrize(
    ("waited_s", "varies", "times"),
    [(0.0, False, 1), (9.0, False, 2), (None, False, 2), (9.0, True, 1)],
)
def test_only_what_waited_for_a_cpu_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, waited_s: float | None, varies: bool, times: int
) -> None:
    """So is what cannot tell how long it waited; not what varies by itself."""

    class Waiting(Listening):
        def next(self) -> tuple[Key, Outcome]:
            said = Answer("yes", "was seen", varies)
            return self._under_way.pop(), Outcome(said, "", 0.25, "", waited_s=waited_s)

    waiting = Waiting()
    monkeypatch.setattr(scheduler, "Nursery", lambda: nullcontext(waiting))
    experiment = Experiment("aiohttp", "default", lambda: Answer("", ""), sensitive=True)
    ((_, outcome),) = scheduler.ask_all([Asked("order", "order.so", QUESTION, experiment)])
    assert outcome.answer is not None and outcome.answer.answer == "yes"
    assert len(waiting.begun) == times


def test_the_example_of_a_new_question_is_one_that_is_asked() -> None:
    """What CONTRIBUTING.md shows stands in the code and in the texts, line for line."""
    shown = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", shown, re.DOTALL)
    (texts,) = re.findall(r"  ```toml\n(.*?)  ```", shown, re.DOTALL)
    folder = ROOT / "loadtests" / "behaviour" / "parsing"
    assert code in (folder / "values.py").read_text(encoding="utf-8")
    plain = "".join(line.removeprefix("  ") for line in texts.splitlines(keepends=True))
    assert plain in (folder / "questions.toml").read_text(encoding="utf-8")
    assert "parsing.header-values" in QUESTIONS
