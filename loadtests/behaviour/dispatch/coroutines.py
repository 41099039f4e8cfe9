"""Coroutines run from plain code: which ways work, hang, leak or cost, and on whose loop."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, field
from functools import partial
from math import ceil, floor, log2
from typing import Any

import aiohttp

from loopbench.loadtests.behaviour.applications import CALLING, PLAIN_CODE, SYNC, Plain, hello
from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments, variants
from loopbench.loadtests.behaviour.dispatch.pools import all_ask, connected, set_pool
from loopbench.loadtests.behaviour.framework.events import warned
from loopbench.loadtests.behaviour.serving import AIOHTTP, ANSWERING, QUART, Build, serve
from loopbench.loadtests.behaviour.talking import get

PATIENCE_S = 2.0

Loop = asyncio.AbstractEventLoop
Way = Callable[[Coroutine[Any, Any, Any], Loop], Any]
"""Runs a coroutine from plain code, given the server's loop."""


def new_event_loop(coroutine: Coroutine[Any, Any, Any], _: Loop) -> Any:
    mine = asyncio.new_event_loop()
    try:
        return mine.run_until_complete(coroutine)
    finally:
        coroutine.close()
        mine.close()


async def which(server_loop: Loop) -> str:
    """A coroutine that says which loop it runs on."""
    await asyncio.sleep(0)
    same = asyncio.get_running_loop() is server_loop
    return "on the server's loop" if same else "on a loop of its own"


async def which_in_thread(server_loop: Loop) -> str:
    """One that needs a worker thread itself, as for a name look-up or a file."""
    await asyncio.to_thread(str)
    return await which(server_loop)


WAYS: dict[str, Way] = {
    "asyncio.run": lambda coroutine, _: asyncio.run(coroutine),
    "new_event_loop().run_until_complete": new_event_loop,
    "run_coroutine_threadsafe": lambda coroutine, loop: asyncio.run_coroutine_threadsafe(
        coroutine, loop
    ).result(PATIENCE_S),
}
NEEDY = ("run_coroutine_threadsafe", "asyncio.run")
"""The ways to be tried in a pool that is full."""

FULL = 2
IN_FULL = f"of a coroutine that needs a thread, in all {FULL} threads of the pool"
IN_THREAD = {AIOHTTP: "in a thread", QUART: "in a sync route"}
ON_LOOP = {AIOHTTP: "on the loop's thread", QUART: "in an async route"}
"""Where plain code is called. On the loop's own thread it is a mistake."""


def ask_way(application: Build, way: Way, threads: int | None = None) -> Answer:
    """Have plain code run a coroutine in that way, in all threads of a small pool at once.

    threads: the size of the pool; None: the default pool, and one call.
    """
    calls = threads or 1
    together = threading.Barrier(calls)
    coroutine = which_in_thread if threads else which

    def run() -> str:
        try:
            return f"runs {way(coroutine(server.loop), server.loop)}"
        except (NotInTime, TimeoutError):
            return f"hangs: nothing within {PATIENCE_S:g} s"
        except RuntimeError as error:
            return f"raises RuntimeError: {error}"

    def plain() -> str:
        """No call begins or ends before all of them do."""
        together.wait(PATIENCE_S)
        became = run()
        together.wait(2 * PATIENCE_S)
        return became

    with serve(application(plain)) as server, connected(server.port, calls) as wires:
        server.call(set_pool(threads))
        texts = all_ask(wires)
    answers = dict.fromkeys(text.partition(":")[0] for text in texts)
    return Answer(" and ".join(answers), "; and at the same time: ".join(texts))


for stack in SYNC:
    for where, calling in ((IN_THREAD[stack], SYNC[stack]), (ON_LOOP[stack], CALLING[stack])):
        for name, way in WAYS.items():
            experiment("coroutine-from-sync", stack, f"{name} {where}", calling, way)(ask_way)
    for name in NEEDY:
        full = f"{name} {IN_THREAD[stack]}, {IN_FULL}"
        experiment("coroutine-from-sync", stack, full, SYNC[stack], WAYS[name], FULL)(ask_way)


ROUNDS = 15
CALLS = 50
APART = 1.4
"""Ways whose costs are not further apart than by this factor count as alike."""

KEPT, THREADSAFE = "a loop that the thread keeps", "run_coroutine_threadsafe"


async def nothing() -> None:
    """The coroutine: all that it costs is the way to it."""


def measured(loop: Loop) -> dict[str, list[float]]:
    """CPU time of a call of each way, in µs, all threads together; one value a round.

    loop: the server's.
    """
    mine = asyncio.new_event_loop()
    ways: dict[str, Plain] = {
        KEPT: lambda: mine.run_until_complete(nothing()),
        "new_event_loop": lambda: new_event_loop(nothing(), loop),
        "asyncio.run": lambda: asyncio.run(nothing()),
        THREADSAFE: lambda: asyncio.run_coroutine_threadsafe(nothing(), loop).result(),
    }
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.process_time()
            for _ in range(CALLS):
                way()
            costs[name].append((time.process_time() - began) / CALLS * 1e6)
    mine.close()
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


Costs = dict[str, list[float]]


def own_loops(costs: Costs) -> str:
    """The ways that have a loop on the thread itself, in order."""
    del costs[THREADSAFE]
    return ordered({name: statistics.median(values) for name, values in costs.items()})


def servers_loop(costs: Costs) -> str:
    """The way to the server's loop, in multiples of the cheapest one. Two threads hand over to
    one another, which costs several times as much where they are on two processors."""
    cheapest = statistics.median(costs[KEPT])
    low = 2 ** floor(log2(min(costs[THREADSAFE]) / cheapest))
    high = 2 ** ceil(log2(max(costs[THREADSAFE]) / cheapest))
    return f"{low:g} to {high:g} times {KEPT}"


def ask_costs(application: Build, judge: Callable[[Costs], str]) -> Answer:
    """What the ways cost in a thread of that application."""
    costs: Costs = {}

    def plain() -> None:
        costs.update(measured(server.loop))

    with serve(application(plain)) as server:
        get(server.port, "/")
    answer = judge(costs)
    told = (
        f"{name} {statistics.median(values):.0f} µs ({min(values):.0f} to {max(values):.0f})"
        for name, values in costs.items()
    )
    evidence = f"CPU time of a call, median of {ROUNDS} rounds of {CALLS} calls: {', '.join(told)}"
    return Answer(answer, evidence, varies=judge is servers_loop)


for stack, where in IN_THREAD.items():
    for loop, judge in (("a loop of its own", own_loops), ("the server's loop", servers_loop)):
        place = f"{where}, on {loop}"
        experiment("coroutine-cost", stack, place, SYNC[stack], judge, alone=True)(ask_costs)


REQUESTS = 64
CONNECTIONS = 16


def get_or_create_loop() -> Loop:
    """The helper as it is passed around."""
    try:
        return asyncio.get_event_loop()
    except RuntimeError:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        return loop


def open_ones(loops: list[weakref.ref[Loop]]) -> int:
    """How many of them are still there, and not closed."""
    return sum(not loop.is_closed() for known in loops if (loop := known()) is not None)


def helped(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return get_or_create_loop().run_until_complete(coroutine)


async def in_new_thread(plain: Plain) -> object:
    """As servers do that make a thread for each request."""
    with ThreadPoolExecutor(1) as own:
        return await asyncio.get_running_loop().run_in_executor(own, plain)


IN_NEW_THREAD = partial(CALLING[AIOHTTP], way=in_new_thread)
helper = partial(experiment, "get-or-create-loop")


@helper(AIOHTTP, "the helper through asyncio.to_thread", SYNC[AIOHTTP], helped)
@helper(AIOHTTP, "the helper in a new thread each time", IN_NEW_THREAD, helped)
@helper(AIOHTTP, "asyncio.run instead, through asyncio.to_thread", SYNC[AIOHTTP], asyncio.run)
@helper(QUART, "the helper in a sync route", SYNC[QUART], helped)
@helper(QUART, "asyncio.run instead, in a sync route", SYNC[QUART], asyncio.run)
def ask_helper(application: Build, run: Callable[[Coroutine[Any, Any, str]], str]) -> Answer:
    """Ask often, and see how many loops there are and what stays open of them."""
    lock, threads = threading.Lock(), set[threading.Thread]()
    loops: list[weakref.ref[Loop]] = []

    async def coroutine() -> str:
        """What the plain code needs done."""
        loop = asyncio.get_running_loop()
        with lock:
            if not any(known() is loop for known in loops):
                loops.append(weakref.ref(loop))
            threads.add(threading.current_thread())
        return "worked"

    def plain() -> object:
        time.sleep(0.01)  # so that one thread alone does not do it all
        return run(coroutine())

    with (
        warned() as caught,
        serve(application(plain)) as server,
        connected(server.port, CONNECTIONS) as wires,
    ):
        all_ask(wires, "/missing")
        before = len(os.listdir("/dev/fd"))
        rounds = [all_ask(wires) for _ in range(REQUESTS // CONNECTIONS)]
        said = set[str]().union(*rounds)
        gc.collect()
        left = len(os.listdir("/dev/fd")) - before
    complaints = sum(one.category is ResourceWarning for one in caught)
    works = "works" if said == {"worked"} else "fails"
    made, open_ = len(loops), open_ones(loops)
    per = "a loop a thread" if made == len(threads) else "a loop a call"
    if made not in (len(threads), REQUESTS):
        per = "loops shared otherwise"
    stays = {0: "all closed", made: "all stay open"}.get(open_, "some stay open")
    if not open_ and complaints:
        stays = "closed by the garbage collector"
    return Answer(
        f"{works}, {per}, {stays}",
        f"{REQUESTS} requests used {made} loops on {len(threads)} threads; {open_} "
        f"of them and {left} more descriptors were open afterwards, with {complaints} "
        f"ResourceWarnings; answers: {' and '.join(sorted(map(ascii, said)))}",
    )


@variants("recursing-loop-helper", PLAIN_CODE)
def ask_recursing(application: Build) -> Answer:
    """Call it once, and count the loops that it made and nobody closed."""
    loops: list[weakref.ref[Loop]] = []

    def get_or_create_loop() -> Loop:
        """As a tutorial has it: with no loop running it makes one, and calls itself."""
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            loop = asyncio.new_event_loop()
            loops.append(weakref.ref(loop))
            asyncio.set_event_loop(loop)
            return get_or_create_loop()

    def plain() -> str:
        try:
            get_or_create_loop()
        except (RecursionError, OSError) as error:
            return type(error).__name__
        return "a loop"

    with serve(application(plain)) as server:
        text = get(server.port, "/").text
    made, left = len(loops), open_ones(loops)
    many = "more than a hundred loops" if made > 100 else f"{made} loops"
    open_ = "some left open" if left else "none left open"
    return Answer(
        f"gets {text}" if not made else f"gets no loop but an error, makes {many}, {open_}",
        f"one call ended with {text}, made {made} loops and left {left} open",
    )


OTHER_PATIENCE_S = 3.0
LATER_S = 0.3


@dataclass(frozen=True, slots=True)
class Owned:
    """What an application has made on its loop."""

    session: aiohttp.ClientSession
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    queue: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

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


Use = Callable[[Owned, str], Awaitable[object]]
"""Uses one of these; the other argument is the address of a page."""


async def fetch(owned: Owned, page: str) -> None:
    async with owned.session.get(page) as answer:
        await answer.read()


async def wait_for_lock(owned: Owned, _: str) -> None:
    async with owned.lock:
        pass


async def attempt(way: Way, use: Use, page: str) -> str:
    """What becomes of plain code in a thread that uses what is owned, while others do, too. The
    thread is one of its own, since it may never end."""
    loop, waiting = asyncio.get_running_loop(), threading.Event()
    became = [f"hangs: not done after {OTHER_PATIENCE_S:g} s"]

    async def coroutine() -> None:
        waiting.set()
        await use(owned, page)

    def plain() -> None:
        try:
            way(coroutine(), loop)
        except RuntimeError as error:
            # Before that it names tasks and addresses, which differ each time.
            became.append(f"raises RuntimeError: … {str(error).rpartition('> ')[2]}")
        else:
            became.append("works: done")

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as others:
        owned = Owned(session)
        # Two want the lock, so that it belongs to this loop.
        for other in (owned.hold, owned.hold, owned.put):
            others.create_task(other(waiting))
        await asyncio.sleep(0)
        thread = threading.Thread(target=plain, daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, OTHER_PATIENCE_S)
    return became[-1]


USES: dict[str, Use] = {
    "a request of the application's ClientSession": fetch,
    "an asyncio.Lock that others want": wait_for_lock,
    "an asyncio.Queue that others fill": lambda owned, _: owned.queue.get(),
}
OTHER_LOOP = {
    f"{name}, {use}": (WAYS[name], USES[use])
    for name in ("asyncio.run", "run_coroutine_threadsafe")
    for use in USES
}


@experiments("other-loop", ANSWERING, OTHER_LOOP)
def ask_other_loop(answering: Build, how: tuple[Way, Use]) -> Answer:
    def handler() -> Awaitable[str]:
        return attempt(*how, f"http://127.0.0.1:{server.port}/page")

    with serve(answering({"/": handler, "/page": hello})) as server:
        text = get(server.port, "/").text
    return Answer(text.partition(":")[0], text)
