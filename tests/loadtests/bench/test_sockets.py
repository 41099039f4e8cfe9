"""Benches of the WebSockets, alone and through a real Redis."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from loopbench.loadtests.bench.specification import APART
from loopbench.loadtests.bench.specification import Bench as Plan
from loopbench.loadtests.cli import cli
from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.messages.generator import WindowOpened
from loopbench.loadtests.messages.reports import Report
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.rows.run_result import RunResult
from loopbench.loadtests.rows.run_rows import RunRows, rows_of
from loopbench.loadtests.scenarios.table import SCENARIOS
from loopbench.loadtests.services.services import redis_server
from loopbench.results.schema import WORKERS, read_table
from loopbench.servers.handlers.redis_channel import CHANNEL
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.settings import Settings
from tests.loadtests.bench.benches import SHORT, Bench, Ended, ended
from tests.loadtests.generator.loads import histogram, spec_at

FRAMEWORKS = ("aiohttp", "quart-hypercorn")
BENCHED = "quart-hypercorn"
KINDS = ("ws-connect", "feed-100")
RECEIVERS = 100
AWAY = "publish: status 503 instead of 200: redis: "
PASSWORD = "not-to-be-written-down"


@dataclass(frozen=True, slots=True)
class Told:
    """A bench that has ended. heard: how many messages went through its Redis meanwhile."""

    ended: Ended
    heard: int

    def rows(self, scenario: str) -> list[dict[str, Any]]:
        found = [row for row in self.ended.rows if row["scenario"] == scenario]
        assert [row["stack"] for row in found] == [BENCHED]
        return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Two kinds of load, two server processes, by a Redis with a password."""
    kinds = [word for one in KINDS for word in ("--scenario", one)]
    folder = tmp_path_factory.mktemp("sockets") / "run"
    with redis_server() as service:
        url = service.url.replace("redis://", f"redis://:{PASSWORD}@")
        with redis.Redis.from_url(service.url) as client:
            client.config_set("requirepass", PASSWORD)
        options = (
            "--stack",
            BENCHED,
            *kinds,
            "--processes",
            "2",
            "--redis",
            url,
            "--rounds",
            "1",
            *SHORT,
        )
        with redis.Redis.from_url(url) as client, client.pubsub() as channel:
            channel.subscribe(CHANNEL)
            with Bench(folder, "--stack", BENCHED, *options) as bench:
                done = ended(bench)
            heard = 0
            while (message := channel.get_message(timeout=0.1)) is not None:
                heard += message["type"] == "message"
    assert done.status == 0, done.errors
    return Told(done, heard)


def test_rows_of_echoes(told: Told) -> None:
    """Each message had a connection of its own; nothing was owed to anybody."""
    for row in told.rows("ws-connect"):
        assert row["failures"] == 0
        assert row["connections_rps"] == row["throughput_rps"] > 0
        assert row["cpu_us_per_request"] > 0
        assert row["deliveries_owed"] is row["deliveries_lost"] is None
        assert row["last_delivery_p50_ms"] is row["receivers_dropped"] is None


def test_rows_of_deliveries(told: Told) -> None:
    """All that was owed has come, over both processes."""
    for row in told.rows("feed-100"):
        assert row["processes"] == 2
        assert row["failures"] == row["deliveries_lost"] == 0
        assert row["deliveries_owed"] == row["requests"] > 0
        assert row["connections_rps"] is None
        assert row["last_delivery_p50_ms"] >= row["service_time_p50_ms"]
        assert row["last_delivery_p99_ms"] >= row["last_delivery_p50_ms"]
        assert row["receivers_dropped"] == 0


def test_through_redis(told: Told) -> None:
    """What is published goes through the Redis that is named: that of the window at least."""
    owed = sum(row["deliveries_owed"] for row in told.rows("feed-100"))
    assert told.heard >= owed / RECEIVERS > 0


def test_no_password(told: Told) -> None:
    """It is written nowhere."""
    for path in told.ended.bench.folder.iterdir():
        assert PASSWORD not in path.read_text(), path.name
    assert PASSWORD not in told.ended.errors


def test_the_report_has_a_section(told: Told) -> None:
    """Of messages and of deliveries."""
    report = (told.ended.bench.folder / "report.md").read_text()
    assert "## WebSockets" in report
    assert "Messages by scenario and stack" in report
    assert "Deliveries by scenario and stack" in report


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A broadcast and messages to and fro, offered by two workers."""
    folder = tmp_path_factory.mktemp("shared") / "run"
    kinds = ("--scenario", "feed-100", "--scenario", "ws-echo-32")
    times = ("--rounds", "1", "--warmup", "0.3", "--duration", "0.6", "--seed", "7")
    with Bench(folder, "--stack", "aiohttp", *kinds, "--workers", "2", *times) as bench:
        done = ended(bench)
    assert done.status == 0, done.errors
    return done


def test_a_broadcast_over_two_workers(shared: Ended) -> None:
    """One worker has all of it, and every delivery that was owed has come; the other has no user.
    The row is that of a broadcast that one generator offers."""
    (row,) = (row for row in shared.rows if row["scenario"] == "feed-100")
    assert (row["load_model"], row["users"]) == ("broadcast", 1 + RECEIVERS)
    assert row["arrival_rate_rps"] is row["connections_rps"] is None
    assert row["failures"] == row["deliveries_lost"] == row["receivers_dropped"] == 0
    assert row["deliveries_owed"] == row["requests"] > 0
    assert row["requests"] % RECEIVERS == 0
    # The rate's, and neither half of it nor twice: where the machine is busy some are late, and
    # those that are later than the end of the window are not published, or no throughput of it.
    due = 50 * 0.6
    assert due / 2 < row["requests"] / RECEIVERS <= due + 1
    delivered = row["throughput_rps"] * row["measured_s"]
    assert row["requests"] / 2 < delivered < row["requests"] * 2
    assert row["last_delivery_p99_ms"] >= row["last_delivery_p50_ms"] >= row["service_time_p50_ms"]
    workers = [
        one
        for one in read_table(shared.bench.folder, WORKERS)
        if str(one["run_id"]) == row["run_id"]
    ]
    assert [(one["worker"], one["users"]) for one in workers] == [(1, 1 + RECEIVERS), (2, 0)]
    assert [one["gone"] for one in workers] == [None, None]
    assert workers[0]["requests"] == row["requests"]


def test_messages_over_two_workers(shared: Ended) -> None:
    """Users on either are one load's."""
    (row,) = (row for row in shared.rows if row["scenario"] == "ws-echo-32")
    assert (row["load_model"], row["users"], row["failures"]) == ("echo", 32, 0)
    users = [
        one["users"]
        for one in read_table(shared.bench.folder, WORKERS)
        if str(one["run_id"]) == row["run_id"]
    ]
    assert users == [16, 16]
    assert row["requests"] > 0


@pytest.mark.parametrize("stores", [{}, {"redis_url": "redis://127.0.0.1:1/0"}])
@pytest.mark.parametrize("processes", [1, 2])
def test_several_processes(processes: int, stores: dict[str, str], tmp_path: Path) -> None:
    """Without a Redis the broadcasts are a hole of theirs, with its reason; nothing else is."""
    plan = Plan(
        stacks=FRAMEWORKS,
        scenarios=tuple(SCENARIOS),
        rounds=1,
        warmup_s=0.1,
        measured_s=0.1,
        seed=1,
        folder=tmp_path,
        resume=False,
        probe=True,
        command=(),
        processes=processes,
        stores=stores,
    )
    feeds = [name for name in SCENARIOS if name.startswith("feed-")]
    without = {} if processes == 1 or stores else dict.fromkeys(feeds, APART)
    assert plan.holes() == (dict.fromkeys(FRAMEWORKS, without) if without else {})
    assert {(stack, feed) in plan.cells() for stack in FRAMEWORKS for feed in feeds} == {
        not without
    }


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("aiohttp", "feed-1", "--processes", "2"), f"aiohttp goes without feed-1: {APART}"),
        (("asyncio", "db-save-32"), "asyncio goes without db-save-32: "),
        (("asyncio", "middleware-0"), "these scenarios say nothing of a yardstick"),
    ],
)
def test_a_plan_without_a_run_is_refused(words: tuple[str, ...], why: str, tmp_path: Path) -> None:
    """Before anything is started or written, with what it is that cannot be measured."""
    stack, scenario, *more = words
    folder = tmp_path / "run"
    named = ("--stack", stack, "--scenario", scenario, *more, "--out", str(folder))
    done = CliRunner().invoke(cli, ["bench", *named])
    assert done.exit_code == 2
    assert f"nothing of this can be measured: {why}" in done.output
    assert not folder.exists()


@dataclass(frozen=True, slots=True)
class Away:
    """A Run of a broadcast whose Redis was killed in its middle, and brought back.

    state: what the server says of its feed afterwards.
    """

    report: Report
    rows: RunRows
    state: dict[str, Any]

    @property
    def delivered(self) -> int:
        """How many deliveries of messages of the window have come."""
        return histogram(self.report, "service_time", "measured").count


def away(generator: Generator, name: str, measured_s: float) -> Away:
    """Kill it as the window opens, and start it again 0.3 s later."""
    scenario = SCENARIOS["feed-100"]
    with (
        redis_server() as service,
        server_process(name, settings=Settings(redis_url=service.url)) as server,
    ):
        moments: list[float] = []

        def kill() -> None:
            service.kill()
            moments.append(time.monotonic())

        def start() -> bool:
            """Called now and then: bring it back after a while; never give up."""
            if len(moments) == 1 and time.monotonic() > moments[0] + 0.3:
                service.start()
                moments.append(time.monotonic())
            return False

        own = {"warmup_s": 0.3, "measured_s": measured_s, "drain_s": 3.0, "seed": 1}
        asked = spec_at(server.host, server.port, *scenario.loads, **own)
        bound_s = 28.0 + measured_s
        report = generator.load(asked, bound_s=bound_s, at={WindowOpened: kill}, give_up=start)
        state = json.loads(get(server, "/feed"))
    assert len(moments) == 2
    planned = PlannedRun("01.x", 1, 1, name, "feed-100")
    result = RunResult(planned, scenario, "2024-05-06T07:08:09.010+00:00", (), report=report)
    return Away(report, rows_of(result), state)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_redis_goes_and_comes_back(generator: Generator, name: str) -> None:
    """In the middle of a Run: publishing fails with 503 meanwhile, receivers stay, and what is
    published afterwards reaches all of them.

    How long a Redis takes to start is the machine's affair: where a window was over before half a
    second of messages was published again, nothing was seen, and a longer one is offered."""
    for measured_s in (2.0, 8.0, 32.0):
        seen = away(generator, name, measured_s)
        if seen.delivered >= RECEIVERS * 25:  # 50 a second are published
            break
    assert seen.delivered >= RECEIVERS * 25
    assert (seen.state["reconnects"], seen.state["dropped"]) == (1, 0)
    (row,) = seen.rows.runs
    reasons = {str(one["reason"]): int(one["count"] or 0) for one in seen.rows.failures}
    refused = sum(reasons[one] for one in reasons if one.startswith(AWAY))
    assert refused >= 10
    # Accepted by the Redis that was killed, or by the new one before the server listened to it.
    lost = reasons.get("never delivered", 0)
    assert row["deliveries_lost"] == lost
    assert lost % RECEIVERS == 0
    assert row["deliveries_owed"] == seen.delivered + lost
    assert row["failures"] == refused + lost == sum(reasons.values())
    assert "failures" in str(row["warnings"]).split(";")


def get(server: ServerProcess, path: str) -> str:
    connection = HTTPConnection(server.host, server.port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()
