"""A whole handler as one aiojobs job."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import aiojobs.aiohttp
from aiohttp import web

from loadtests.behaviour.disconnect.saving import Saving, Scope, experiments, fate
from loadtests.behaviour.question import Experiment, Question
from loadtests.behaviour.served import Live, aiohttp_server
from loadtests.behaviour.wire import Leaving


def on_aiohttp(saving: Saving, **options: Any) -> AbstractContextManager[Live]:
    @aiojobs.aiohttp.atomic
    async def inside(_: web.Request) -> web.Response:
        await saving.save()
        return web.Response(text="saved")

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            answer = await inside(request)
            saving.seen("handler finished")
        except asyncio.CancelledError:
            saving.seen("handler cancelled")
            raise
        return answer

    app = web.Application()
    aiojobs.aiohttp.setup(app)
    app.router.add_post("/", handler)
    return aiohttp_server(app, **options)


async def as_a_job(saving: Saving, scope: Scope) -> None:
    """What `atomic` does, written out: it is for aiohttp only."""
    job = await scope.scheduler.spawn(saving.save())
    await job.wait()


QUESTION = Question(
    asks="Does a handler that is one aiojobs job run to its end without its client?",
    experiments=(
        *(
            Experiment("aiohttp", f"@atomic, {leaving.value}", partial(fate, on_aiohttp, leaving))
            for leaving in Leaving
        ),
        *(
            Experiment(
                "aiohttp",
                f"@atomic, handler_cancellation=True, {leaving.value}",
                partial(fate, partial(on_aiohttp, handler_cancellation=True), leaving),
            )
            for leaving in Leaving
        ),
        *experiments(as_a_job, stacks=("quart-hypercorn",)),
    ),
    follows={
        "saved*": "The job is whole: all steps of it are done, whoever leaves.",
        "half saved*": "Waiting for a job hands the cancellation on to it here.",
        "lost*": "Waiting for a job hands the cancellation on to it here.",
    },
)
