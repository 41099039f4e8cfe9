"""A whole handler as one aiojobs job."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import aiojobs.aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from loopbench.loadtests.behaviour.disconnect.leaving import CANCEL, CANCELLING, rows
from loopbench.loadtests.behaviour.disconnect.saving import Saving, Scope, experiments, fate
from loopbench.loadtests.behaviour.framework.question import Agrees, Claim, Question
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server


def on_aiohttp(saving: Saving, **options: Any) -> AbstractContextManager[Live]:
    """The decorated handler saves; a middleware notes what the framework sees of it."""

    @aiojobs.aiohttp.atomic
    async def handler(_: web.Request) -> web.Response:
        await saving.save()
        saving.seen("body of the handler finished")
        return web.Response(text="saved")

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        with saving.handling():
            return await handler(request)

    app = web.Application(middlewares=[note])
    aiojobs.aiohttp.setup(app)
    app.router.add_post("/", handler)
    return aiohttp_server(app, **options)


async def as_a_job(saving: Saving, scope: Scope) -> None:
    """What `atomic` does, written out: it is for aiohttp only."""
    job = await scope.scheduler.spawn(saving.save())
    await job.wait()


ADVICE = "Waiting for a job hands the cancellation on to it here."

QUESTION = Question(
    asks="Does a handler that is one aiojobs job run to its end without its client?",
    experiments=(
        *rows(
            fate,
            [
                ("aiohttp", "", on_aiohttp),
                ("aiohttp", "handler_cancellation=True", partial(on_aiohttp, **CANCEL)),
            ],
        ),
        *experiments(as_a_job, stacks=("quart-hypercorn",)),
    ),
    claims=(
        Claim(
            "@atomic lets a handler run to its end when its client leaves.",
            {"saved*": Agrees.YES, "*": Agrees.NO},
            ("aiohttp",),
            CANCELLING,
        ),
    ),
    follows={
        "saved, handler cancelled": "The job is whole: all steps of it are done, and whoever "
        "waits for it is cancelled, middlewares too.",
        "saved, handler finished": "It was not needed here, and does no harm.",
        "half saved*": ADVICE,
        "lost*": ADVICE,
    },
)
