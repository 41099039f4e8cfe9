"""Saves in the background or behind a shield, when the server is stopped in the middle of them."""

from __future__ import annotations

from functools import partial
from typing import Any

from loopbench.loadtests.behaviour.applications import each
from loopbench.loadtests.behaviour.asking import Answer, experiment
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.disconnect import saving as ways
from loopbench.loadtests.behaviour.disconnect.leaving import CANCEL
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART
from loopbench.loadtests.behaviour.talking import Leaving

STEP_S = 0.5
"""Of each of the two steps: the save takes far longer than a stop that does not wait for it."""

SHORT_S = 0.1
"""A bound that is set to a wait, far shorter than the save."""

STOP_BOUND_S = 15.0


def stop_meanwhile(begin: scene.Begin, leaves: bool) -> Answer:
    """Ask for a save, leave or stay, stop the server, and look at the file when it has stopped."""
    with scene.console() as lines:
        with ways.asked(begin, STEP_S) as (saving, server, wire):
            if leaves:
                wire.leave(Leaving.RST)
                saving.seen.wait("handler cancelled", STEP_S / 5)
            saving.seen("stop")
            took_s = server.stop(STOP_BOUND_S)
            saved = saving.lines
            saving.seen("stopped")
        if "second step saved" in saving.seen.events[: saving.seen.events.index("stop")]:
            raise TimeoutError("the save was done before the stop")
        took = "the stop hangs" if took_s is None else f"the stop took {took_s:.2f} s"
        return Answer(
            ways.SAVED[saved],
            f"{saved} of 2 lines in the file when the server had stopped; {took}; "
            f"{saving.seen.line}; {scene.shown(lines())}",
        )


def row(
    question: str, stack: str, setting: str, way: ways.Way, options: dict[str, Any], **kept: Any
) -> None:
    """Ask of a save in that way. options: of the server. kept: of the application."""
    begin = scene.serving(partial(SAVING[stack], way, **kept), **options)
    experiment(question, stack, setting, begin, leaves=STAYS not in setting)(stop_meanwhile)


SAVING = each(ways.application)
ON, SHIELD = "handler_cancellation=True", "asyncio.shield"
GONE, STAYS = "client gone", "client waits"
CLEANUP, AFTER = "on_cleanup awaits the tasks", "after_serving awaits the tasks"
BACKGROUND, BOUND = "app.add_background_task", "BACKGROUND_TASK_SHUTDOWN_TIMEOUT"
SHORT = f"wait_timeout={SHORT_S}"
IMPATIENT: dict[str, Any] = {BOUND: SHORT_S}

background = partial(row, "background-save-at-shutdown", options={})
background(AIOHTTP, "create_task", ways.task_kept)
background(AIOHTTP, f"create_task, {CLEANUP}", ways.task_kept, waiting=True)
background(AIOHTTP, "aiojobs spawn", ways.aiojobs_spawn)
background(AIOHTTP, f"aiojobs spawn, {SHORT}", ways.aiojobs_spawn, wait_timeout=SHORT_S)
background(QUART, "create_task", ways.task_kept)
background(QUART, f"create_task, {AFTER}", ways.task_kept, waiting=True)
background(QUART, "aiojobs spawn", ways.aiojobs_spawn)
background(QUART, f"aiojobs spawn, {SHORT}", ways.aiojobs_spawn, wait_timeout=SHORT_S)
background(QUART, BACKGROUND, ways.background_task)
background(QUART, f"{BACKGROUND}, {BOUND}={SHORT_S}", ways.background_task, **IMPATIENT)

QUICK, GRACE = {"shutdown_timeout": SHORT_S}, {"graceful_timeout": SHORT_S}
shielded = partial(row, "shielded-save-at-shutdown")
shielded(AIOHTTP, f"plain await, {GONE}", ways.plain_await, {})
shielded(AIOHTTP, f"{SHIELD}, {GONE}", ways.shield, {})
shielded(AIOHTTP, f"{ON}, {SHIELD}, {GONE}", ways.shield, CANCEL)
shielded(AIOHTTP, f"{ON}, {SHIELD}, {GONE}, {CLEANUP}", ways.shield, CANCEL, waiting=True)
shielded(AIOHTTP, f"{ON}, aiojobs shield, {GONE}", ways.aiojobs_shield, CANCEL)
BOUNDED = f"aiojobs shield, {SHORT}, {GONE}"
shielded(AIOHTTP, f"{ON}, {BOUNDED}", ways.aiojobs_shield, CANCEL, wait_timeout=SHORT_S)
shielded(AIOHTTP, f"{SHIELD}, {STAYS}", ways.shield, {})
shielded(AIOHTTP, f"{SHIELD}, shutdown_timeout={SHORT_S}, {STAYS}", ways.shield, QUICK)
shielded(QUART, f"plain await, {GONE}", ways.plain_await, {})
shielded(QUART, f"{SHIELD}, {GONE}", ways.shield, {})
shielded(QUART, f"{SHIELD}, {GONE}, {AFTER}", ways.shield, {}, waiting=True)
shielded(QUART, f"aiojobs shield, {GONE}", ways.aiojobs_shield, {})
shielded(QUART, BOUNDED, ways.aiojobs_shield, {}, wait_timeout=SHORT_S)
shielded(QUART, f"{SHIELD}, {STAYS}", ways.shield, {})
shielded(QUART, f"{SHIELD}, graceful_timeout={SHORT_S}, {STAYS}", ways.shield, GRACE)
