"""A person's own application from its paths to its report, and all that can be wrong with it."""

from __future__ import annotations

import html
import http.client
import json
import re
import shlex
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from loopbench.loadtests.bench.environment import shown_command
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.custom.learning import learn
from loopbench.loadtests.scenarios.custom.loads_file import (
    USERS,
    of_file,
    of_paths,
)
from loopbench.loadtests.scenarios.custom.scenarios import prepare
from loopbench.loadtests.scenarios.table import Closed, Open
from loopbench.results.schema import FAILURES, STALLS, THREADS, Cause, Code, read_table
from loopbench.servers.contract.http import Request
from loopbench.servers.custom.look import Looks, look_at
from loopbench.servers.custom.stacks import rows
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.parts import ASGI, OwnApp
from tests.documents import blocks, write
from tests.forked import Program
from tests.loadtests.bench.benches import SHORT, Bench, Ended, codes, ended, one_error, reach
from tests.servers.processes import ROOT, needs_proc

DOCUMENT = "your-own-application.md"
WINDOW = (*SHORT, "--duration", "0.6")
"""In 0.2 s a server that shares its CPU with a dozen programs may not have answered at all, or no
nap of its loop may have been seen for what it is."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the document."""
    folder = tmp_path_factory.mktemp("shop")
    write(DOCUMENT, folder)
    return folder


@pytest.fixture(scope="module")
def measured(shop: Path) -> Ended:
    """The document's application under the document's loads."""
    options = ("--app", "shop:make_app", "--app-dir", str(shop), "--get", "/hello")
    loads = ("--scenarios", str(shop / "loads.toml"), "--rounds", "1")
    with Bench(shop / "run", *options, *loads, *WINDOW) as bench:
        return ended(bench)


def test_the_document_has_an_application_and_its_loads() -> None:
    """And a configuration that names them; the other files are of `test_own_examples`."""
    files = {
        "shop.py",
        "asgi.py",
        "loads.toml",
        "loopbench.toml",
        "video.toml",
        "chat.toml",
        "events.toml",
    }
    assert blocks(DOCUMENT).keys() == files


def test_each_load_of_the_own_application_has_a_row(measured: Ended) -> None:
    """Two closed loops for a path, and those of the file; every answer is right, and right means
    201 where that was learned."""
    assert measured.status == 0, measured.errors
    found = {(row["scenario"], row["load"]): row for row in measured.rows}
    assert found.keys() == {
        ("hello-32", "main"),
        ("hello-1", "main"),
        ("ordering", "main"),
        ("browsing", "hello"),
        ("browsing", "visit"),
    }
    for row in found.values():
        assert row["stack"] == "app-aiohttp"
        assert row["failures"] == 0
        assert row["requests"] > 0
    assert found["hello-32", "main"]["users"] == 32
    assert found["browsing", "visit"]["arrival_rate_rps"] == 200
    assert list(read_table(measured.bench.folder, FAILURES)) == []


def test_a_row_says_where_the_answer_varies(measured: Ended) -> None:
    """The one path that counts, and no other."""
    varying = {row["load"] for row in measured.rows if Code.ANSWER_VARIES in codes(row)}
    assert varying == {"visit"}


def test_what_a_probe_sees_of_any_process_is_seen(measured: Ended) -> None:
    """Loop, collector and CPU have figures; the routes, which are not ours, have none."""
    for row in measured.rows:
        assert row["loop_delay_p50_ms"] is not None
        assert row["loop_utilisation"] is not None
        assert row["cpu_us_per_request"] > 0
        assert row["handler_time_p50_ms"] is None
        assert row["in_handler_mean_ms"] is None
    assert list(read_table(measured.bench.folder, THREADS))


def test_the_environment_and_the_report_say_whose_application_it_is(measured: Ended) -> None:
    """With what every answer was held to; no folder of this machine."""
    text = (measured.bench.folder / "environment.json").read_text()
    told = json.loads(text)["application"]
    assert (told["target"], told["kind"], told["framework"]) == (
        "shop:make_app",
        "aiohttp",
        "aiohttp",
    )
    assert told["requests"]["POST /orders"] == {
        "status": 201,
        "content_type": "application/json; charset=utf-8",
        "body_bytes": len('{"ordered": "tea"}'),
        "checked": "status and every byte",
    }
    assert told["requests"]["GET /visit"]["checked"] == "status"
    command = shlex.join(json.loads(text)["command"])
    assert "--app shop:make_app --app-dir DIR --get /hello --scenarios FILE.toml" in command
    assert "--out" not in command
    page = html.unescape((measured.bench.folder / "report.html").read_text())
    assert "a person's own application: shop:make_app (aiohttp)" in page
    assert "POST /orders" in page


ODD = """
import asyncio
import time

from aiohttp import web

not_one = 3


def broken():
    raise RuntimeError("no database")


def wsgi(environ, start_response):
    return []


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    if scope["path"] == "/nap":
        time.sleep(0.06)
    status = {"/ok": 200, "/nap": 200, "/moved": 302, "/oops": 500}.get(scope["path"], 404)
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def failing(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no disk"})


def never():
    async def start(app):
        raise RuntimeError("no queue")
    app = web.Application()
    app.on_startup.append(start)
    return app
"""


LATE = """\
from aiohttp import web


def in_function():
    import nowhere_to_be_found


async def start(app):
    import nowhere_to_be_found


def at_start():
    app = web.Application()
    app.on_startup.append(start)
    return app
"""
INSTALL_IT = "install 'nowhere_to_be_found' into this environment ("


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with applications of which most cannot be measured."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "odd.py").write_text(ODD)
    (folder / "lost.py").write_text("import nowhere_to_be_found\n")
    (folder / "late.py").write_text(LATE)
    (folder / "partly.py").write_text("import late.inner\n")
    return folder


@pytest.mark.parametrize(
    ("target", "options", "says"),
    [
        ("od:asgi", ("--get", "/ok"), "no module 'od' in the current folder or in --app-dir"),
        ("lost:app", ("--get", "/"), f"lost needs 'nowhere_to_be_found'; {INSTALL_IT}"),
        (
            "late:in_function",
            ("--get", "/"),
            (
                "late:in_function() raised ModuleNotFoundError: No module named "
                f"'nowhere_to_be_found' (late.py, line 5); {INSTALL_IT}"
            ),
        ),
        (
            "late:at_start",
            ("--get", "/"),
            (
                "app-aiohttp failed to start: ModuleNotFoundError: No module named "
                f"'nowhere_to_be_found' (late.py, line 9); {INSTALL_IT}"
            ),
        ),
        (
            "partly:app",
            ("--get", "/"),
            "partly needs 'late.inner'; late is there and has no late.inner: correct the import",
        ),
        ("odd:agsi", ("--get", "/ok"), "module odd has no 'agsi'; it has "),
        ("odd", ("--get", "/ok"), "'odd' does not name an application; write module:attribute"),
        ("odd:not_one", ("--get", "/ok"), "odd:not_one is int, neither an aiohttp"),
        ("odd:broken", ("--get", "/ok"), "odd:broken() raised RuntimeError: no database"),
        (
            "odd:wsgi",
            ("--get", "/ok"),
            "odd:wsgi is a WSGI application, called with environ",
        ),
        ("odd:never", ("--get", "/ok"), "app-aiohttp failed to start: RuntimeError: no queue"),
        ("odd:failing", ("--get", "/ok"), "the application's start-up failed: no disk"),
        ("odd:asgi", ("--get", "/oops"), "GET /oops was answered with status 500, and its log has"),
        ("odd:asgi", ("--get", "ok"), "--get ok: a path begins with /"),
        ("odd:asgi", (), "no request to offer; name one by --get /path, by a table [loads"),
        ("odd:asgi", ("--scenarios", "no.toml"), "cannot read no.toml: No such file"),
        ("odd:asgi", ("--get", "/ok", "--on", "aiohttp"), "which aiohttp does not run; choose"),
    ],
)
def test_what_cannot_be_measured_says_why(
    odd: Path, target: str, options: tuple[str, ...], says: str
) -> None:
    """The cause with the remedy, in one line."""
    given = {name: [value] for name, value in zip(options[::2], options[1::2], strict=True)}
    file = given.get("--scenarios")
    with pytest.raises(HarnessError, match=re.escape(says)) as raised:
        prepare(
            target,
            odd,
            given.get("--get", []),
            Path(file[0]) if file else None,
            tuple(given.get("--on", [])),
        )
    assert "\n" not in str(raised.value)


def test_what_cannot_be_measured_ends_the_command(
    loadtests: Program, odd: Path, tmp_path: Path
) -> None:
    """Exit status 1, one line, and no results folder."""
    folder = tmp_path / "run"
    done = loadtests.run(
        *("bench", "--app", "odd:asgi", "--app-dir", str(odd), "--get", "/no"),
        *("--out", str(folder)),
    )
    assert done.status == 1
    assert "GET /no was answered with status 404; name a path" in one_error(done.err)
    assert done.err.count("\n") == 1
    assert not folder.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--get", "/ok"), "--header and --arg need --app"),
        (("--app", "odd:asgi", "--stack", "aiohttp"), "leave out --stack and --scenario"),
        (("--app", "odd:asgi", "--on", "hypercon"), "unknown server 'hypercon'; did you mean"),
        (("--app", "odd:asgi", "--header", "X"), "--header takes 'Name: value'"),
        (("--app", "odd:asgi", "--arg", "1x=2"), "--arg takes NAME=VALUE"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: tuple[str, ...], says: str, loadtests: Program
) -> None:
    """Exit status 2."""
    done = loadtests.run("bench", *options)
    assert done.status == 2
    assert says in one_error(done.err)


@pytest.fixture(scope="module")
def on_two_servers(odd: Path) -> Ended:
    """The bare ASGI application on two servers, under two loads at once and one that naps."""
    on = ("uvicorn", "granian")
    servers = [part for server in on for part in ("--on", server)]
    loads = '[both]\npath = ["/ok", "/moved"]\nusers = 2\n[napping]\npath = "/nap"\nusers = 1\n'
    options = ("--app", "odd:asgi", "--app-dir", str(odd), "--scenarios", str(toml(odd, loads)))
    with Bench(odd / "run", *options, *servers, "--rounds", "1", *WINDOW) as bench:
        return ended(bench)


def test_a_bare_asgi_application_runs_on_several_servers(on_two_servers: Ended) -> None:
    """Though it knows no lifespan; each server has a row, on terms that are explained."""
    assert on_two_servers.status == 0, on_two_servers.errors
    rows = on_two_servers.rows
    assert {(row["stack"], row["load"]) for row in rows if row["scenario"] == "both"} == {
        (f"app-{server}", load) for server in ("uvicorn", "granian") for load in ("ok", "moved")
    }
    assert not any(codes(row) & {Code.UNEQUAL_TERMS, Code.FAILURES} for row in rows)


@needs_proc
def test_the_line_that_holds_the_loop_is_written_with_its_run_and_its_cause(
    on_two_servers: Ended,
) -> None:
    """Each sleep of the one load is a row of its Run's, and the other Runs have none of them.

    They are so long that each is looked at, also where the watcher has used its share of a CPU.
    """
    runs = {row["run_id"] for row in on_two_servers.rows if row["scenario"] == "napping"}
    assert len(runs) == 2
    stalls = list(read_table(on_two_servers.bench.folder, STALLS))
    blocking = (row for row in stalls if row["cause"] == Cause.BLOCKING_CALL)
    naps = [row for row in blocking if float(str(row["duration_ms"])) >= 60]
    assert {row["run_id"] for row in naps} == runs
    line = 1 + ODD.splitlines().index("        time.sleep(0.06)")
    places = {(row["file"], row["line"], row["function"], row["route"]) for row in naps}
    assert places == {("odd.py", line, "asgi", "/nap")}
    # Where the watcher waits for a CPU itself, it may take that for a lock that is not given up.
    told = Counter(row["detail"] for row in naps)
    assert 2 * told["waited: in clock_nanosleep"] > len(naps), told


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def status(server: ServerProcess, headers: dict[str, str]) -> int:
    """Of an answer to GET /ok."""
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=10)) as connection:
        connection.request("GET", "/ok", headers=headers)
        return connection.getresponse().status


@pytest.mark.parametrize(
    ("on", "refused"),
    [("hypercorn", 500), ("uvicorn", 500), ("uvicorn-httptools", 500), ("granian", 403)],
)
def test_an_application_that_knows_requests_alone_is_served(
    odd: Path, on: str, refused: int
) -> None:
    """It raises at its start-up and for a WebSocket, as ASGI has it: the one is taken for done,
    with a line that says so, the other is refused, and the server goes on."""
    own, log = OwnApp("odd:asgi", str(odd), "/ok"), odd / f"{on}.log"
    (stack,) = rows(own, Looks(ASGI, "ASGI", ()), (on,)).values()
    with server_process(stack, log=log) as server:
        assert [status(server, headers) for headers in ({}, UPGRADE, {})] == [200, refused, 200]
    told = log.read_text().splitlines()
    assert told.count("no ASGI lifespan: NotImplementedError: lifespan") == 1
    assert told.count("NotImplementedError: websocket") == 1


@needs_proc
def test_an_own_application_as_two_processes_is_gone_on_with(odd: Path) -> None:
    """Interrupted after its first Run, it goes on with the same options, on terms that are the
    same."""
    own = ("--app", "odd:asgi", "--app-dir", str(odd), "--get", "/ok", "--on", "hypercorn")
    options = (*own, "--processes", "2", "--rounds", "1", *SHORT)
    folder = odd / "pair"
    with Bench(folder, *options) as bench:
        reach(bench, lambda bench: "[1/2]" in bench.errors)
        bench.interrupt()
        assert bench.ended() == 130, bench.errors
        (first,) = bench.rows()
    with Bench(folder, *options, "--resume") as bench:
        done = ended(bench)
    assert done.status == 0, done.errors
    assert done.rows[0] == first
    assert {row["scenario"] for row in done.rows} == {"ok-32", "ok-1"}
    assert {(row["stack"], row["processes"]) for row in done.rows} == {("app-hypercorn", 2)}
    assert not any(codes(row) & {Code.ENVIRONMENT_DRIFT, Code.UNEQUAL_TERMS} for row in done.rows)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("--app-dir", "shop", "--get", "/x"), "--app-dir shop --get /x"),
        (("--app-dir", f"{ROOT}/docs/shop"), "--app-dir docs/shop"),
        ((f"--app-dir={Path.home()}",), "--app-dir DIR"),
        (
            ("--scenarios", f"{Path.home()}/loads.toml", "--rounds=2"),
            "--scenarios FILE.toml --rounds=2",
        ),
        (
            ("--header", "Cookie: key=1", "--arg=password=2", "--get", "/"),
            "--header 'Cookie:…' --arg 'password=…' --get /",
        ),
        (
            ("--scenarios=loads.toml", "--out", "x", "--out=y", "--probe"),
            "--scenarios loads.toml --probe",
        ),
    ],
)
def test_the_command_on_record_names_no_folder_of_this_machine(
    arguments: tuple[str, ...], shown: str
) -> None:
    """What is in the suite's own folder is named from there; what is not is left to fill in."""
    assert shlex.join(shown_command(list(arguments))) == f"python -m loadtests {shown}"


def test_answers_are_learned_over_two_starts(odd: Path) -> None:
    """What is the same within a process and another in the next varies."""
    (odd / "pid.py").write_text(
        "import os\n"
        "async def app(scope, receive, send):\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': b'%d' % os.getpid()})\n"
    )
    own = OwnApp("pid:app", str(odd), "/")
    (stack,) = rows(own, look_at(own)).values()
    request = Request("GET", "/")
    expected = learn(stack, [request], {})[request]
    assert isinstance(expected.body, re.Pattern)
    assert expected.check(200, b"any\nthing") is None
    assert expected.check(500, b"any\nthing") == "status 500 instead of 200"


def toml(folder: Path, text: str) -> Path:
    path = folder / "loads.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[a", "is no TOML"),
        ("a = 1", "a is no table"),
        ('["a b"]\npath = "/"\nusers = 1', "a name is of letters"),
        ('[a]\npath = "/"\nuser = 1', "unknown key user; known: body, check, headers"),
        ('[a]\npath = "/"\nkind = ["stream"]', "kind must be one of requests"),
        ('[a]\npath = "/"\nusers = 1\ncheck = ["status"]', 'check must be "bytes"'),
        ('[a]\npath = "/"\nkind = "stream"\nusers = 1\nevents = ["sse"]', "events must be"),
        ('[a]\npath = "/"\nusers = 1\nmethod = 1', "method and body must be texts"),
        ('[a]\npath = "/"\nusers = 1\nheaders = 1', "headers must be a table of texts"),
        ("[a]\nusers = 1", "path must be a text"),
        ('[a]\npath = ["/", "/"]\nusers = 1', "a path is there twice"),
        ('[a]\npath = "/"', "give either users"),
        ('[a]\npath = "/"\nusers = 1\nrate_rps = 1', "give either users"),
        ('[a]\npath = "/"\nusers = true', "users must be a whole number"),
        ('[a]\npath = "/"\nrate_rps = nan', "rate_rps must be a number"),
        ('[a]\npath = "/a b"\nusers = 1', "percent-encoded"),
        ('[a]\npath = "/"\nmethod = "get"\nusers = 1', "capital letters"),
        (
            '[a]\npath = "/"\nusers = 1\nheaders = {Connection = "x"}',
            "the header Connection is the suite's",
        ),
        ('[a]\npath = "/"\nusers = 1\nheaders = {A = "x\\r\\nB: y"}', "is no header"),
        (
            '[a]\npath = "/"\nusers = 1\nheaders = {A = "b ${NO_SUCH_VARIABLE}"}',
            "headers name the variable NO_SUCH_VARIABLE, which is not set",
        ),
    ],
)
def test_a_file_with_nonsense_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """Table and key are named."""
    with pytest.raises(HarnessError, match=re.escape(says)):
        of_file(toml(tmp_path, text))


def test_a_file_says_what_is_sent(tmp_path: Path) -> None:
    """Method, headers and body as written; several paths are loads beside each other."""
    one, several = of_file(
        toml(
            tmp_path,
            '[put]\npath = "/x?y=1"\nmethod = "PUT"\nbody = "é"\nusers = 3\nheaders = {A = "b"}\n'
            '[all]\npath = ["/x/1", "/x-1"]\nrate_rps = 5\n',
        )
    )
    (load,) = one.loads
    assert load.case.request == Request("PUT", "/x?y=1", (("A", "b"),), "é".encode())
    assert load.model == Closed(3)
    assert [load.name for load in several.loads] == ["x-1", "x-1-2"]
    assert several.loads[0].model == Open(5.0, 128)


def test_a_header_may_name_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a file which is shared holds no token; a `$` that is none stays."""
    monkeypatch.setenv("SHOP_TOKEN", "abc")
    text = '[a]\npath = "/"\nusers = 1\nheaders = { Authorization = "Bearer ${SHOP_TOKEN} $5 ${" }'
    (scenario,) = of_file(toml(tmp_path, text))
    (load,) = scenario.loads
    assert load.case.request.headers == (("Authorization", "Bearer abc $5 ${"),)


def test_paths_have_names_of_their_own() -> None:
    """Also those that differ only in what a name cannot hold."""
    names = [one.name for one in of_paths(["/", "/a/b", "/a-b", "/a/b"])]
    assert names == [f"{path}-{users}" for path in ("root", "a-b", "a-b-2") for users in USERS]
