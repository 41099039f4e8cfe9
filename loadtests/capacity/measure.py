"""A capacity measurement from beginning to end: every stack alive, a trial of each in turn."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loopbench.loadtests.bench import environment
from loopbench.loadtests.bench.checks import verify
from loopbench.loadtests.bench.checks.failing import in_words, worst
from loopbench.loadtests.bench.starters import CHILDREN, WAYS
from loopbench.loadtests.capacity.objective import Objective
from loopbench.loadtests.capacity.search import Search
from loopbench.loadtests.capacity.trial import PROBE_S, PROBE_USERS, closed_rate, offer
from loopbench.loadtests.distributed.generator_process import Generator, generator_process
from loopbench.loadtests.errors import GeneratorDied
from loopbench.loadtests.hosts.awake import kept_awake
from loopbench.loadtests.hosts.cpus import CpuPlan, bindable_cpus, plan_cpus
from loopbench.loadtests.hosts.server_location import HERE
from loopbench.loadtests.rows.results_folder import cannot_write
from loopbench.results.schema import TRIAL_SERVICES, TRIALS, Row, TableWriter
from loopbench.servers.contract.http import Case
from loopbench.servers.errors import ServerError
from loopbench.servers.managers.managed import Served
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.messages import to_json

BEGIN_AT = 0.7
"""Of the rate that a closed loop reached: most objectives end below it."""

LOG_FILE = "log.txt"
_WHOLE_FROM = 2
"""So many times as long and more are said as a whole number."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is to be measured. case: the request that is offered.

    budget_s: for each stack, its trials alone. precision: half of the interval as a share of the
    limit that is enough.
    """

    stacks: Mapping[str, Stack]
    case: Case
    objective: Objective
    budget_s: float
    precision: float
    seed: int
    folder: Path
    command: tuple[str, ...]
    settings: Settings
    processes: int = 1


@dataclass(slots=True)
class _Contender:
    """One stack under way. ended: why it takes no more trials; blank while it does."""

    name: str
    server: Served
    search: Search
    used_s: float = 0.0
    ended: str = ""


def run(plan: Capacity, say: Callable[[str], None]) -> Mapping[str, str]:
    """Write trials.csv and trial_services.csv, rows as soon as a trial has ended.

    Returns why a stack has no figure, by name. Raises HarnessError.
    """
    cpus = plan_cpus(bindable_cpus(), plan.processes)
    log = plan.folder / LOG_FILE
    left_out: dict[str, str] = {}
    with ExitStack() as cleanup:
        awake = cleanup.enter_context(kept_awake())
        described = environment.describe(cpus, list(plan.command), plan.seed, awake=awake)
        generator = cleanup.enter_context(generator_process(cpus=cpus.generator, log=log))
        contenders = []
        for name, stack in plan.stacks.items():
            try:
                server = cleanup.enter_context(_started(stack, plan, cpus, log))
                contenders.append(_ready(name, server, plan, generator, say))
                described["stacks"][name] = to_json(server.facts)
            except (ServerError, _Unfit, GeneratorDied) as error:
                left_out[name] = str(error)
                say(f"{name} is left out: {error}")
        described["left_out"] = left_out
        try:
            environment.write(plan.folder, described)
            writers = _Writers(
                cleanup.enter_context(TableWriter(plan.folder, TRIALS)),
                cleanup.enter_context(TableWriter(plan.folder, TRIAL_SERVICES)),
            )
        except OSError as error:
            raise cannot_write(plan.folder, TRIALS.filename, error) from error
        _search(contenders, plan, generator, writers, sorted(cpus.server or ()), say)
    return left_out


@dataclass(frozen=True, slots=True)
class _Writers:
    """Of a folder's tables."""

    trials: TableWriter
    services: TableWriter


class _Unfit(Exception):
    """The server broke the contract, or answered nothing."""


def _started(
    stack: Stack, plan: Capacity, cpus: CpuPlan, log: Path
) -> AbstractContextManager[Served]:
    obstacle = WAYS[CHILDREN].obstacle(stack)
    if obstacle is not None:
        raise _Unfit(f"cannot run here: {obstacle}")
    return WAYS[CHILDREN].starter(HERE)(
        stack, plan.processes, settings=plan.settings, cpus=cpus.server, log=log
    )


def _ready(
    name: str, server: Served, plan: Capacity, generator: Generator, say: Callable[[str], None]
) -> _Contender:
    wrong = verify.problems(server.host, server.port, [plan.case])
    if wrong:
        raise _Unfit(wrong[0])
    closed = closed_rate(server, plan.case, generator, plan.seed)
    failed = ", ".join(map(in_words, worst(closed.failures)))
    if not server.alive:
        raise _Unfit(f"it died in a closed loop of {PROBE_USERS} users{_words(server, failed)}")
    if not closed.rate_rps:
        why = failed or f"none ended within the {PROBE_S:g} s that it is offered"
        raise _Unfit(f"no correct answer to a closed loop of {PROBE_USERS} users: {why}")
    if failed:
        say(f"{name}: not every answer is right ({failed}); one that fails counts as a slow one")
    if closed.limited:
        say(
            f"{name}: the load generator was full at {closed.rate_rps:,.0f} requests/s of a closed "
            "loop; higher rates cannot be offered, and a limit near or above them not be found"
        )
    share = plan.objective.share
    return _Contender(
        name, server, Search(share, BEGIN_AT * closed.rate_rps, f"{plan.seed}/{name}")
    )


def _search(
    contenders: Sequence[_Contender],
    plan: Capacity,
    generator: Generator,
    writers: _Writers,
    cpus: Sequence[int],
    say: Callable[[str], None],
) -> None:
    """Turn after Turn, one trial of each stack in an order drawn anew, until all have ended."""
    turn = 0
    while under_way := [contender for contender in contenders if not contender.ended]:
        turn += 1
        random.Random(f"{plan.seed}/turn {turn}").shuffle(under_way)
        for position, contender in enumerate(under_way, start=1):
            _trial(contender, turn, position, plan, generator, writers, cpus)
            if contender.ended:
                say(f"{contender.name}: {contender.ended}")


def _trial(
    contender: _Contender,
    turn: int,
    position: int,
    plan: Capacity,
    generator: Generator,
    writers: _Writers,
    cpus: Sequence[int],
) -> None:
    rate = contender.search.next_rps()
    if rate is None:
        contender.ended = _no_rate(contender.search)
        return
    began_s = time.monotonic()
    seed = random.Random(f"{plan.seed}/{turn}/{contender.name}").randrange(2**31)
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    try:
        tried = offer(contender.server, plan.case, rate, plan.objective, generator, seed, cpus)
    except GeneratorDied as error:
        contender.ended = str(error)
        return
    if not contender.server.alive:  # what was due after its end was late, whatever the rate
        contender.ended = _death(contender)
        return
    place: Row = {"stack": contender.name, "turn": turn, "position": position}
    about: Row = {"started_at": started_at, "case": plan.case.name}
    writers.trials.append([{**place, **about, **tried.cells}])
    writers.services.append(
        [{"stack": contender.name, "turn": turn, **cells} for cells in tried.services]
    )
    contender.search.learn(rate, tried)
    contender.used_s += time.monotonic() - began_s
    contender.ended = _enough(contender, plan)


def _words(server: Served, failed: str) -> str:
    """What a server that died has said, and what became of its requests."""
    return "".join(f": {text}" for text in (server.failure, failed) if text)


def _death(contender: _Contender) -> str:
    return f"died: {contender.server.failure or 'without a word'}"


def _no_rate(search: Search) -> str:
    if search.limited_rps is None:
        return "no rate is left that could be offered"
    return f"the load generator could not offer {search.limited_rps:,.0f} requests/s or more"


def _enough(contender: _Contender, plan: Capacity) -> str:
    """Why no more trials are needed, or can be made; blank: go on."""
    if not contender.server.alive:
        return _death(contender)
    limit = contender.search.limit()
    width = None if limit is None else limit.half_width
    known = "not found" if width is None else f"known to ±{width:.1%}"
    if contender.search.known_to(plan.precision):
        return f"{known} after {len(contender.search.usable)} trials"
    if contender.used_s >= plan.budget_s:
        over = f"{known} after {len(contender.search.usable)} trials, when the time was over"
        return over if width is None else f"{over}; {_longer(width, plan.precision)}"
    return ""


def _longer(width: float, precision: float) -> str:
    """What a narrower interval takes: it falls with the root of the trials."""
    longer = (width / precision) ** 2
    times = f"{longer:,.0f}" if longer >= _WHOLE_FROM else f"{max(longer, 1.1):.1f}"
    return f"±{precision:.1%} takes about {times} times as long here"
