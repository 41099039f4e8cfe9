"""A shielded save, when the server is stopped in the middle of it."""

from __future__ import annotations

from loopbench.loadtests.behaviour.disconnect import aiojobs_shield, plain_await, shield
from loopbench.loadtests.behaviour.disconnect.leaving import CANCEL
from loopbench.loadtests.behaviour.disconnect.saving import on_aiohttp, on_quart
from loopbench.loadtests.behaviour.disconnect.stopping_meanwhile import SHORT_S, stops
from loopbench.loadtests.behaviour.framework.question import Agrees, Claim, Question

PLAIN, SHIELD, AIOJOBS = plain_await.way, shield.way, aiojobs_shield.way
AT_RISK = "What asyncio.shield protects is at risk when the application is shut down."
KEPT = "aiojobs' shield gives shielded tasks the time to complete when the application ends."
ON = "handler_cancellation=True"

QUESTION = Question(
    asks="Does a server that is stopped wait for a shielded save?",
    experiments=(
        *stops(
            "aiohttp",
            on_aiohttp,
            [
                ("plain await, client gone", PLAIN, {}),
                ("asyncio.shield, client gone", SHIELD, {}),
                (f"{ON}, asyncio.shield, client gone", SHIELD, CANCEL),
                (
                    f"{ON}, asyncio.shield, client gone, on_cleanup awaits the tasks",
                    SHIELD,
                    {**CANCEL, "waiting": True},
                ),
                (f"{ON}, aiojobs shield, client gone", AIOJOBS, CANCEL),
                (
                    f"{ON}, aiojobs shield, wait_timeout={SHORT_S}, client gone",
                    AIOJOBS,
                    {**CANCEL, "wait_timeout": SHORT_S},
                ),
            ],
        ),
        *stops(
            "aiohttp",
            on_aiohttp,
            [
                ("asyncio.shield, client waits", SHIELD, {}),
                (
                    f"asyncio.shield, shutdown_timeout={SHORT_S}, client waits",
                    SHIELD,
                    {"shutdown_timeout": SHORT_S},
                ),
            ],
            leaves=False,
        ),
        *stops(
            "quart-hypercorn",
            on_quart,
            [
                ("plain await, client gone", PLAIN, {}),
                ("asyncio.shield, client gone", SHIELD, {}),
                (
                    "asyncio.shield, client gone, after_serving awaits the tasks",
                    SHIELD,
                    {"waiting": True},
                ),
                ("aiojobs shield, client gone", AIOJOBS, {}),
                (
                    f"aiojobs shield, wait_timeout={SHORT_S}, client gone",
                    AIOJOBS,
                    {"wait_timeout": SHORT_S},
                ),
            ],
        ),
        *stops(
            "quart-hypercorn",
            on_quart,
            [
                ("asyncio.shield, client waits", SHIELD, {}),
                (
                    f"asyncio.shield, graceful_timeout={SHORT_S}, client waits",
                    SHIELD,
                    {"graceful_timeout": SHORT_S},
                ),
            ],
            leaves=False,
        ),
    ),
    claims=(
        Claim(
            AT_RISK,
            {"saved": Agrees.NO, "*": Agrees.YES},
            ("aiohttp",),
            (f"{ON}, asyncio.shield, client gone",),
        ),
        Claim(
            AT_RISK,
            {"saved": Agrees.NO, "*": Agrees.YES},
            ("quart-hypercorn",),
            ("asyncio.shield, client gone",),
        ),
        Claim(
            KEPT,
            {"saved": Agrees.YES, "*": Agrees.NO},
            ("aiohttp",),
            (f"{ON}, aiojobs shield, client gone",),
        ),
        Claim(
            KEPT,
            {"saved": Agrees.YES, "*": Agrees.NO},
            ("quart-hypercorn",),
            ("aiojobs shield, client gone",),
        ),
    ),
    follows={
        "saved": "The stop waits for it, for as long as the bound of that wait allows.",
        "*": "The shield holds against the client, not against the stop: keep the tasks and wait "
        "for them in a clean-up, or use aiojobs, with a bound longer than a save takes.",
    },
)
