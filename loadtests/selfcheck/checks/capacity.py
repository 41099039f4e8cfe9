"""Is the limit of a server found, and does its interval hold it? Of servers whose limit is known.

Two kinds of them. Simulated ones have many sittings, for the share of intervals that hold the
truth. Real ones, over real sockets, hold their only thread, or one of a pool, for an exact time a
request, so that their limit for an objective follows from arithmetic.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from loopbench.loadtests.capacity.measure import BEGIN_AT
from loopbench.loadtests.capacity.objective import Objective
from loopbench.loadtests.capacity.search import Search
from loopbench.loadtests.capacity.trial import Target, closed_rate, offer
from loopbench.loadtests.distributed.generator_process import Generator, generator_process
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import allowed_cpus, plan_cpus
from loopbench.loadtests.selfcheck.seeds import one_thread
from loopbench.loadtests.selfcheck.simulated import SHARE, WINDOW, Server, true_limit
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.results.stats.queueing.queues import ONE_THREAD, Queue
from loopbench.results.stats.queueing.rate_limit import Crossing
from loopbench.servers.contract.content import TEXT
from loopbench.servers.contract.http import (
    Case,
    Expected,
    get,
)
from loopbench.servers.supervision import own_modules

SITTINGS, TRIALS = 40, 48
"""So many trials fit into the minute that a stack has by default."""

PRECISION = 0.04
_SEED = 11
SIMULATED = (
    Server(2e-3, 0.0, _SEED),
    Server(2e-3, 0.05, _SEED),
    Server(2e-3, 0.1, _SEED),
    Server(2e-4, 0.02, _SEED),
    Server(2e-4, 0.1, _SEED),
    Server(2e-3, 0.03, _SEED, Queue(1, 1.0)),
    Server(1e-2, 0.03, _SEED, Queue(6)),
    Server(3e-3, 0.03, _SEED, Queue(6, 1.0)),
    Server(2e-3, 0.03, _SEED, Queue(1, wait=0.35)),
)

LEAST_HELD = 0.9
"""Of 40 intervals at 95 % fewer hold the truth by luck five times in a hundred."""

HELD = ((ONE_THREAD, 2e-3), (ONE_THREAD, 5e-4), (Queue(6), 1e-2))
"""What the real servers are: the queue, and for how long a request holds a thread of it."""

BUDGET_S = 60.0
FURTHEST = 0.03
_ENDED_BOUND_S = 5.0
_MODULES = "loadtests.selfcheck.seeds"

EXACT = Case("held", get("/"), Expected(200, TEXT, one_thread.BODY))
OBJECTIVE = Objective((1 - SHARE) * 100, WINDOW.limit_s * 1e3)


def check(say: Callable[[str], None]) -> list[Verdict]:
    """Simulated servers first, a minute or two each; then a minute of each real one."""
    verdicts = [simulated(server) for server in SIMULATED]
    cpus = plan_cpus(allowed_cpus())
    with generator_process(cpus=cpus.generator) as generator:
        for queue, hold_s in HELD:
            with exact_server(hold_s, cpus.server, queue.threads) as server:
                name = f"real, {_described(queue, hold_s)}"
                known = Server(hold_s, 0.0, _SEED, queue)
                verdicts.append(_near(name, server, EXACT, generator, known, say))
    return verdicts


def _described(queue: Queue, service_s: float) -> str:
    threads = "one thread" if queue.threads == 1 else f"{queue.threads} threads"
    service = "exponential services of" if queue.variation else "exactly"
    wait = f" beside {queue.wait * WINDOW.limit_s * 1e3:g} ms of waiting" if queue.wait else ""
    return f"{threads}, {service} {service_s * 1e3:g} ms{wait}"


def simulated(server: Server) -> Verdict:
    """How many of the intervals hold the limit; each sitting ends as one of `capacity` does."""
    true = true_limit(server)
    limits = [server.sitting(number, TRIALS, PRECISION).limit() for number in range(SITTINGS)]
    known = [limit for limit in limits if limit is not None and limit.interval is not None]
    held = sum(true in limit.interval for limit in known if limit.interval is not None)
    widths = [limit.half_width for limit in known if limit.half_width is not None]
    enough = sum(width <= PRECISION for width in widths)
    return Verdict(
        f"simulated, {_described(server.queue, server.service_s)}, ±{server.noise:.0%} from trial "
        f"to trial: the interval holds the limit of {true:,.0f}/s in {LEAST_HELD:.0%} of sittings",
        f"in {held} of {SITTINGS}; half of it is {statistics.median(widths):.1%} in the middle, "
        f"at most {PRECISION:.0%} in {enough}",
        held >= LEAST_HELD * SITTINGS,
    )


def search(server: Target, case: Case, generator: Generator) -> Crossing | None:
    """The limit from the trials of BUDGET_S, as `capacity` would search for it alone."""
    begin = BEGIN_AT * closed_rate(server, case, generator, _SEED).rate_rps
    limit_search = Search(OBJECTIVE.share, begin, str(_SEED))
    ends_s = time.monotonic() + BUDGET_S
    number = 0
    while time.monotonic() < ends_s and (rate := limit_search.next_rps()) is not None:
        number += 1
        tried = offer(server, case, rate, OBJECTIVE, generator, number)
        limit_search.learn(rate, tried)
    return limit_search.limit()


def _near(
    name: str,
    server: Target,
    case: Case,
    generator: Generator,
    known: Server,
    say: Callable[[str], None],
) -> Verdict:
    true = true_limit(known)
    limit = search(server, case, generator)
    demand = f"{name}: its limit within {FURTHEST:.0%} of {true:,.1f}/s, by arithmetic"
    if limit is None or limit.interval is None:
        return Verdict(demand, "no limit was found", met=False)
    if limit.reading is not None:
        say(
            f"{name}: {limit.trials} trials, read as {limit.reading.queue.threads} x "
            f"{limit.reading.service_s * 1e3:.3f} ms, {limit.reading.deviation:.1%} from trial to "
            "trial"
        )
    off = limit.rate_rps / true - 1
    measured = (
        f"{limit.rate_rps:,.1f}/s [{limit.interval.low:,.1f} to {limit.interval.high:,.1f}], "
        f"{off:+.1%}"
    )
    return Verdict(demand, measured, abs(off) <= FURTHEST)


@dataclass(frozen=True, slots=True)
class ExactServer:
    """A live server of seeds/one_thread.py, or seeds/thread_pool.py."""

    host: str
    port: int
    child: subprocess.Popen[bytes]

    @property
    def pids(self) -> tuple[int, ...]:
        """Its only process."""
        return (self.child.pid,)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.child.poll() is None


@contextmanager
def exact_server(
    hold_s: float, cpus: frozenset[int] | None = None, threads: int = 1
) -> Iterator[ExactServer]:
    """Start one in a process of its own, and end it."""
    module, *options = ("one_thread",) if threads == 1 else ("thread_pool", str(threads))
    words = (*options, f"{hold_s * 1e6:g}", *map(str, cpus or ()))
    child = subprocess.Popen(
        own_modules.command(f"{_MODULES}.{module}", *words),
        env=own_modules.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
    )
    with child:
        assert child.stdin is not None and child.stdout is not None
        try:
            port = child.stdout.readline()
            if not port:
                raise HarnessError("the server of this check did not start")
            yield ExactServer("127.0.0.1", int(port), child)
        finally:
            child.stdin.close()
            try:
                child.wait(_ENDED_BOUND_S)
            except subprocess.TimeoutExpired:
                child.kill()
