"""The answers of today against those that are published in results/reference/behaviour.csv."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loopbench.loadtests.behaviour.framework.catalogue import TOPICS, Asked, experiments
from loopbench.loadtests.behaviour.framework.process import Nursery
from loopbench.loadtests.behaviour.framework.question import NONE
from loopbench.loadtests.behaviour.framework.rows import NOT_ANSWERED, texts
from loopbench.loadtests.behaviour.framework.scheduler import ask_all
from loopbench.results.schema import BEHAVIOUR, TableWriter, read_table
from tests.conftest import ROOT

Key = tuple[str, str, str]

REFERENCE = ROOT / "results" / "reference"

MINOR = "3.11" if sys.version_info < (3, 12) else "3.13"
"""The published Python that stops and cancels as this one does: both changed with 3.12."""

LONGEST_S = 60.0
"""Bound of the experiments that are asked here; the others wait for defaults of a minute."""


def _published() -> dict[Key, str]:
    rows = read_table(REFERENCE, BEHAVIOUR)
    return {
        (str(row["question"]), str(row["stack"]), str(row["setting"])): str(row["answer"])
        for row in rows
        if str(row["python"]).startswith(MINOR) and not row["varies"]
    }


PUBLISHED = _published()


def _differing(wanted: list[Asked]) -> dict[Key, tuple[str, str]]:
    """Where the answer is not the published one: both. Fails where there is no answer."""
    differing: dict[Key, tuple[str, str]] = {}
    for one, outcome in ask_all(wanted):
        assert outcome.answer is not None, (one.key, outcome.problem, outcome.output)
        for text in (outcome.answer.answer, outcome.answer.evidence):
            assert text.strip() and "\n" not in text, one.key
        published = PUBLISHED.get(one.key)
        if published is not None and published != outcome.answer.answer:
            differing[one.key] = (published, outcome.answer.answer)
    return differing


def _wanted(topic: str, alone: bool) -> list[Asked]:
    return [
        one
        for one in experiments().values()
        if one.topic == topic
        and one.experiment.alone == alone
        and one.experiment.bound_s <= LONGEST_S
    ]


@pytest.mark.parametrize("topic", TOPICS)
def test_answers_are_those_that_are_published(topic: str) -> None:
    """Word for word, those that wait for a minute and those that compare times aside."""
    wanted = _wanted(topic, alone=False)
    assert wanted
    assert _differing(wanted) == {}


@pytest.mark.alone
@pytest.mark.parametrize("topic", ["blocking", "many"])
def test_answers_that_compare_times_are_those_that_are_published(topic: str) -> None:
    """One after another, with nothing beside them."""
    wanted = _wanted(topic, alone=True)
    assert wanted
    assert _differing(wanted) == {}


def test_every_experiment_is_published() -> None:
    """And nothing is published that is no more asked; a row that varies has no fixed answer."""
    rows = read_table(REFERENCE, BEHAVIOUR)
    published = {
        (str(row["question"]), str(row["stack"]), str(row["setting"]))
        for row in rows
        if str(row["python"]).startswith(MINOR)
    }
    assert published == set(experiments())


@pytest.mark.generated
def test_published_rows_have_the_texts_of_their_questions(
    generated: Callable[[Path, str], None], tmp_path: Path
) -> None:
    """What is asked, said and follows is worded anew without asking anew."""
    asked = experiments()
    worded = [
        {**row, **texts(asked[key], None if row["answer"] == NOT_ANSWERED else str(row["answer"]))}
        for row in read_table(REFERENCE, BEHAVIOUR)
        for key in [(str(row["question"]), str(row["stack"]), str(row["setting"]))]
    ]
    with TableWriter(tmp_path, BEHAVIOUR) as writer:
        writer.append(worded)
    generated(
        REFERENCE / BEHAVIOUR.filename,
        (tmp_path / BEHAVIOUR.filename).read_text(encoding="utf-8"),
    )


TURNED = (
    ("disconnect.plain-await", "aiohttp", "FIN", "handler_cancellation=True, FIN"),
    (
        "disconnect.plain-await",
        "quart-hypercorn",
        "FIN",
        "http.disconnect withheld by an ASGI middleware, FIN",
    ),
    ("disconnect.shield", "aiohttp", "FIN", "handler_cancellation=True, FIN"),
    ("disconnect.two-shielded-steps", "quart-hypercorn", "FIN", "one shield around both, FIN"),
    (
        "disconnect.save-in-transaction",
        "quart-hypercorn",
        "a commit for each row, FIN",
        "one transaction, FIN",
    ),
    (
        "disconnect.shielded-save-at-shutdown",
        "quart-hypercorn",
        "asyncio.shield, client gone",
        "asyncio.shield, client gone, after_serving awaits the tasks",
    ),
    ("disconnect.left-in-log", "quart-hypercorn", "default", "accesslog='-'"),
    ("dispatch.sync-code-in-async-route", "aiohttp", "called directly", "await asyncio.to_thread"),
    ("dispatch.thread-local", "aiohttp", "threading.local in a handler", "ContextVar in a handler"),
    (
        "dispatch.other-loop",
        "quart-hypercorn",
        "asyncio.run, an asyncio.Lock that others want",
        "run_coroutine_threadsafe, an asyncio.Lock that others want",
    ),
    ("many.client-gather", "aiohttp", "await one after another", "asyncio.gather"),
    ("many.connections-limit", "aiohttp", "default", "TCPConnector(limit=0)"),
    ("order.header-on-prepare", "aiohttp", "middleware", "on_response_prepare"),
    (
        "order.refuse-websocket",
        "quart-hypercorn",
        "before_request returns 403",
        "before_websocket returns 403",
    ),
    ("state.app-keys", "aiohttp", 'app["limit"]', 'web.AppKey("limit", int)'),
    ("background.task-at-shutdown", "aiohttp", "asyncio.create_task", "awaited in cleanup_ctx"),
    (
        "background.task-garbage-collected",
        "aiohttp",
        "asyncio.create_task, nothing refers to it",
        "kept in a set, nothing else refers to it",
    ),
    ("parsing.body-limit", "aiohttp", "default", "client_max_size=0"),
    (
        "parsing.expect-100",
        "aiohttp",
        "more than the body limit",
        "more than the body limit, expect_handler of one's own",
    ),
    ("parsing.error-page", "quart-hypercorn", "default", "app.debug=True"),
)
"""Twenty questions that carry most: stack, a setting, and the one that turns the answer round."""


@pytest.mark.parametrize(("question", "stack", "before", "after"), TURNED)
def test_a_setting_turned_round_turns_the_answer_round(
    asker: Nursery, question: str, stack: str, before: str, after: str
) -> None:
    """Asked one after the other: an experiment that always said the same would show here."""
    answers = []
    for setting in (before, after):
        outcome = asker.ask((question, stack, setting), LONGEST_S)
        assert outcome.answer is not None, outcome.problem
        answers.append(outcome.answer.answer)
    assert answers[0] != answers[1]
    assert NONE not in answers
