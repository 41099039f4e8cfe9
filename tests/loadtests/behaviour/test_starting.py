"""How a server starts: turn a setting round, and the answer changes with it."""

from __future__ import annotations

import pytest

from tests.loadtests.behaviour.topics import AIOHTTP, QUART, Said, ask_topic


@pytest.fixture(scope="module")
def said() -> Said:
    return ask_topic("starting", 60)


def test_several_servers_share_a_loop(said: Said) -> None:
    """One of them is stopped, the rest serve, and its port is to be had again."""
    for stack in (AIOHTTP, QUART):
        everyone = "all serve, after stopping one the rest serve"
        assert said("several-servers", stack) == everyone
        assert said("same-port-again", stack) == "serves again at once"


def test_the_clean_up_runs_where_it_is_called(said: Said) -> None:
    """With the port in use, and with a start-up that fails."""
    assert said("port-in-use", AIOHTTP).endswith("clean-up did not run")
    remedy = said("port-in-use", AIOHTTP, "runner.cleanup() in finally")
    assert remedy.endswith("clean-up ran")
    assert "is not cleaned up" in said("failing-startup-hook", AIOHTTP, "cleanup_ctx")
    cleaned = said("failing-startup-hook", AIOHTTP, "cleanup_ctx, runner.cleanup() in finally")
    assert "the first is cleaned up" in cleaned


def test_nobody_is_served_before_the_start_up_has_ended(said: Said) -> None:
    """Neither stack listens before."""
    for stack in (AIOHTTP, QUART):
        assert said("first-answer", stack).endswith("answered after the hook")


def test_the_runners_stop_gracefully(said: Said) -> None:
    """On both signals, with the clean-up run."""
    for stack, runner in ((AIOHTTP, "web.run_app"), (QUART, "app.run")):
        for name in ("SIGTERM", "SIGINT"):
            answer = said("all-in-one-runner", stack, f"{runner}, {name}")
            assert answer.startswith("cleans up, exit status 0")
