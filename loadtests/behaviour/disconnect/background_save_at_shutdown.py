"""A save in the background, when the server is stopped in the middle of it."""

from __future__ import annotations

from loopbench.loadtests.behaviour.disconnect import (
    aiojobs_spawn,
    background_task,
    create_task_without_await,
)
from loopbench.loadtests.behaviour.disconnect.saving import on_aiohttp, on_quart
from loopbench.loadtests.behaviour.disconnect.stopping_meanwhile import SHORT_S, stops
from loopbench.loadtests.behaviour.framework.question import Agrees, Claim, Question

TASK, AIOJOBS, BACKGROUND = create_task_without_await.way, aiojobs_spawn.way, background_task.way
SHORT_JOBS = f"aiojobs spawn, wait_timeout={SHORT_S}"

QUESTION = Question(
    asks="Does a server that is stopped wait for a save in the background?",
    experiments=(
        *stops(
            "aiohttp",
            on_aiohttp,
            [
                ("create_task", TASK, {}),
                ("create_task, on_cleanup awaits the tasks", TASK, {"waiting": True}),
                ("aiojobs spawn", AIOJOBS, {}),
                (SHORT_JOBS, AIOJOBS, {"wait_timeout": SHORT_S}),
            ],
        ),
        *stops(
            "quart-hypercorn",
            on_quart,
            [
                ("create_task", TASK, {}),
                ("create_task, after_serving awaits the tasks", TASK, {"waiting": True}),
                ("aiojobs spawn", AIOJOBS, {}),
                (SHORT_JOBS, AIOJOBS, {"wait_timeout": SHORT_S}),
                ("app.add_background_task", BACKGROUND, {}),
                (
                    f"app.add_background_task, BACKGROUND_TASK_SHUTDOWN_TIMEOUT={SHORT_S}",
                    BACKGROUND,
                    {"config": {"BACKGROUND_TASK_SHUTDOWN_TIMEOUT": SHORT_S}},
                ),
            ],
        ),
    ),
    claims=(
        Claim(
            "Quart waits for its background tasks when it is stopped.",
            {"saved": Agrees.YES, "*": Agrees.NO},
            ("quart-hypercorn",),
            ("app.add_background_task",),
        ),
    ),
    follows={
        "saved": "The stop waits for it, for as long as the bound of that wait allows.",
        "*": "Nobody waits for it, or not for long enough: keep the tasks and wait for them in a "
        "clean-up, with a bound longer than a save takes.",
    },
)
