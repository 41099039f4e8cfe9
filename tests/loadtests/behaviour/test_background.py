"""Tasks beside the requests: turn a setting round, and the answer changes with it."""

from __future__ import annotations

import pytest

from tests.loadtests.behaviour.topics import AIOHTTP, QUART, Said, ask_topic


@pytest.fixture(scope="module")
def said() -> Said:
    return ask_topic("background", 30)


def test_a_task_begins_and_ends_with_the_application(said: Said) -> None:
    """In each of the ways that the frameworks have."""
    whole = "begun with the application, runs beside requests, cancelled at the end"
    for stack, setting in (
        (AIOHTTP, "cleanup_ctx"),
        (AIOHTTP, "on_startup and on_cleanup"),
        (QUART, "while_serving"),
        (QUART, "before_serving and after_serving"),
        (QUART, "app.add_background_task"),
    ):
        assert said("task-beside-requests", stack, setting) == whole


def test_a_failing_task_leaves_the_requests_alone(said: Said) -> None:
    """Who says so differs."""
    assert said("task-raises", QUART, "app.add_background_task").startswith(
        "requests go on, said at once"
    )
    assert said("task-raises", AIOHTTP, "cleanup_ctx").startswith("requests go on, never said")


def test_the_frameworks_own_task_says_that_it_failed(said: Said) -> None:
    """A bare task says so when it is collected only."""
    for stack in (AIOHTTP, QUART):
        bare = said("fire-and-forget", stack, "asyncio.create_task")
        assert bare.endswith("said when the task is collected")
    assert said("fire-and-forget", QUART, "app.add_background_task").endswith("said at once")


def test_a_bound_cuts_a_long_clean_up(said: Said) -> None:
    """Hypercorn has one; aiohttp waits."""
    assert said("blocking-cleanup", QUART).startswith("finished")
    assert said("blocking-cleanup", QUART, "shutdown_timeout=1").startswith("cut off")
    assert said("blocking-cleanup", AIOHTTP, "shutdown_timeout=1").startswith("finished")


def test_who_waits_for_a_task_of_a_handler(said: Said) -> None:
    """A clean-up that awaits it, and Quart for its own; the time it waits can be turned down."""
    for stack, awaited in (
        (AIOHTTP, "awaited in cleanup_ctx"),
        (QUART, "awaited in after_serving"),
    ):
        assert said("task-at-shutdown", stack, "asyncio.create_task") == "left behind"
        assert said("task-at-shutdown", stack, awaited) == "finished"
    own = "app.add_background_task, 2 s"
    assert said("task-at-shutdown", QUART, own) == "finished"
    turned_down = f"{own}, BACKGROUND_TASK_SHUTDOWN_TIMEOUT=0.5"
    assert said("task-at-shutdown", QUART, turned_down) == "cancelled"


def test_a_reference_keeps_a_task_alive(said: Said) -> None:
    """So does a sleep, of which the loop knows; without either it is collected."""
    for stack in (AIOHTTP, QUART):
        bare = said("task-garbage-collected", stack, "asyncio.create_task, nothing refers to it")
        assert bare.startswith("it was collected")
        for setting in (
            "asyncio.create_task, it sleeps",
            "kept in a set, nothing else refers to it",
        ):
            assert said("task-garbage-collected", stack, setting) == "it finished"
