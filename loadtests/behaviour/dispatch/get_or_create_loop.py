"""A helper that "gets or creates" an event loop for each thread."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import warnings
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

REQUESTS = 64
CONNECTIONS = 16


def get_or_create_loop() -> asyncio.AbstractEventLoop:
    """The helper as it is passed around."""
    try:
        return asyncio.get_event_loop()
    except RuntimeError:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        return loop


class Used:
    """The loops that plain code worked on, and its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []
        self.threads: set[threading.Thread] = set()

    async def coroutine(self) -> str:
        """What the plain code needs done."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if not any(known() is loop for known in self._loops):
                self._loops.append(weakref.ref(loop))
            self.threads.add(threading.current_thread())
        return "worked"

    @property
    def made(self) -> int:
        """How many loops there were."""
        return len(self._loops)

    @property
    def open(self) -> int:
        """How many of them are still there, and not closed."""
        loops = [loop for known in self._loops if (loop := known()) is not None]
        return sum(not loop.is_closed() for loop in loops)


def with_helper(used: Used) -> str:
    time.sleep(0.01)  # so that one thread alone does not do it all
    return get_or_create_loop().run_until_complete(used.coroutine())


def with_run(used: Used) -> str:
    time.sleep(0.01)
    return asyncio.run(used.coroutine())


Plain = Callable[[Used], str]
Begin = Callable[[Used], AbstractContextManager[Live]]


async def in_pool(plain: Plain, used: Used) -> str:
    return await asyncio.to_thread(plain, used)


async def in_new_thread(plain: Plain, used: Used) -> str:
    """As servers do that make a thread for each request."""
    with ThreadPoolExecutor(1) as own:
        return await asyncio.get_running_loop().run_in_executor(own, plain, used)


def on_aiohttp(
    plain: Plain, thread: Callable[[Plain, Used], Awaitable[str]], used: Used
) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=await thread(plain, used))

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart(plain: Plain, used: Used) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        return plain(used)

    return hypercorn_server(app)


def _descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def _all_ask(wires: list[Wire], target: str) -> set[str]:
    for wire in wires:
        wire.request("GET", target)
    return {wire.answer().text for wire in wires}


def ask(begin: Begin) -> Answer:
    """Ask often, and see how many loops there are and what stays open of them."""
    used = Used()
    with (
        warnings.catch_warnings(record=True) as caught,
        begin(used) as server,
        ExitStack() as stack,
    ):
        warnings.simplefilter("always")
        wires = [stack.enter_context(Wire(server.port)) for _ in range(CONNECTIONS)]
        _all_ask(wires, "/missing")
        before = _descriptors()
        said = set[str]()
        for _ in range(REQUESTS // CONNECTIONS):
            said |= _all_ask(wires, "/")
        gc.collect()
        left = _descriptors() - before
    complaints = sum(one.category is ResourceWarning for one in caught)
    works = "works" if said == {"worked"} else "fails"
    per = "a loop a thread" if used.made == len(used.threads) else "a loop a call"
    if used.made not in (len(used.threads), REQUESTS):
        per = "loops shared otherwise"
    stays = {0: "all closed", used.made: "all stay open"}.get(used.open, "some stay open")
    if not used.open and complaints:
        stays = "closed by the garbage collector"
    return Answer(
        f"{works}, {per}, {stays}",
        f"{REQUESTS} requests used {used.made} loops on {len(used.threads)} threads; {used.open} "
        f"of them and {left} more descriptors were open afterwards, with {complaints} "
        f"ResourceWarnings; answers: {' and '.join(sorted(map(ascii, said)))}",
    )


_HELPER, _RUN = "the helper", "asyncio.run instead"

QUESTION = Question(
    asks="Does a helper that gets or creates a loop for each thread work, and does it leak?",
    experiments=(
        Experiment(
            "aiohttp",
            f"{_HELPER} through asyncio.to_thread",
            partial(ask, partial(on_aiohttp, with_helper, in_pool)),
        ),
        Experiment(
            "aiohttp",
            f"{_HELPER} in a new thread each time",
            partial(ask, partial(on_aiohttp, with_helper, in_new_thread)),
        ),
        Experiment(
            "aiohttp",
            f"{_RUN}, through asyncio.to_thread",
            partial(ask, partial(on_aiohttp, with_run, in_pool)),
        ),
        Experiment(
            "quart-hypercorn",
            f"{_HELPER} in a sync route",
            partial(ask, partial(on_quart, with_helper)),
        ),
        Experiment(
            "quart-hypercorn", f"{_RUN}, in a sync route", partial(ask, partial(on_quart, with_run))
        ),
    ),
    claims=(
        Claim(
            "A helper that gets the loop, or creates one where there is none, is the safe way to "
            "call asynchronous code from threads.",
            {"works*all closed": Agrees.YES, "works*": Agrees.PARTLY, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
            (
                f"{_HELPER} through asyncio.to_thread",
                f"{_HELPER} in a new thread each time",
                f"{_HELPER} in a sync route",
            ),
        ),
    ),
    follows={
        "*all stay open": "Each thread of the pool keeps a loop with its descriptors for as long "
        "as it lives, and what belongs to the server's loop cannot be used in it: use "
        "`run_coroutine_threadsafe`, or `asyncio.run` for what stands alone.",
        "*garbage collector": "Nobody closes the loops of threads that end; until the collector "
        "comes round, each holds its descriptors. Use `asyncio.run`.",
        "*all closed": "A loop for each call, closed after it: nothing is left.",
    },
)
