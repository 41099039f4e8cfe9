"""A save to two stores, one after the other, whose clients leave at random moments.

The application is the suite's own, with its `POST /save/both`, on the framework's own server.
What is in one store only, when everything that was begun has ended, is a pair half written.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from loopbench.loadtests.behaviour.disconnect.leaving import CANCEL
from loopbench.loadtests.behaviour.framework.question import (
    NONE,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.services.services import ServiceMissing, postgres_server, redis_server
from loopbench.servers.apps import aiohttp_app, quart_app
from loopbench.servers.contract.data_cases import BOTH_PROTECTIONS, PAIRS
from loopbench.servers.settings import Settings

CLIENTS = 1000
TOGETHER = 32
SEED = 11
BOUND_S = 75.0
SETTINGS = Settings(pool_timeout_s=60.0)
"""So that a pool run dry, which can halve a pair too, has no part in the answer."""

_QUIET_S = 0.3
_SETTLED_BOUND_S = 30.0

WHOLE, HALF = "no pair is half-written", "some pairs are half-written"

Serve = Callable[[Settings], AbstractContextManager[Live]]


def on_aiohttp(settings: Settings, **options: bool) -> AbstractContextManager[Live]:
    """options: of AppRunner."""
    return aiohttp_server(aiohttp_app.create_app(settings), access_log=None, **options)


def on_quart(settings: Settings) -> AbstractContextManager[Live]:
    return hypercorn_server(quart_app.create_app(settings))


SERVERS: tuple[tuple[str, str, Serve], ...] = (
    ("aiohttp", "", on_aiohttp),
    ("aiohttp", "handler_cancellation=True, ", partial(on_aiohttp, **CANCEL)),
    ("quart-hypercorn", "", on_quart),
)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Halves in each store, and those that lack the other; of how many clients, who left within
    so long, how many had an answer."""

    first: int
    second: int
    half: int
    clients: int
    within_s: float
    answered: int

    @property
    def line(self) -> str:
        """In words."""
        return (
            f"{self.half} pairs half-written of {self.clients} clients that left within "
            f"{self.within_s * 1000:.0f} ms, {self.answered} of them with an answer; "
            f"{self.first} halves in the first store, {self.second} in the second"
        )


def count(port: int, protect: str, clients: int) -> Pairs:
    """Let so many clients ask for a save and leave, and count once everything has ended."""
    at_first = _pairs(port)
    within_s, answered = asyncio.run(_leave(port, protect, clients))
    before = _pairs(port)
    deadline, quiet_since = time.monotonic() + _SETTLED_BOUND_S, time.monotonic()
    while time.monotonic() - quiet_since < _QUIET_S:
        if time.monotonic() > deadline:
            raise TimeoutError("saves did not come to an end")
        time.sleep(0.05)
        now = _pairs(port)
        if now != before:
            before, quiet_since = now, time.monotonic()
    first, second, half = (later - once for later, once in zip(before, at_first, strict=True))
    if not first:
        raise ValueError("no save was begun: the clients left too early")
    return Pairs(first, second, half, clients, within_s, answered)


async def _leave(port: int, protect: str, clients: int) -> tuple[float, int]:
    """A client leaves between its request and twice the time that a save usually takes."""
    chance, gate = random.Random(SEED), asyncio.Semaphore(TOGETHER)
    request = f"POST /save/both?protect={protect} HTTP/1.1\r\nHost: localhost\r\n"
    request += "Content-Length: 0\r\n\r\n"

    async def ask(stay_s: float) -> float | None:
        """How long the answer took; None where it was not waited for."""
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                began = time.perf_counter()
                writer.write(request.encode())
                async with asyncio.timeout(stay_s):
                    await reader.readuntil(b"}")
                return time.perf_counter() - began
            except TimeoutError:
                return None
            finally:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

    usual = await asyncio.gather(*(ask(10.0) for _ in range(2 * TOGETHER)))
    within_s = 2 * statistics.median(took for took in usual if took is not None)
    stays = [chance.uniform(0, within_s) for _ in range(clients)]
    seen = await asyncio.gather(*map(ask, stays))
    return within_s, sum(took is not None for took in seen)


def _pairs(port: int) -> tuple[int, int, int]:
    reply = get(port, "/save/both")
    found = PAIRS.fullmatch(reply.body)
    if found is None:
        raise ValueError(f"{reply.status}: {reply.text}")
    first, second, half = map(int, found.groups())
    return first, second, half


def embedded(serve: Serve, protect: str) -> Answer:
    """On the two embedded databases."""
    with serve(SETTINGS) as server:
        found = count(server.port, protect, CLIENTS)
    return Answer(HALF if found.half else WHOLE, found.line)


def with_services(serve: Serve) -> Answer:
    """Every protection on Redis and PostgreSQL, which take a while to start."""
    try:
        with services(SETTINGS) as settings:
            found = {protect: _counted(serve, settings, protect) for protect in BOTH_PROTECTIONS}
    except ServiceMissing as error:
        return Answer(NONE, str(error))
    half = [protect for protect, pairs in found.items() if pairs.half]
    return Answer(
        f"{HALF}: protect={', '.join(half)}" if half else WHOLE,
        "; ".join(f"protect={protect}: {pairs.line}" for protect, pairs in found.items()),
    )


def _counted(serve: Serve, settings: Settings, protect: str) -> Pairs:
    with serve(settings) as server:  # whose pairs are its own
        return count(server.port, protect, CLIENTS)


@contextmanager
def services(settings: Settings) -> Iterator[Settings]:
    """The settings with a Redis and a PostgreSQL of their own. Raises ServiceMissing."""
    with ExitStack() as cleanup:
        redis = cleanup.enter_context(redis_server())
        postgres = cleanup.enter_context(postgres_server())
        yield replace(settings, redis_url=redis.url, database_url=postgres.url)


CLAIMED = "Shielding every await makes a handler safe."
ON_SERVICES = "Redis and PostgreSQL"

QUESTION = Question(
    "When clients leave in the middle of a save to two stores: is a pair half-written?",
    (
        *(
            Experiment(
                stack, f"{setting}protect={protect}", partial(embedded, serve, protect), BOUND_S
            )
            for stack, setting, serve in SERVERS
            for protect in BOTH_PROTECTIONS
        ),
        *(
            Experiment(stack, f"{setting}{ON_SERVICES}", partial(with_services, serve), 2 * BOUND_S)
            for stack, setting, serve in SERVERS
        ),
    ),
    tuple(
        Claim(CLAIMED, {WHOLE: Agrees.YES, HALF: Agrees.NO}, (stack,), (f"{on}protect=shield",))
        for stack, on in (("aiohttp", "handler_cancellation=True, "), ("quart-hypercorn", ""))
    ),
    {
        f"{HALF}: *": "Only the protections that are not named here keep the two stores alike.",
        HALF: "What has been written to the first store stays there when the client leaves before "
        "the second. Shield both steps as one coroutine, or save in a task of its own.",
    },
)
