"""Coroutines run from plain code: which ways work, hang, leak or cost, and on whose loop."""

import asyncio
import gc
import os
import statistics
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from math import ceil, floor, log2
from timeit import timeit
from typing import Any

import aiohttp

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, ANSWERING, QUART, Build, serve
from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments, variants
from loopbench.loadtests.behaviour.dispatch.pools import all_ask, connected, set_pool
from loopbench.loadtests.behaviour.framework.events import warned
from loopbench.loadtests.behaviour.talking import NoAnswer, get, reply_of, seen

PATIENCE_S, OTHER_PATIENCE_S, LATER_S = 2.0, 3.0, 0.3
ROUNDS, CALLS = 15, 50
REQUESTS, CONNECTIONS = 64, 16
APART = 1.4
"""Ways whose costs are not further apart than by this factor count as alike."""
KEPT, THREADSAFE = "a loop that the thread keeps", "run_coroutine_threadsafe"
OWN, SERVERS = "a loop of its own", "the server's loop"

Loop = asyncio.AbstractEventLoop
Way = Callable[[Coroutine[Any, Any, Any], Loop], Any]
"""Runs a coroutine from plain code, given the server's loop."""


def new_event_loop(coroutine: Coroutine[Any, Any, Any], _: Loop) -> Any:
    with closing(asyncio.new_event_loop()) as mine, closing(coroutine):
        return mine.run_until_complete(coroutine)


def threadsafe(coroutine: Coroutine[Any, Any, Any], loop: Loop) -> Any:
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(PATIENCE_S)


WAYS: dict[str, Way] = {
    "asyncio.run": lambda coroutine, _: asyncio.run(coroutine),
    "new_event_loop().run_until_complete": new_event_loop,
    "run_coroutine_threadsafe": threadsafe,
}
NEEDY = {name: WAYS[name] for name in ("run_coroutine_threadsafe", "asyncio.run")}
"""The ways to be tried in a pool that is full, and with what belongs to another loop."""

FULL = 2
IN_FULL = f"of a coroutine that needs a thread, in all {FULL} threads of the pool"
IN_THREAD = apps.named(apps.SYNC, "in a thread", "in a sync route")
ON_LOOP = apps.named(apps.CALLING, "on the loop's thread", "in an async route")
"""Where plain code is called. On the loop's own thread it is a mistake."""


async def which(server_loop: Loop, needs_thread: bool) -> str:
    """Which loop it runs on. It may need a thread itself, as for a name look-up or a file."""
    await (asyncio.to_thread(str) if needs_thread else asyncio.sleep(0))
    same = asyncio.get_running_loop() is server_loop
    return "on the server's loop" if same else "on a loop of its own"


@variants("coroutine-from-sync", IN_THREAD, each=WAYS, named="{1} {0}")
@variants("coroutine-from-sync", ON_LOOP, each=WAYS, named="{1} {0}")
@variants("coroutine-from-sync", IN_THREAD, FULL, each=NEEDY, named=f"{{1}} {{0}}, {IN_FULL}")
def ask_way(application: Build, way: Way, threads: int | None = None) -> Answer:
    """Have plain code run a coroutine in that way, in all threads of a small pool at once.

    threads: the size of the pool; None: the default pool, and one call.
    """
    calls = threads or 1
    together = threading.Barrier(calls)

    def plain() -> str:
        """No call begins or ends before all of them do."""
        together.wait(PATIENCE_S)
        try:
            became = f"runs {way(which(server.loop, threads is not None), server.loop)}"
        except TimeoutError:
            became = f"hangs: nothing within {PATIENCE_S:g} s"
        except RuntimeError as error:
            became = f"raises RuntimeError: {error}"
        together.wait(2 * PATIENCE_S)
        return became

    with serve(application(plain)) as server, connected(server.port, calls) as wires:
        server.call(set_pool(threads))
        texts = [reply.text for reply in all_ask(wires)]
    answers = dict.fromkeys(text.partition(":")[0] for text in texts)
    return Answer(" and ".join(answers), "; and at the same time: ".join(texts))


async def nothing() -> None:
    """The coroutine: all that it costs is the way to it."""


def measured(loop: Loop) -> dict[str, list[float]]:
    """CPU time of a call of each way, in µs, all threads together; one value a round.

    loop: the server's.
    """
    with closing(asyncio.new_event_loop()) as mine:
        ways: dict[str, apps.Plain] = {
            KEPT: lambda: mine.run_until_complete(nothing()),
            "new_event_loop": lambda: new_event_loop(nothing(), loop),
            "asyncio.run": lambda: asyncio.run(nothing()),
            THREADSAFE: lambda: asyncio.run_coroutine_threadsafe(nothing(), loop).result(),
        }
        costs: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                # With the garbage collector on, as it is in a server.
                took_s = timeit(way, "gc.enable()", time.process_time, CALLS)
                costs[name].append(took_s / CALLS * 1e6)
    return costs


def ordered(medians: Mapping[str, float]) -> str:
    """The ways from the cheapest to the dearest, those that are alike together."""
    groups: list[list[str]] = []
    for name in sorted(medians, key=medians.__getitem__):
        if not groups or medians[name] > medians[groups[-1][-1]] * APART:
            groups.append([])
        groups[-1].append(name)
    return ", then ".join(" and ".join(sorted(group)) for group in groups)


@variants("coroutine-cost", IN_THREAD, each=(OWN, SERVERS), named="{}, on {}", alone=True)
def ask_costs(application: Build, whose: str) -> Answer:
    """What the ways cost in a thread of that application.

    whose: which loop they run on. The way to the server's is told in multiples of the cheapest:
    two threads hand over to one another, which costs several times as much on two processors.
    """
    costs: dict[str, list[float]] = {}

    def plain() -> None:
        costs.update(measured(server.loop))

    with serve(application(plain)) as server:
        get(server.port, "/")
    medians = {name: statistics.median(values) for name, values in costs.items()}
    each = (
        f"{name} {medians[name]:.0f} µs ({min(values):.0f} to {max(values):.0f})"
        for name, values in costs.items()
    )
    evidence = f"CPU time of a call, median of {ROUNDS} rounds of {CALLS} calls: {', '.join(each)}"
    if whose == OWN:
        del medians[THREADSAFE]
        return Answer(ordered(medians), evidence)
    multiples = [one / other for one, other in zip(costs[THREADSAFE], costs[KEPT], strict=True)]
    low, _, high = statistics.quantiles(multiples, n=4)
    # Load moves them by half: of what lies between 2, 16, 128 and so on nothing is told apart.
    ends = 2 * 8 ** floor(log2(low / 2) / 3), 2 * 8 ** ceil(log2(high / 2) / 3)
    answer = f"{ends[0]:g} to {ends[1]:g} times {KEPT}"
    return Answer(answer, evidence, varies=True)


alive: weakref.WeakSet[Loop] = weakref.WeakSet()
alive_lock = threading.Lock()


def use(loop: Loop) -> None:
    """Note a loop that is used for the first time."""
    with alive_lock:
        if loop not in alive:
            seen("a loop")
            alive.add(loop)


def counted() -> tuple[int, int]:
    """How many loops were used, and how many of them are still there and not closed."""
    return seen.events.count("a loop"), sum(not loop.is_closed() for loop in alive)


def helped(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The helper as it is passed around."""
    try:
        loop = asyncio.get_event_loop()
    except RuntimeError:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
    return loop.run_until_complete(coroutine)


async def in_new_thread(plain: apps.Plain) -> object:
    """As servers do that make a thread for each request."""
    with ThreadPoolExecutor(1) as own:
        return await asyncio.get_running_loop().run_in_executor(own, plain)


IN_NEW_THREAD = partial(apps.CALLING[AIOHTTP], way=in_new_thread)
helper = partial(experiment, "get-or-create-loop")


@helper(AIOHTTP, "the helper through asyncio.to_thread", apps.SYNC[AIOHTTP], helped)
@helper(AIOHTTP, "the helper in a new thread each time", IN_NEW_THREAD, helped)
@helper(AIOHTTP, "asyncio.run instead, through asyncio.to_thread", apps.SYNC[AIOHTTP], asyncio.run)
@helper(QUART, "the helper in a sync route", apps.SYNC[QUART], helped)
@helper(QUART, "asyncio.run instead, in a sync route", apps.SYNC[QUART], asyncio.run)
def ask_helper(application: Build, run: Callable[[Coroutine[Any, Any, str]], str]) -> Answer:
    """Ask often, and see how many loops there are and what stays open of them."""
    threads = set[threading.Thread]()

    async def coroutine() -> str:
        """What the plain code needs done."""
        use(asyncio.get_running_loop())
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
        rounds = range(REQUESTS // CONNECTIONS)
        answers = {reply.text for _ in rounds for reply in all_ask(wires)}
        gc.collect()
        left = len(os.listdir("/dev/fd")) - before
    complaints = sum(warning.category is ResourceWarning for warning in caught)
    works = "works" if answers == {"worked"} else "fails"
    used, still_open = counted()
    pers = {REQUESTS: "a loop a call", len(threads): "a loop a thread"}
    stays = {0: "all closed", used: "all stay open"}.get(still_open, "some stay open")
    if not still_open and complaints:
        stays = "closed by the garbage collector"
    evidence = f"{REQUESTS} requests used {used} loops on {len(threads)} threads"
    evidence += f"; then {still_open} of them and {left} more descriptors were open"
    evidence += (
        f"; {complaints} ResourceWarnings; answers: {', '.join(sorted(map(ascii, answers)))}"
    )
    return Answer(f"{works}, {pers.get(used, 'loops shared otherwise')}, {stays}", evidence)


@variants("recursing-loop-helper", apps.PLAIN_CODE)
def ask_recursing(application: Build) -> Answer:
    """Call it once, and count the loops that it made and nobody closed."""

    def get_or_create_loop() -> Loop:
        """As a tutorial has it: with no loop running it makes one, and calls itself."""
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            loop = asyncio.new_event_loop()
            use(loop)
            asyncio.set_event_loop(loop)
            return get_or_create_loop()

    def plain() -> str:
        try:
            get_or_create_loop()
        except (RecursionError, OSError) as error:
            return type(error).__name__
        return "a loop"

    text = reply_of(application(plain)).text
    made, still_open = counted()
    evidence = f"one call ended with {text}, made {made} loops and left {still_open} open"
    if not made:
        return Answer(f"gets {text}", evidence)
    many = "more than a hundred" if made > 100 else made
    left = "some" if still_open else "none"
    return Answer(f"gets no loop but an error, makes {many} loops, {left} left open", evidence)


class Owned:
    """What an application has made on its loop, and other requests use all the while."""

    def __init__(self) -> None:
        self.session = aiohttp.ClientSession()
        self.lock = asyncio.Lock()
        self.queue: asyncio.Queue[str] = asyncio.Queue()

    async def use(self, waiting: threading.Event) -> None:
        """Keep the lock until somebody has waited for a while; then put an item."""
        async with self.lock:
            await asyncio.to_thread(waiting.wait)
            await asyncio.sleep(LATER_S)
            self.queue.put_nowait("item")


Use = Callable[[Owned, str], Awaitable[object]]
"""Uses one of these; the other argument is the address of a page."""


async def fetch(owned: Owned, page: str) -> None:
    async with owned.session.get(page) as answer:
        await answer.read()


USES: dict[str, Use] = {
    "a request of the application's ClientSession": fetch,
    "an asyncio.Lock that others want": lambda owned, _: owned.lock.acquire(),
    "an asyncio.Queue that others fill": lambda owned, _: owned.queue.get(),
}
OTHER_LOOP = {f"{name}, {use}": (NEEDY[name], USES[use]) for name in sorted(NEEDY) for use in USES}


@experiments("other-loop", ANSWERING, OTHER_LOOP)
def ask_other_loop(answers: Build, how: tuple[Way, Use]) -> Answer:
    """Have plain code in a thread use what the loop owns, while others do, too."""
    (way, use), owned, waiting = how, list[Owned](), threading.Event()

    async def others() -> None:
        """Two, so that one waits for the lock, which then belongs to this loop."""
        owned.append(Owned())
        await asyncio.gather(owned[0].use(waiting), owned[0].use(waiting))

    async def close(_: object = None) -> None:
        await owned[0].session.close()

    async def coroutine() -> None:
        waiting.set()
        await use(owned[0], f"http://127.0.0.1:{server.port}/page")

    def plain() -> str:
        try:
            way(coroutine(), server.loop)
        except RuntimeError as error:
            # Before that it names tasks and addresses, which differ each time.
            return f"raises RuntimeError: … {str(error).rpartition('> ')[2]}"
        return "works: done"

    app = answers({"/others": others, "/page": apps.hello}, sync={"/": plain})
    apps.at_end(app, close)
    with serve(app) as server, connected(server.port, 1) as (other,):
        other.request("GET", "/others")
        get(server.port, "/page")  # they have begun
        try:
            text = get(server.port, "/", OTHER_PATIENCE_S).text
        except NoAnswer:
            text = f"hangs: not done after {OTHER_PATIENCE_S:g} s"
    return Answer(text.partition(":")[0], text)
