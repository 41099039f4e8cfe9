"""Saves in the background or behind a shield, when the server is stopped in the middle of them."""

from functools import partial
from typing import Any

from loopbench.loadtests.behaviour.applications import each
from loopbench.loadtests.behaviour.asking import Answer, experiment
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.disconnect import saving as ways
from loopbench.loadtests.behaviour.disconnect.leaving import CANCEL
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART
from loopbench.loadtests.behaviour.talking import Leaving, as_seen, seen

STEP_S = 0.5
"""Of each of the two steps: the save takes far longer than a stop that does not wait for it."""

SHORT_S = 0.1
"""A bound that is set to a wait, far shorter than the save."""

STOP_BOUND_S = 15.0


def stop_meanwhile(begin: scene.Begin, leaves: bool) -> Answer:
    """Ask for a save, leave or stay, stop the server, and look at the file when it has stopped."""
    ways.saving.step_s = STEP_S
    with ways.asked(begin) as (server, wire):
        if leaves:
            wire.leave(Leaving.RST)
            seen.wait("handler cancelled", STEP_S / 5)
        if "second step finished" in seen:
            raise TimeoutError("the save was done before the stop")
        took_s = server.stop(STOP_BOUND_S)
        saved = ways.saving.lines
    took = "the stop hangs" if took_s is None else f"the stop took {took_s:.2f} s"
    told = f"{saved} of 2 lines in the file when the server had stopped; {took}"
    return as_seen(ways.SAVED[saved], told, scene.shown(scene.console()))


def row(
    question: str, stack: str, setting: str, way: ways.Way, options: dict[str, Any], **kept: Any
) -> None:
    """Ask of a save in that way. options: of the server. kept: of the application."""
    begin = scene.serving(partial(SAVING[stack], way, **kept), **options)
    experiment(question, stack, setting, begin, leaves=STAYS not in setting)(stop_meanwhile)


SAVING = each(ways.application)
PLAIN, SHIELD, JOB = (ways.AWAITED[way] for way in ("plain-await", "shield", "aiojobs-shield"))
KEPT, SPAWNED = (ways.BEGUN[way] for way in ("create-task-without-await", "aiojobs-spawn"))
GONE, STAYS = "client gone", "client waits"
SHORT = f"wait_timeout={SHORT_S}"
ADDED, BOUND = "app.add_background_task", "BACKGROUND_TASK_SHUTDOWN_TIMEOUT"
IMPATIENT: dict[str, Any] = {BOUND: SHORT_S}

background = partial(row, "background-save-at-shutdown", options={})
shielded = partial(row, "shielded-save-at-shutdown")
for stack, hook, on, cancel, bound in (
    (AIOHTTP, "on_cleanup", "handler_cancellation=True, ", CANCEL, "shutdown_timeout"),
    (QUART, "after_serving", "", {}, "graceful_timeout"),
):
    waits = f"{hook} awaits the tasks"
    background(stack, "create_task", KEPT)
    background(stack, f"create_task, {waits}", KEPT, waiting=True)
    background(stack, "aiojobs spawn", SPAWNED)
    background(stack, f"aiojobs spawn, {SHORT}", SPAWNED, wait_timeout=SHORT_S)
    shielded(stack, f"plain await, {GONE}", PLAIN, {})
    shielded(stack, f"{on}asyncio.shield, {GONE}", SHIELD, cancel)
    shielded(stack, f"{on}asyncio.shield, {GONE}, {waits}", SHIELD, cancel, waiting=True)
    shielded(stack, f"{on}aiojobs shield, {GONE}", JOB, cancel)
    shielded(stack, f"{on}aiojobs shield, {SHORT}, {GONE}", JOB, cancel, wait_timeout=SHORT_S)
    shielded(stack, f"asyncio.shield, {STAYS}", SHIELD, {})
    shielded(stack, f"asyncio.shield, {bound}={SHORT_S}, {STAYS}", SHIELD, {bound: SHORT_S})

background(QUART, ADDED, ways.background_task)
background(QUART, f"{ADDED}, {BOUND}={SHORT_S}", ways.background_task, **IMPATIENT)
shielded(AIOHTTP, f"asyncio.shield, {GONE}", SHIELD, {})
