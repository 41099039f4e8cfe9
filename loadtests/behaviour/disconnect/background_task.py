"""A save handed over to the framework's own background tasks."""

from __future__ import annotations

from aiohttp import web

from loopbench.loadtests.behaviour.disconnect.saving import Saving, Scope, and_more, experiments
from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    NONE,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Leaving


async def way(saving: Saving, scope: Scope) -> None:
    assert scope.background is not None
    scope.background(saving.save)


async def in_thread(saving: Saving, scope: Scope) -> None:
    """Plain code is run in a thread."""
    assert scope.background is not None
    scope.background(saving.save_blocking)


def on_aiohttp() -> Answer:
    found = [name for name in dir(web.Application) if "background" in name or "task" in name]
    if found:
        return Answer(", ".join(found), "the application has these")
    return Answer(
        NONE,
        "web.Application has no such method; the nearest thing is aiojobs, or a task of one's "
        "own that on_cleanup waits for",
    )


QUESTION = Question(
    asks="Does a save in the framework's own background task survive its client?",
    experiments=(
        Experiment("aiohttp", DEFAULT, on_aiohttp),
        *experiments(way, stacks=("quart-hypercorn",)),
        *experiments(
            in_thread, stacks=("quart-hypercorn",), also="a plain function", leavings=(Leaving.FIN,)
        ),
        *experiments(
            and_more(way),
            stacks=("quart-hypercorn",),
            also="more to await after it",
            leavings=(Leaving.FIN,),
        ),
    ),
    claims=(
        Claim(
            "A background task goes on after its request.",
            {"saved*": Agrees.YES, "*": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "saved*": "The application keeps the reference and waits for it when it ends; the answer "
        "does not wait for the save.",
        "none": "Use aiojobs, or keep tasks yourself and wait for them in on_cleanup.",
    },
)
