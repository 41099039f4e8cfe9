"""A new load model: its class with its row, and its Locust user; a scenario then offers it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loopbench.results.schema import RUNS, read_table
from tests.conftest import ROOT
from tests.trees import copy_suite

MODELS = "loadtests/scenarios/models.py"
USER = "loadtests/generator/users/paced.py"
SCENARIOS = "loadtests/scenarios/table.py"
USERS, EVERY_MS = 4, 20.0

BEFORE_THE_TABLE = "\n_BY_KIND: Vocabulary[Model]"
MODEL = '''
@load_model("paced", "paced.PacedUser", counts_requests=True)
@dataclass(frozen=True, slots=True)
class Paced(OfUsers):
    """Each of `users` sends a request every `every_ms`, or later, once its last answer is in."""

    every_ms: float

    def describe(self) -> str:
        """In words, for a list of scenarios."""
        return f"{self.users} users that each send a request every {self.every_ms:g} ms"


_BY_KIND: Vocabulary[Model]'''

USER_MODULE = '''"""The Locust user that sends at a pace."""

import time

from loopbench.loadtests.generator.clients.http1 import Connection
from loopbench.loadtests.generator.session import LoadRun, Session
from loopbench.loadtests.generator.timer import Timer
from loopbench.loadtests.generator.users.http import HarnessUser, fail
from loopbench.loadtests.scenarios.models import Paced


class PacedUser(HarnessUser):
    """Sends a request at each step of its pace."""

    abstract = True

    def drive(self, session: Session, run: LoadRun, connection: Connection, index: int) -> None:
        model: Paced = run.model
        step_ns, due_ns = int(model.every_ms * 1e6), session.start_ns
        with Timer() as timer:
            while run.running:
                series = run.series
                problem = connection.exchange(run.payload, run.book)
                sent, received = connection.sent_ns, connection.received_ns
                if problem is None:
                    series.add_answer(sent, received, session.start_realtime_ns)
                else:
                    fail(series, problem, sent, connection)
                due_ns = max(due_ns + step_ns, time.monotonic_ns())
                timer.sleep_until(due_ns)
'''

BEFORE_THE_SCENARIOS = "_SCENARIOS: tuple[Scenario, ...] = (\n"
SCENARIO = f"""{BEFORE_THE_SCENARIOS}    Scenario(
        "paced-{USERS}",
        "how long a request takes when there is time between them",
        (Load("main", CASES["async"], Paced({USERS}, {EVERY_MS})),),
    ),
"""
IMPORT, IMPORTED = "models import Closed, ", "models import Paced, Closed, "


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the suite with the model, its user, and a scenario."""
    root = copy_suite(tmp_path_factory.mktemp("tree"))
    replace(root / MODELS, BEFORE_THE_TABLE, MODEL)
    (root / USER).write_text(USER_MODULE)
    replace(root / SCENARIOS, BEFORE_THE_SCENARIOS, SCENARIO)
    replace(root / SCENARIOS, IMPORT, IMPORTED)
    return root


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtests", *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_two_files_are_touched_for_the_model(tree: Path) -> None:
    """The models with the new class and its row, and the new user. A third file has the scenario,
    as for any scenario."""
    sources = [path.relative_to(tree) for path in (tree / "loadtests").rglob("*.py")]
    changed = {
        str(source)
        for source in sources
        if not (ROOT / source).exists()
        or (ROOT / source).read_bytes() != (tree / source).read_bytes()
    }
    assert changed == {MODELS, USER, SCENARIOS}


def test_it_is_described(tree: Path) -> None:
    """`loadtests list` has it in the model's own words."""
    listed = run(tree, "list")
    assert listed.returncode == 0, listed.stderr
    assert f"GET /async, {USERS} users that each send a request every 20 ms" in listed.stdout


@pytest.mark.parametrize("workers", [None, 2])
def test_it_is_offered_to_a_server_and_has_its_row(tree: Path, workers: int | None) -> None:
    """By one generator, and divided between two workers: the row names model and users, and no
    user has sent more often than at its pace."""
    folder = tree / f"run-{workers}"
    done = run(
        tree,
        *("bench", "--stack", "aiohttp", "--scenario", f"paced-{USERS}", "--rounds", "1"),
        *("--warmup", "0.2", "--duration", "0.6", "--seed", "7", "--out", str(folder)),
        *(() if workers is None else ("--workers", str(workers))),
    )
    assert done.returncode == 0, done.stderr
    (row,) = read_table(folder, RUNS)
    assert (row["load_model"], row["users"], row["failures"]) == ("paced", USERS, 0)
    assert row["arrival_rate_rps"] is row["connections_rps"] is row["deliveries_owed"] is None
    requests, measured_s = row["requests"], row["measured_s"]
    assert isinstance(requests, int) and isinstance(measured_s, float)
    assert USERS < requests <= USERS * (measured_s * 1000 / EVERY_MS + 2)
    assert row["service_time_p50_ms"] is not None
    assert "littles-law" not in str(row["warnings"])
