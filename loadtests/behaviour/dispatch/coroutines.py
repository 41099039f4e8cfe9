"""Coroutines run from plain code: which ways work, hang, leak or cost, and on whose loop."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import threading
import time
import warnings
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
)
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil, floor, log2
from typing import Any

import aiohttp
from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.dispatch.places import (
    Plain,
    aiohttp_calling,
    called,
    quart_calling,
    quart_sync,
    to_thread,
)
from loopbench.loadtests.behaviour.dispatch.pools import set_pool
from loopbench.loadtests.behaviour.framework.experiment import (
    Variants,
    experiment,
    experiments,
    variants,
)
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.framework.raw_client import Wire, get
from loopbench.loadtests.behaviour.framework.servers import App, serve

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"
PATIENCE_S = 2.0

Way = Callable[[asyncio.AbstractEventLoop], str]
"""Runs the coroutine `which`, given the server's loop."""


async def which(server_loop: asyncio.AbstractEventLoop) -> str:
    """A coroutine that says which loop it runs on."""
    await asyncio.sleep(0)
    same = asyncio.get_running_loop() is server_loop
    return "on the server's loop" if same else "on a loop of its own"


async def which_in_thread(server_loop: asyncio.AbstractEventLoop) -> str:
    """One that needs a worker thread itself, as for a name look-up or a file."""
    await asyncio.to_thread(str)
    return await which(server_loop)


def asyncio_run(loop: asyncio.AbstractEventLoop) -> str:
    return asyncio.run(which(loop))


def new_event_loop(loop: asyncio.AbstractEventLoop) -> str:
    coroutine, mine = which(loop), asyncio.new_event_loop()
    try:
        return mine.run_until_complete(coroutine)
    finally:
        coroutine.close()
        mine.close()


def threadsafe(loop: asyncio.AbstractEventLoop) -> str:
    return asyncio.run_coroutine_threadsafe(which(loop), loop).result(PATIENCE_S)


def threadsafe_to_thread(loop: asyncio.AbstractEventLoop) -> str:
    return asyncio.run_coroutine_threadsafe(which_in_thread(loop), loop).result(PATIENCE_S)


def run_to_thread(loop: asyncio.AbstractEventLoop) -> str:
    return asyncio.run(which_in_thread(loop))


class Caller:
    """Plain code that runs the coroutine in that way, in all threads of a small pool at once.

    threads: the size of the pool; None: the default pool, and one call.
    """

    def __init__(self, way: Way, threads: int | None) -> None:
        self.threads = threads
        self.calls = threads or 1
        self._way = way
        self._together = threading.Barrier(self.calls)

    def call(self, loop: asyncio.AbstractEventLoop) -> str:
        """What becomes of it. No call begins or ends before all of them do."""
        self._together.wait(PATIENCE_S)
        said = self._said(loop)
        self._together.wait(2 * PATIENCE_S)
        return said

    def _said(self, loop: asyncio.AbstractEventLoop) -> str:
        try:
            return f"runs {self._way(loop)}"
        except (NotInTime, TimeoutError):
            return f"hangs: nothing within {PATIENCE_S:g} s"
        except RuntimeError as error:
            return f"raises RuntimeError: {error}"


def in_a_thread(caller: Caller) -> web.Application:
    """On aiohttp: through to_thread."""

    async def handler(_: web.Request) -> web.Response:
        loop = asyncio.get_running_loop()
        return web.Response(text=await asyncio.to_thread(caller.call, loop))

    app = web.Application()
    app.router.add_get("/", handler)
    app.on_startup.append(partial(set_pool, caller.threads))
    return app


def on_the_loop(caller: Caller) -> web.Application:
    """The mistake: the same from plain code on the loop's own thread."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=caller.call(asyncio.get_running_loop()))

    app = web.Application()
    app.router.add_get("/", handler)
    return app


def sync_route(caller: Caller) -> Quart:
    """On Quart: in a sync route."""
    app = Quart(__name__)

    @app.before_serving
    async def start() -> None:
        await set_pool(caller.threads)
        app.extensions["loop"] = asyncio.get_running_loop()

    @app.get("/")
    def handler() -> str:
        return caller.call(app.extensions["loop"])

    return app


def async_route(caller: Caller) -> Quart:
    """The mistake on Quart."""
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        return caller.call(asyncio.get_running_loop())

    return app


WAYS: dict[str, Way] = {
    "asyncio.run": asyncio_run,
    "new_event_loop().run_until_complete": new_event_loop,
    "run_coroutine_threadsafe": threadsafe,
}
NEEDY: dict[str, Way] = {
    "run_coroutine_threadsafe": threadsafe_to_thread,
    "asyncio.run": run_to_thread,
}
FULL = 2
IN_FULL = f"of a coroutine that needs a thread, in all {FULL} threads of the pool"
CALLING: tuple[tuple[str, str, Callable[[Caller], App], dict[str, Way]], ...] = (
    (AIOHTTP, "in a thread", in_a_thread, NEEDY),
    (AIOHTTP, "on the loop's thread", on_the_loop, {}),
    (QUART, "in a sync route", sync_route, NEEDY),
    (QUART, "in an async route", async_route, {}),
)


def ask_way(application: Callable[[Caller], App], way: Way, threads: int | None = None) -> Answer:
    caller = Caller(way, threads)
    with serve(application(caller)) as server:
        wires = [Wire(server.port) for _ in range(caller.calls)]
        for wire in wires:
            wire.request("GET", "/")
        texts = [wire.answer().text for wire in wires]
        for wire in wires:
            wire.__exit__()
    answers = dict.fromkeys(text.partition(":")[0] for text in texts)
    return Answer(" and ".join(answers), "; and at the same time: ".join(texts))


for stack, where, calling, needy in CALLING:
    for name, way in WAYS.items():
        experiment("coroutine-from-sync", stack, f"{name} {where}", calling, way)(ask_way)
    for name, way in needy.items():
        full = f"{name} {where}, {IN_FULL}"
        experiment("coroutine-from-sync", stack, full, calling, way, FULL)(ask_way)


ROUNDS = 15
CALLS = 50
APART = 1.4
"""Ways whose costs are not further apart than by this factor count as alike."""

KEPT, THREADSAFE = "a loop that the thread keeps", "run_coroutine_threadsafe"
OWN = (KEPT, "new_event_loop", "asyncio.run")


async def nothing() -> None:
    """The coroutine: all that it costs is the way to it."""


@contextmanager
def measured_ways(loop: asyncio.AbstractEventLoop) -> Iterator[Mapping[str, Callable[[], object]]]:
    """Every way, for this thread. loop: the server's."""
    mine = asyncio.new_event_loop()

    def new_event_loop() -> None:
        fresh = asyncio.new_event_loop()
        try:
            fresh.run_until_complete(nothing())
        finally:
            fresh.close()

    try:
        yield {
            KEPT: lambda: mine.run_until_complete(nothing()),
            "new_event_loop": new_event_loop,
            "asyncio.run": lambda: asyncio.run(nothing()),
            THREADSAFE: lambda: asyncio.run_coroutine_threadsafe(nothing(), loop).result(),
        }
    finally:
        mine.close()


def measured(loop: asyncio.AbstractEventLoop) -> dict[str, list[float]]:
    """CPU time of a call of each way, in µs, all threads together; one value a round."""
    with measured_ways(loop) as each:
        costs: dict[str, list[float]] = {name: [] for name in each}
        for _ in range(ROUNDS):
            for name, way in each.items():
                began = time.process_time()
                for _ in range(CALLS):
                    way()
                costs[name].append((time.process_time() - began) / CALLS * 1e6)
    return costs


def ordered(medians: Mapping[str, float]) -> str:
    """The ways from the cheapest to the dearest, those that are alike together."""
    groups: list[list[str]] = []
    dearest = 0.0
    for name, cost in sorted(medians.items(), key=lambda pair: pair[1]):
        if not groups or cost > dearest * APART:
            groups.append([])
        groups[-1].append(name)
        dearest = cost
    return ", then ".join(" and ".join(sorted(group)) for group in groups)


COSTING: tuple[tuple[str, str, Callable[[Plain], App]], ...] = (
    (AIOHTTP, "in a thread", partial(aiohttp_calling, to_thread)),
    (QUART, "in a sync route", quart_sync),
)


def _costs(application: Callable[[Plain], App]) -> Mapping[str, list[float]]:
    """What each way costs in a thread of that application."""
    costs: dict[str, list[float]] = {}
    loops: list[asyncio.AbstractEventLoop] = []
    with serve(application(lambda: costs.update(measured(loops[0])))) as server:
        loops.append(server.loop)
        get(server.port, "/")
    return costs


def ask_own_loops(application: Callable[[Plain], App]) -> Answer:
    """The ways that have a loop on the thread itself, in order."""
    costs = _costs(application)
    medians = {name: statistics.median(costs[name]) for name in OWN}
    return Answer(ordered(medians), _medians({name: costs[name] for name in OWN}))


def ask_servers_loop(application: Callable[[Plain], App]) -> Answer:
    """The way to the server's loop, in multiples of the cheapest one. Two threads hand over to
    one another, which costs several times as much where they are on two processors."""
    costs = _costs(application)
    cheapest = statistics.median(costs[KEPT])
    least, most = (bound(costs[THREADSAFE]) / cheapest for bound in (min, max))
    low, high = 2 ** floor(log2(least)), 2 ** ceil(log2(most))
    return Answer(
        f"{low:g} to {high:g} times {KEPT}",
        _medians({name: costs[name] for name in (KEPT, THREADSAFE)}),
        varies=True,
    )


def _medians(costs: Mapping[str, list[float]]) -> str:
    told = (
        f"{name} {statistics.median(values):.0f} µs ({min(values):.0f} to {max(values):.0f})"
        for name, values in costs.items()
    )
    return f"CPU time of a call, median of {ROUNDS} rounds of {CALLS} calls: {', '.join(told)}"


for stack, where, costing in COSTING:
    for setting, ask in (
        ("on a loop of its own", ask_own_loops),
        ("on the server's loop", ask_servers_loop),
    ):
        experiment("coroutine-cost", stack, f"{where}, {setting}", costing, alone=True)(ask)


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


Worker = Callable[[Used], str]


async def in_pool(plain: Worker, used: Used) -> str:
    return await asyncio.to_thread(plain, used)


async def in_new_thread(plain: Worker, used: Used) -> str:
    """As servers do that make a thread for each request."""
    with ThreadPoolExecutor(1) as own:
        return await asyncio.get_running_loop().run_in_executor(own, plain, used)


def aiohttp_plain(
    plain: Worker, thread: Callable[[Worker, Used], Awaitable[str]], used: Used
) -> web.Application:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=await thread(plain, used))

    app = web.Application()
    app.router.add_get("/", handler)
    return app


def quart_plain(plain: Worker, used: Used) -> Quart:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        return plain(used)

    return app


def _descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def _all_ask(wires: list[Wire], target: str) -> set[str]:
    for wire in wires:
        wire.request("GET", target)
    return {wire.answer().text for wire in wires}


HELPED: Variants = {
    AIOHTTP: {
        "the helper through asyncio.to_thread": partial(aiohttp_plain, with_helper, in_pool),
        "the helper in a new thread each time": partial(aiohttp_plain, with_helper, in_new_thread),
        "asyncio.run instead, through asyncio.to_thread": partial(aiohttp_plain, with_run, in_pool),
    },
    QUART: {
        "the helper in a sync route": partial(quart_plain, with_helper),
        "asyncio.run instead, in a sync route": partial(quart_plain, with_run),
    },
}


@variants("get-or-create-loop", HELPED)
def ask_helper(application: Callable[[Used], App]) -> Answer:
    """Ask often, and see how many loops there are and what stays open of them."""
    used = Used()
    with (
        warnings.catch_warnings(record=True) as caught,
        serve(application(used)) as server,
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


class Recursing:
    """A helper as a tutorial has it: with no loop running it makes one, and calls itself."""

    def __init__(self) -> None:
        self.made: list[weakref.ref[asyncio.AbstractEventLoop]] = []
        self.said = "nothing"

    def get_or_create_loop(self) -> asyncio.AbstractEventLoop:
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            loop = asyncio.new_event_loop()
            self.made.append(weakref.ref(loop))
            asyncio.set_event_loop(loop)
            return self.get_or_create_loop()

    def call(self) -> None:
        """What the plain code does, and what it gets."""
        try:
            self.get_or_create_loop()
            self.said = "a loop"
        except (RecursionError, OSError) as error:
            self.said = type(error).__name__


RECURSING: Variants = {
    AIOHTTP: {
        "in a handler": partial(aiohttp_calling, called),
        "through asyncio.to_thread": partial(aiohttp_calling, to_thread),
    },
    QUART: {"in an async route": partial(quart_calling, called), "in a sync route": quart_sync},
}


@variants("recursing-loop-helper", RECURSING)
def ask_recursing(application: Callable[[Plain], App]) -> Answer:
    """Call it once, and count the loops that it made and nobody closed."""
    helper = Recursing()
    with serve(application(helper.call)) as server:
        get(server.port, "/")
    text = helper.said
    loops = [loop for made in helper.made if (loop := made()) is not None]
    left = sum(not loop.is_closed() for loop in loops)
    many = "more than a hundred loops" if len(helper.made) > 100 else f"{len(helper.made)} loops"
    open_ = "some left open" if left else "none left open"
    return Answer(
        f"gets {text}" if not helper.made else f"gets no loop but an error, makes {many}, {open_}",
        f"one call ended with {text}, made {len(helper.made)} loops and left {left} open",
    )


OTHER_PATIENCE_S = 3.0
LATER_S = 0.3


@dataclass(frozen=True, slots=True)
class Owned:
    """What an application makes at start-up, on its loop."""

    loop: asyncio.AbstractEventLoop
    session: aiohttp.ClientSession
    lock: asyncio.Lock
    queue: asyncio.Queue[str]

    @classmethod
    @asynccontextmanager
    async def made(cls) -> AsyncIterator[Owned]:
        """Make it all, and close what is to be closed."""
        async with aiohttp.ClientSession() as session:
            loop = asyncio.get_running_loop()
            yield cls(loop, session, asyncio.Lock(), asyncio.Queue())

    async def hold(self, waiting: threading.Event) -> None:
        """What other requests do: keep the lock until somebody has waited for it for a while."""
        async with self.lock:
            await asyncio.to_thread(waiting.wait)
            await asyncio.sleep(LATER_S)

    async def put(self, waiting: threading.Event) -> None:
        """Put an item when somebody has waited for it for a while."""
        await asyncio.to_thread(waiting.wait)
        await asyncio.sleep(LATER_S)
        self.queue.put_nowait("item")


Use = Callable[[Owned, str], Coroutine[Any, Any, None]]
"""Uses one of these; the other argument is the address of a page."""


async def fetch(owned: Owned, page: str) -> None:
    async with owned.session.get(page) as answer:
        await answer.read()


async def wait_for_lock(owned: Owned, _: str) -> None:
    async with owned.lock:
        pass


async def wait_for_item(owned: Owned, _: str) -> None:
    await owned.queue.get()


Run = Callable[[Coroutine[Any, Any, None], asyncio.AbstractEventLoop], None]
"""Runs a coroutine from plain code, given the server's loop."""


def on_own_loop(coroutine: Coroutine[Any, Any, None], _: asyncio.AbstractEventLoop) -> None:
    asyncio.run(coroutine)


def on_servers_loop(coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> None:
    asyncio.run_coroutine_threadsafe(coroutine, loop).result()


class Attempt:
    """Plain code in a thread that uses what is owned."""

    def __init__(self, way: Run, use: Use) -> None:
        self._way = way
        self._use = use
        self._waiting = threading.Event()
        self._said = f"hangs: not done after {OTHER_PATIENCE_S:g} s"

    async def become(self, owned: Owned, page: str) -> str:
        """What becomes of it. The thread is one of its own, since it may never end."""
        async with asyncio.TaskGroup() as others:
            # Two want the lock, so that it belongs to this loop.
            for other in (owned.hold, owned.hold, owned.put):
                others.create_task(other(self._waiting))
            await asyncio.sleep(0)
            thread = threading.Thread(target=self._try, args=(owned, page), daemon=True)
            thread.start()
            await asyncio.to_thread(thread.join, OTHER_PATIENCE_S)
        return self._said

    def _try(self, owned: Owned, page: str) -> None:
        try:
            self._way(self._run(owned, page), owned.loop)
        except RuntimeError as error:
            # Before that it names tasks and addresses, which differ each time.
            self._said = f"raises RuntimeError: … {str(error).rpartition('> ')[2]}"
        else:
            self._said = "works: done"

    async def _run(self, owned: Owned, page: str) -> None:
        self._waiting.set()
        await self._use(owned, page)


def aiohttp_owning(attempt: Attempt) -> web.Application:
    key = web.AppKey("owned", Owned)

    async def own(app: web.Application) -> AsyncIterator[None]:
        async with Owned.made() as app[key]:
            yield

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="page")

    async def handler(request: web.Request) -> web.Response:
        address = str(request.url.with_path("/page"))
        return web.Response(text=await attempt.become(request.app[key], address))

    app = web.Application()
    app.cleanup_ctx.append(own)
    app.router.add_get("/page", page)
    app.router.add_get("/", handler)
    return app


def quart_owning(attempt: Attempt) -> Quart:
    app = Quart(__name__)

    @app.while_serving
    async def own() -> AsyncGenerator[None, None]:
        async with Owned.made() as app.extensions["owned"]:
            yield

    @app.get("/page")
    async def page() -> str:
        return "page"

    @app.get("/")
    async def handler() -> str:
        return await attempt.become(app.extensions["owned"], f"{request.host_url}page")

    return app


RUNS: dict[str, Run] = {
    "asyncio.run": on_own_loop,
    "run_coroutine_threadsafe": on_servers_loop,
}
USES: dict[str, Use] = {
    "a request of the application's ClientSession": fetch,
    "an asyncio.Lock that others want": wait_for_lock,
    "an asyncio.Queue that others fill": wait_for_item,
}
OTHER_LOOP = {
    f"{run_name}, {use_name}": (run, use)
    for run_name, run in RUNS.items()
    for use_name, use in USES.items()
}


@experiments("other-loop", {AIOHTTP: aiohttp_owning, QUART: quart_owning}, OTHER_LOOP)
def ask_other_loop(application: Callable[[Attempt], App], how: tuple[Run, Use]) -> Answer:
    with serve(application(Attempt(*how))) as server, Wire(server.port) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port)
        text = wire.answer().text
    return Answer(text.partition(":")[0], text)
