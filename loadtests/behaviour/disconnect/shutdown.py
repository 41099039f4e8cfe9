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


ON, SHIELD = "handler_cancellation=True", "asyncio.shield"
GONE, STAYS = "client gone", "client waits"
SHORT: dict[str, Any] = {"wait_timeout": SHORT_S}
WAITING: dict[str, Any] = {"waiting": True}
BOUND: dict[str, Any] = {"BACKGROUND_TASK_SHUTDOWN_TIMEOUT": SHORT_S}
CLEANUP, AFTER = "on_cleanup awaits the tasks", "after_serving awaits the tasks"
BACKGROUND = "app.add_background_task"
BACKGROUND_SHORT = f"{BACKGROUND}, BACKGROUND_TASK_SHUTDOWN_TIMEOUT={SHORT_S}"
SPAWN_SHORT = f"aiojobs spawn, wait_timeout={SHORT_S}"
SHIELD_SHORT = f"aiojobs shield, wait_timeout={SHORT_S}, {GONE}"

SHORT_SHUTDOWN: dict[str, Any] = {"shutdown_timeout": SHORT_S}
SHORT_GRACE: dict[str, Any] = {"graceful_timeout": SHORT_S}

Row = tuple[str, str, ways.Way, dict[str, Any], dict[str, Any]]
"""Stack, setting, way of saving, options of the application, and of its server."""

IN_BACKGROUND: tuple[Row, ...] = (
    (AIOHTTP, "create_task", ways.task_kept, {}, {}),
    (AIOHTTP, f"create_task, {CLEANUP}", ways.task_kept, WAITING, {}),
    (AIOHTTP, "aiojobs spawn", ways.aiojobs_spawn, {}, {}),
    (AIOHTTP, SPAWN_SHORT, ways.aiojobs_spawn, SHORT, {}),
    (QUART, "create_task", ways.task_kept, {}, {}),
    (QUART, f"create_task, {AFTER}", ways.task_kept, WAITING, {}),
    (QUART, "aiojobs spawn", ways.aiojobs_spawn, {}, {}),
    (QUART, SPAWN_SHORT, ways.aiojobs_spawn, SHORT, {}),
    (QUART, BACKGROUND, ways.background_task, {}, {}),
    (QUART, BACKGROUND_SHORT, ways.background_task, BOUND, {}),
)
SHIELDED: tuple[Row, ...] = (
    (AIOHTTP, f"plain await, {GONE}", ways.plain_await, {}, {}),
    (AIOHTTP, f"{SHIELD}, {GONE}", ways.shield, {}, {}),
    (AIOHTTP, f"{ON}, {SHIELD}, {GONE}", ways.shield, {}, CANCEL),
    (AIOHTTP, f"{ON}, {SHIELD}, {GONE}, {CLEANUP}", ways.shield, WAITING, CANCEL),
    (AIOHTTP, f"{ON}, aiojobs shield, {GONE}", ways.aiojobs_shield, {}, CANCEL),
    (AIOHTTP, f"{ON}, {SHIELD_SHORT}", ways.aiojobs_shield, SHORT, CANCEL),
    (AIOHTTP, f"{SHIELD}, {STAYS}", ways.shield, {}, {}),
    (AIOHTTP, f"{SHIELD}, shutdown_timeout={SHORT_S}, {STAYS}", ways.shield, {}, SHORT_SHUTDOWN),
    (QUART, f"plain await, {GONE}", ways.plain_await, {}, {}),
    (QUART, f"{SHIELD}, {GONE}", ways.shield, {}, {}),
    (QUART, f"{SHIELD}, {GONE}, {AFTER}", ways.shield, WAITING, {}),
    (QUART, f"aiojobs shield, {GONE}", ways.aiojobs_shield, {}, {}),
    (QUART, SHIELD_SHORT, ways.aiojobs_shield, SHORT, {}),
    (QUART, f"{SHIELD}, {STAYS}", ways.shield, {}, {}),
    (QUART, f"{SHIELD}, graceful_timeout={SHORT_S}, {STAYS}", ways.shield, {}, SHORT_GRACE),
)
SAVING = each(ways.application)

for question, rows in (
    ("background-save-at-shutdown", IN_BACKGROUND),
    ("shielded-save-at-shutdown", SHIELDED),
):
    for stack, setting, way, kept, options in rows:
        begin = scene.serving(partial(SAVING[stack], way, **kept), **options)
        experiment(question, stack, setting, begin, leaves=STAYS not in setting)(stop_meanwhile)
