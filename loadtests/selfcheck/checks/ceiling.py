"""Is the server the limit, and not Locust? Against Locust's own fast client, in turns."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.table import Closed, Load
from loopbench.loadtests.selfcheck.loading import Bed, Loaded, bed, offer
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.loadtests.selfcheck.witnesses.stock_report import StockReport
from loopbench.servers.contract.cases import CASES
from loopbench.servers.supervision import own_modules
from loopbench.servers.supervision.messages import from_json

USERS = 32
TURNS = 5
WARMUP_S = 1.0
MEASURED_S = 3.0
LEAST_RATIO = 1.6
LEAST_SERVER_CPU = 0.95


def check(say: Callable[[str], None]) -> list[Verdict]:
    """Stock and lean users in turns against one aiohttp server, TURNS times within a minute."""
    load = Load("main", CASES["async"], Closed(USERS))
    turns = in_turns("aiohttp", load, "stock", "FastHttpUser", say)
    ratios, busy = [turn.ratio for turn in turns], [turn.lean.server_cpu for turn in turns]
    return [
        Verdict(
            f"throughput at least {LEAST_RATIO} times FastHttpUser's",
            f"median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}",
            statistics.median(ratios) >= LEAST_RATIO,
        ),
        Verdict(
            f"the server's CPU at least {LEAST_SERVER_CPU:.0%} busy",
            f"median {statistics.median(busy):.1%}, {min(busy):.1%} to {max(busy):.1%}",
            statistics.median(busy) >= LEAST_SERVER_CPU,
        ),
    ]


@dataclass(frozen=True, slots=True)
class Turn:
    """What a stock user did, and after it the lean one with the same load."""

    stock: StockReport
    lean: Loaded

    @property
    def ratio(self) -> float:
        """Of their throughputs."""
        return self.lean.throughput_rps / self.stock.throughput_rps


def in_turns(
    stack: str, load: Load, module: str, client: str, say: Callable[[str], None]
) -> list[Turn]:
    """Both against one server, TURNS times. module: in `selfcheck.witnesses`, with the stock user;
    client: what it is built on."""
    turns = []
    with bed(stack) as on:
        for number in range(1, TURNS + 1):
            theirs, their_server = _stock(on, module)
            lean = offer(on, load, warmup_s=WARMUP_S, measured_s=MEASURED_S)
            _expect_no_failures(lean)
            turns.append(turn := Turn(theirs, lean))
            say(
                f"turn {number}: {client} {theirs.throughput_rps:,.0f}/s "
                f"(its CPU {theirs.cpu:.0%}, server {their_server:.0%}); "
                f"lean user {lean.throughput_rps:,.0f}/s "
                f"(its CPU {lean.generator_cpu:.0%}, server {lean.server_cpu:.0%}); "
                f"ratio {turn.ratio:.2f}"
            )
    return turns


def _stock(on: Bed, module: str) -> tuple[StockReport, float]:
    """What the Locust of a witness did, and how busy the server was."""
    cpu = min(on.cpus.generator) if on.cpus.generator else -1
    arguments = [on.server.url, *map(str, (USERS, WARMUP_S, MEASURED_S, cpu))]
    with subprocess.Popen(
        own_modules.command(f"loadtests.selfcheck.witnesses.{module}", *arguments),
        env=own_modules.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        before = on.server.read()
        line = process.stdout.readline()
        after = on.server.read()
    if process.returncode or not line:
        raise HarnessError(f"the stock Locust ended with status {process.returncode}")
    report = from_json(StockReport, json.loads(line))
    if report.failures:
        raise HarnessError(f"the stock Locust saw {report.failures} failures")
    return report, after.utilisation_since(before)


def _expect_no_failures(lean: Loaded) -> None:
    """Raises HarnessError where there were some."""
    failures = lean.report.loads["main"].measured.failures
    if failures:
        raise HarnessError(f"the lean user saw failures: {failures}")
