"""A person's own locustfile: its users are offered as Locust runs them, or it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.custom.locustfile import scenario_of
from loopbench.loadtests.scenarios.custom.scenarios import prepare
from loopbench.results.schema import FAILURES, Code, read_table
from tests.loadtests.bench.benches import SHORT, Bench, Ended, codes, ended
from tests.loadtests.scenarios.custom.test_answers import show
from tests.servers.processes import ROOT

SITE = """
from aiohttp import web


async def home(request):
    return web.Response(text="home")


async def login(request):
    answer = web.json_response({"ok": True})
    answer.set_cookie("who", "me")
    return answer


async def mine(request):
    if request.cookies.get("who") != "me":
        raise web.HTTPForbidden()
    return web.json_response({"ok": True})


async def away(request):
    raise web.HTTPFound("http://127.0.0.2:9/elsewhere")


app = web.Application()
app.router.add_get("/", home)
app.router.add_post("/login", login)
app.router.add_get("/mine", mine)
app.router.add_get("/away", away)
"""

SHOPPERS = """
from locust import FastHttpUser, HttpUser, constant, events, task

import common


@events.init.add_listener
def prepare(environment, runner, **_):
    print(f"prepared {type(runner).__name__}")


@events.test_start.add_listener
def begin(environment, **_):
    print(f"the test starts against {environment.host}")


class Shopper(HttpUser):
    host = "https://shop.example"
    wait_time = constant(common.PAUSE_S)
    fixed_count = 1

    def on_start(self):
        self.client.post("/login")

    @task
    def mine(self):
        self.client.get("/mine")

    def on_stop(self):
        print("the shopper stops")


class Visitor(FastHttpUser):
    wait_time = constant(0)

    @task
    def home(self):
        self.client.get("/")
"""

STRAYS = """
from locust import FastHttpUser, HttpUser, constant, task


class Stray(HttpUser):
    wait_time = constant(0.01)

    @task
    def missing(self):
        self.client.get("/missing/1", name="/missing/[n]")

    @task
    def away(self):
        self.client.get("/away")

    @task
    def absolute(self):
        self.client.get("http://127.0.0.2:9/elsewhere")

    @task
    def wrong(self):
        raise LookupError("no such page")


class FastStray(FastHttpUser):
    wait_time = constant(0.01)

    @task
    def absolute(self):
        self.client.get("http://127.0.0.2:9/fast")
"""


OTHER_USER = """
from locust import User


class Mine(User):
    pass
"""

SHAPE = """
from locust import HttpUser, LoadTestShape


class Mine(HttpUser):
    pass


class Waves(LoadTestShape):
    def tick(self):
        return None
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with site_app.py, its locustfiles, and a module that one of them imports."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "site_app.py").write_text(SITE)
    (folder / "shoppers.py").write_text(SHOPPERS)
    (folder / "strays.py").write_text(STRAYS)
    (folder / "common.py").write_text("PAUSE_S = 0.01\n")
    return folder


def bench(site: Path, file: str, *options: str) -> Ended:
    own = ("--app", "site_app:app", "--app-dir", str(site), "--scenarios", str(site / file))
    with Bench(site / f"run-{file}", *own, *SHORT, "--duration", "0.6", *options) as running:
        return ended(running)


@pytest.fixture(scope="module")
def shopped(site: Path) -> Ended:
    """Two Rounds of the users of shoppers.py."""
    return bench(site, "shoppers.py", "--users", "4", "--spawn-rate", "100", "--rounds", "2")


def test_the_users_of_a_locustfile_are_measured(shopped: Ended) -> None:
    """Against the server that is measured, whatever host the file names, with their cookies; the
    times are Locust's own, and the row says so. What is read in the server stands beside."""
    assert shopped.status == 0, shopped.errors
    assert [row["scenario"] for row in shopped.rows] == ["shoppers-4"] * 2
    for row in shopped.rows:
        assert (row["load_model"], row["users"], row["failures"]) == ("locustfile", 4, 0)
        assert row["case"] == "the requests of shoppers.py"
        assert row["requests"] > 0
        assert row["service_time_p50_ms"] > 0
        assert row["clock"] == "user"
        assert Code.CLOCK_USER in codes(row)
        assert row["loop_delay_p99_ms"] is not None
        assert row["cpu_us_per_request"] > 0
    assert "shoppers-4, 4 users of a locustfile" in show(shopped.bench.folder)


def test_what_the_file_adds_to_locusts_events_is_called(shopped: Ended) -> None:
    """Once a Run, though it is imported once; and each user's end, where its count is one."""
    log = shopped.bench.log
    assert log.count("prepared LocalRunner") == 2
    assert log.count("the test starts against http://127.0.0.1:") == 2
    assert log.count("the shopper stops") == 2


def test_no_request_leaves_for_another_server(site: Path) -> None:
    """A URL of another server, and a redirect to one, are failures by their names, as are a
    status from 400 on and a task that raises. A load of nothing else is no success."""
    done = bench(site, "strays.py", "--users", "2", "--rounds", "1")
    assert done.status == 1
    assert "had no correct answer to the requests of strays.py" in done.errors
    reasons = {str(row["reason"]) for row in read_table(done.bench.folder, FAILURES)}
    assert reasons <= {
        "GET /missing/[n]: status 404",
        "GET /away: not to the server that is measured",
        "GET /elsewhere: not to the server that is measured",
        "GET http://127.0.0.2:9/elsewhere: not to the server that is measured",
        "GET http://127.0.0.2:9/fast: not to the server that is measured",
        "a task raised LookupError",
    }
    assert any("not to the server that is measured" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OTHER_USER, "Mine is neither an HttpUser"),
        ("x = 1\n", "has no HttpUser or FastHttpUser"),
        (SHAPE, "has a LoadTestShape"),
    ],
    ids=["user", "nothing", "shape"],
)
def test_other_locustfiles_are_refused(tmp_path: Path, text: str, says: str) -> None:
    """In one line, which says how the same is said in a loads file."""
    said = refusal(tmp_path, text)
    assert says in said
    assert "in a loads file, a table each, as in [search] with path, users (think_s" in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("import os\nos._exit(3)\n", "it did not end within 30 s, or ended the process"),
    ],
    ids=["import", "exit", "end"],
)
def test_a_locustfile_that_cannot_be_imported_is_refused(
    tmp_path: Path, text: str, says: str
) -> None:
    """With what it raised."""
    assert f"locustfile.py cannot be imported: {says}" in refusal(tmp_path, text)


def refusal(folder: Path, text: str) -> str:
    file = folder / "locustfile.py"
    file.write_text(text)
    with pytest.raises(HarnessError) as raised:
        scenario_of(file, 10, None)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_locustfile_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """As any other file."""
    with pytest.raises(HarnessError, match=r"locustfile\.py: no such file"):
        scenario_of(tmp_path / "locustfile.py", 10, None)


def test_users_are_of_a_locustfile_only() -> None:
    """A loads file has its users in its tables."""
    with pytest.raises(HarnessError, match="--users and --spawn-rate are of a locustfile"):
        prepare("shop:app", ROOT, ["/"], None, (), users=3)


def test_the_lead_in_lasts_until_all_users_have_begun(site: Path) -> None:
    """So that the window has all of them."""
    assert scenario_of(site / "shoppers.py", 30, 10.0).warmup_s == 3.0
    assert scenario_of(site / "shoppers.py", 30, None).warmup_s == 0.0
