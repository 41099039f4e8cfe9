"""Saves in the background or behind a shield, when the server is stopped in the middle of them."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from loopbench.loadtests.behaviour.disconnect.leaving import (
    AIOHTTP,
    CANCEL,
    QUART,
    Begin,
    console,
    serving,
    shown,
)
from loopbench.loadtests.behaviour.disconnect.saving import (
    SAVED,
    Saving,
    Way,
    aiohttp_saving,
    aiojobs_shield,
    aiojobs_spawn,
    ask_for_save,
    background_task,
    plain_await,
    quart_saving,
    shield,
    task_kept,
)
from loopbench.loadtests.behaviour.framework.experiment import experiment
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire

STEP_S = 0.5
"""Of each of the two steps: the save takes far longer than a stop that does not wait for it."""

SHORT_S = 0.1
"""A bound that is set to a wait, far shorter than the save."""

STOP_BOUND_S = 15.0


def stop_meanwhile(begin: Begin, leaves: bool) -> Answer:
    """Ask for a save, leave or stay, stop the server, and look at the file when it has stopped."""
    with tempfile.TemporaryDirectory() as folder, console() as lines:
        saving = Saving(Path(folder) / "saves", STEP_S)
        with begin(saving) as server, Wire(server.port) as wire:
            ask_for_save(wire, saving)
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
            SAVED[saved],
            f"{saved} of 2 lines in the file when the server had stopped; {took}; "
            f"{', '.join(saving.seen.events)}; {shown(lines())}",
        )


ON, GONE = "handler_cancellation=True", "client gone"
SHORT: dict[str, Any] = {"wait_timeout": SHORT_S}
WAITING: dict[str, Any] = {"waiting": True}
BOUND: dict[str, Any] = {"BACKGROUND_TASK_SHUTDOWN_TIMEOUT": SHORT_S}
CLEANUP, AFTER = "on_cleanup awaits the tasks", "after_serving awaits the tasks"
BACKGROUND = "app.add_background_task"
SPAWN_SHORT = f"aiojobs spawn, wait_timeout={SHORT_S}"
SHIELD_SHORT = f"aiojobs shield, wait_timeout={SHORT_S}, {GONE}"

BACKGROUND_ROWS: tuple[tuple[str, str, Way, dict[str, Any]], ...] = (
    (AIOHTTP, "create_task", task_kept, {}),
    (AIOHTTP, f"create_task, {CLEANUP}", task_kept, WAITING),
    (AIOHTTP, "aiojobs spawn", aiojobs_spawn, {}),
    (AIOHTTP, SPAWN_SHORT, aiojobs_spawn, SHORT),
    (QUART, "create_task", task_kept, {}),
    (QUART, f"create_task, {AFTER}", task_kept, WAITING),
    (QUART, "aiojobs spawn", aiojobs_spawn, {}),
    (QUART, SPAWN_SHORT, aiojobs_spawn, SHORT),
    (QUART, BACKGROUND, background_task, {}),
    (QUART, f"{BACKGROUND}, BACKGROUND_TASK_SHUTDOWN_TIMEOUT={SHORT_S}", background_task, BOUND),
)
"""Stack, setting, way of saving, options of the application; the client leaves."""

SHIELD_ROWS: tuple[tuple[str, str, Way, dict[str, Any], dict[str, Any]], ...] = (
    (AIOHTTP, f"plain await, {GONE}", plain_await, {}, {}),
    (AIOHTTP, f"asyncio.shield, {GONE}", shield, {}, {}),
    (AIOHTTP, f"{ON}, asyncio.shield, {GONE}", shield, {}, CANCEL),
    (AIOHTTP, f"{ON}, asyncio.shield, {GONE}, {CLEANUP}", shield, WAITING, CANCEL),
    (AIOHTTP, f"{ON}, aiojobs shield, {GONE}", aiojobs_shield, {}, CANCEL),
    (AIOHTTP, f"{ON}, {SHIELD_SHORT}", aiojobs_shield, SHORT, CANCEL),
    (AIOHTTP, "asyncio.shield, client waits", shield, {}, {}),
    (
        AIOHTTP,
        f"asyncio.shield, shutdown_timeout={SHORT_S}, client waits",
        shield,
        {},
        {"shutdown_timeout": SHORT_S},
    ),
    (QUART, f"plain await, {GONE}", plain_await, {}, {}),
    (QUART, f"asyncio.shield, {GONE}", shield, {}, {}),
    (QUART, f"asyncio.shield, {GONE}, {AFTER}", shield, WAITING, {}),
    (QUART, f"aiojobs shield, {GONE}", aiojobs_shield, {}, {}),
    (QUART, SHIELD_SHORT, aiojobs_shield, SHORT, {}),
    (QUART, "asyncio.shield, client waits", shield, {}, {}),
    (
        QUART,
        f"asyncio.shield, graceful_timeout={SHORT_S}, client waits",
        shield,
        {},
        {"graceful_timeout": SHORT_S},
    ),
)
"""The same with options of the server last."""


def _begin(stack: str, way: Way, kept: dict[str, Any], options: dict[str, Any]) -> Begin:
    application = aiohttp_saving if stack == AIOHTTP else quart_saving
    return serving(partial(application, way, **kept), **options)


for stack, setting, way, kept in BACKGROUND_ROWS:
    experiment(
        "background-save-at-shutdown", stack, setting, _begin(stack, way, kept, {}), leaves=True
    )(stop_meanwhile)
for stack, setting, way, kept, options in SHIELD_ROWS:
    experiment(
        "shielded-save-at-shutdown",
        stack,
        setting,
        _begin(stack, way, kept, options),
        leaves=GONE in setting,
    )(stop_meanwhile)
