"""Answers of a person's own application that cannot be measured, or only in part."""

from __future__ import annotations

import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.custom.learning import learn
from loopbench.loadtests.scenarios.custom.scenarios import Own, prepare
from loopbench.results.schema import Code
from loopbench.servers import starting
from loopbench.servers.contract.asking import Unbounded, ask
from loopbench.servers.contract.http import get
from loopbench.servers.custom.look import Looks, look_at
from loopbench.servers.custom.stacks import rows
from loopbench.servers.errors import StartupFailed
from loopbench.servers.lifecycle.process import greet, server_process
from loopbench.servers.parts import AIOHTTP, OwnApp
from loopbench.servers.stacks import Stack
from tests.loadtests.bench.benches import SHORT, Bench, Ended, codes, ended
from tests.servers.processes import ROOT, needs_proc

PAGES = """
import asyncio, collections, gzip, time
from aiohttp import MultipartWriter, web

asked, full = collections.Counter(), False


async def counted(request):
    asked["counted"] += 1
    return web.json_response({"below": asked["counted"] < 20})


async def later_fails(request):
    global full
    full = full or len(request.protocol._manager.connections) > 3
    if full:
        raise ValueError("pool exhausted")
    return web.json_response({"ok": True})


async def oops(request):
    raise LookupError("no such table")


async def private(request):
    if request.headers.get("Authorization") != "token abc":
        raise web.HTTPUnauthorized()
    return web.json_response({"ok": True})


async def moved(request):
    raise web.HTTPFound("/private")


kept = []


async def leaks(request):
    kept.append(b"x" * 262144)
    return web.json_response({"ok": True})


async def events(request):
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    while True:
        await answer.write(b"data: 1\\n\\n")
        await asyncio.sleep(0.1)


async def parts(request):
    with MultipartWriter("mixed") as writer:
        writer.append("one")
    return web.Response(body=writer)


async def methods(request):
    asked["methods"] += 1
    names = ["GET", "OPTIONS"][:: 1 if asked["methods"] % 2 else -1]
    return web.Response(headers={"Allow": ", ".join(names)})


def packed(mib):
    return gzip.compress(bytes(1048576), 1, mtime=0) * mib


async def bomb(request):
    return web.Response(body=packed(17), headers={"Content-Encoding": "gzip"})


async def small(request):
    return web.Response(body=packed(1), headers={"Content-Encoding": "gzip"})


async def sometimes(request):
    asked["sometimes"] += 1
    if asked["sometimes"] % 7 == 6:  # not one of the first three
        raise LookupError("no connection")
    return web.json_response({"ok": True})


async def fail():
    raise ValueError("one of a group")


async def grouped(request):
    async with asyncio.TaskGroup() as group:
        group.create_task(fail())


async def quietly(request):
    request.app.logger.disabled = request.protocol.logger.disabled = True
    raise ValueError("nobody hears of it")


app = web.Application()
app.router.add_options("/methods", methods)
handlers = counted, later_fails, oops, private, moved, leaks, events, parts, bomb, small
handlers += grouped, quietly, sometimes
for handler in handlers:
    app.router.add_get(f"/{handler.__name__}", handler)
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pages.py."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "pages.py").write_text(PAGES)
    return folder


@pytest.fixture(scope="module")
def stack(pages: Path) -> Stack:
    """What its application runs on, found out once."""
    own = OwnApp("pages:app", str(pages), "/private")
    (stack,) = rows(own, look_at(own), ()).values()
    return stack


def refusal(stack: Stack, path: str) -> str:
    """Why a page cannot be measured."""
    with pytest.raises(HarnessError) as raised:
        learn(stack, [get(path)], {})
    return str(raised.value)


@pytest.fixture(scope="module")
def taken(pages: Path) -> Own:
    """What is learned of the pages that can be measured, asked with who one is."""
    headers = (("Authorization", "token abc"),)
    return prepare("pages:app", pages, ["/private", "/moved", "/small"], None, (), headers=headers)


def test_a_handler_that_raises_shows_what_and_where(stack: Stack) -> None:
    """With the place of the whole log, which is kept."""
    text = refusal(stack, "/oops")
    assert "status 500: LookupError: no such table (pages.py, line 22, in oops)" in text
    log = Path(text.rpartition("its log: ")[2].removesuffix(")"))
    assert "no such table" in log.read_text()
    log.unlink()


def test_an_error_in_a_group_of_tasks_is_shown(stack: Stack) -> None:
    """The innermost, whose traceback stands behind a margin."""
    text = refusal(stack, "/grouped")
    assert re.search(r": ValueError: one of a group \(pages\.py, line \d+, in fail\);", text)
    Path(text.rpartition("its log: ")[2].removesuffix(")")).unlink()


def test_an_error_that_was_not_logged_is_said_to_be_missing(stack: Stack) -> None:
    """With the place of the log all the same."""
    text = refusal(stack, "/quietly")
    assert "GET /quietly was answered with status 500, and its log has no traceback" in text
    Path(text.rpartition("its log: ")[2].removesuffix(")")).unlink()


def test_a_start_up_that_fails_says_where(tmp_path: Path) -> None:
    """The line of the person's own code."""
    (tmp_path / "down.py").write_text(
        "from aiohttp import web\n"
        "async def connect(app):\n"
        "    raise ConnectionRefusedError('no database')\n"
        "app = web.Application()\n"
        "app.on_startup.append(connect)\n"
    )
    with pytest.raises(HarnessError) as raised:
        prepare("down:app", tmp_path, ["/"], None, ())
    says = (
        "failed to start: ConnectionRefusedError: no database (down.py, line 3); correct that first"
    )
    assert says in str(raised.value)


EXITS = """
import sys
from aiohttp import web
from quart import Quart

of_aiohttp, of_quart = web.Application(), Quart(__name__)


async def connect(app=None):
    print("FATAL: no licence")
    sys.exit(3)


of_aiohttp.on_startup.append(connect)
of_quart.before_serving(connect)
"""


@pytest.mark.parametrize(
    ("app", "on"),
    [("of_aiohttp", "aiohttp"), *(("of_quart", on) for on in ("hypercorn", "uvicorn", "granian"))],
)
def test_a_start_up_that_exits_says_where(tmp_path: Path, app: str, on: str) -> None:
    """As one that raises, on every server; and why, which it may have printed alone."""
    (tmp_path / "exits.py").write_text(EXITS)
    with pytest.raises(HarnessError) as raised:
        prepare(f"exits:{app}", tmp_path, ["/"], None, (on,))
    assert re.search(
        r"failed(?: to start)?: SystemExit: 3 \(exits\.py, line 11\)(; correct that first)?"
        r"; its last line: FATAL: no licence$",
        str(raised.value),
    )


def test_a_start_up_that_fails_without_a_reason_has_its_last_line(tmp_path: Path) -> None:
    """As a plain ASGI application may, which prints why."""
    (tmp_path / "mute.py").write_text(
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    print('no such table: users')\n"
        "    await send({'type': 'lifespan.startup.failed'})\n"
    )
    with pytest.raises(HarnessError) as raised:
        prepare("mute:app", tmp_path, ["/"], None, ())
    assert str(raised.value) == (
        "the application's start-up failed: it gave no reason; its last line: no such table: users"
    )


@pytest.mark.parametrize(
    ("starts", "says"),
    [
        (3, "app-aiohttp was left out: it answers otherwise than before the bench: GET /: body of"),
        (4, "-1 was not loaded, since it answers otherwise than before the bench: GET /: body of"),
    ],
)
def test_an_application_that_answers_otherwise_in_the_bench_is_told_so(
    tmp_path: Path, starts: int, says: str
) -> None:
    """In words of what it is, with what the file can say: it knows of no contract. It is imported
    by the look, for two starts while its answers are learned, and by the first of the bench."""
    (tmp_path / "counts.py").write_text(
        "from pathlib import Path\n"
        "from aiohttp import web\n"
        "file = Path(__file__).with_name('starts')\n"
        "starts = len(file.read_bytes()) if file.exists() else 0\n"
        "file.write_bytes(b'.' * (starts + 1))\n"
        "async def early(request):\n"
        f"    return web.json_response({{'early': starts < {starts}}})\n"
        "app = web.Application()\n"
        "app.router.add_get('/', early)\n"
    )
    options = ("--app", "counts:app", "--app-dir", str(tmp_path), "--get", "/")
    with Bench(tmp_path / "run", *options, "--rounds", "1", *SHORT) as bench:
        done = ended(bench)
    assert done.status == 1, done.errors
    assert says in done.errors
    assert 'check = "status" in the file of --scenarios takes them' in done.errors
    assert "contract" not in done.errors


def test_a_page_that_asks_who_one_is_says_how_to_send_headers(stack: Stack, taken: Own) -> None:
    """And is measured with them."""
    assert "send what it needs by --header 'Authorization: …'" in refusal(stack, "/private")
    assert taken.described["requests"]["GET /private"]["status"] == 200


def test_a_redirect_is_measured_and_said(taken: Own) -> None:
    """It is no error: it may be what somebody means."""
    (note,) = taken.notes
    assert note.startswith("GET /moved is answered with a redirect, status 302: that answer is")
    assert taken.described["notes"] == [note]


IN_PART = """
[parts]
path = "/parts"
users = 1
[moved]
path = "/moved"
users = 1
[methods]
path = "/methods"
method = "OPTIONS"
users = 1
[counted]
path = "/counted"
users = 2
check = "status"
[sometimes]
path = "/sometimes"
users = 2
"""
"""Loads that a bench measures, with something to say of each; each has servers of its own."""


@pytest.fixture(scope="module")
def in_part(pages: Path) -> Ended:
    """A bench of the loads of IN_PART."""
    loads = pages / "in_part.toml"
    loads.write_text(IN_PART)
    options = ("--app", "pages:app", "--app-dir", str(pages), "--scenarios", str(loads))
    with Bench(pages / "in_part", *options, "--rounds", "1", *SHORT) as bench:
        return ended(bench)


def test_what_differs_without_meaning_is_measured_and_named(in_part: Ended) -> None:
    """The boundary of an answer in parts, and the order of an Allow header; the table says so, as
    it says that a redirect was measured, and each row has figures."""
    assert in_part.status == 0, in_part.errors
    failures = {row["scenario"]: row["failures"] for row in in_part.rows}
    assert [failures[name] for name in ("parts", "moved", "methods")] == [0, 0, 0]
    table = " ".join(show(in_part.bench.folder).split())
    assert "note: GET /parts is answered in parts, whose boundary may be another" in table
    assert "note: OPTIONS /methods is answered with Allow: " in table
    assert "note: GET /moved is answered with a redirect, status 302: that answer is" in table


def test_an_answer_without_end_is_refused(stack: Stack) -> None:
    """Server-sent events arrive in time, one by one, and never end."""
    text = refusal(stack, "/events")
    assert text.startswith("the answer to GET /events did not end within 4 s after its head (")


HUGE = """
import asyncio

asked = 0


async def app(scope, receive, send):
    global asked
    if scope["type"] != "http":
        raise NotImplementedError
    asked += 1
    if asked > 1:  # as one that holds its loop for as long as the first answer would last
        await asyncio.sleep(600)
    said = scope["path"] == "/said"
    headers = [(b"content-length", b"10737418240")] if said else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(1 if said else 17):
        await send({"type": "http.response.body", "body": bytes(1048576), "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
"""


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/said", "says that it has 10,737,418,240 bytes, more than the 16,777,216 taken"),
        ("/unsaid", "goes on after 16,777,216 bytes"),
    ],
)
def test_an_answer_that_is_too_large_is_told_as_that(tmp_path: Path, path: str, says: str) -> None:
    """Whether it says so or not, though the application answers nothing after it."""
    (tmp_path / "huge.py").write_text(HUGE)
    with pytest.raises(HarnessError) as raised:
        prepare("huge:app", tmp_path, [path], None, ())
    assert str(raised.value) == (
        f"the answer to GET {path} {says}: it is too large to be measured; name a path with a "
        'smaller answer, or ask for a part of it by headers = { Range = "bytes=0-65535" } in the '
        "file of --scenarios, where the application knows that header"
    )


def test_a_first_answer_that_does_not_begin_names_its_option(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the application's very first request; it is asked nothing before it."""
    monkeypatch.setattr(starting, "FIRST_ANSWER_BOUND_S", 0.5)
    (tmp_path / "mute.py").write_text(
        "import asyncio\n"
        "async def app(scope, receive, send):\n"
        "    if scope['type'] != 'http':\n"
        "        raise NotImplementedError\n"
        "    await asyncio.sleep(600)\n"
    )
    with pytest.raises(HarnessError) as raised:
        prepare("mute:app", tmp_path, ["/"], None, ())
    assert str(raised.value) == (
        "app-hypercorn did not answer GET / within 0.5 s; correct the handler, name another path, "
        "or give its first answer longer by --ready-s (above 30)"
    )


def test_an_answer_that_unpacks_to_too_much_is_refused(stack: Stack, taken: Own) -> None:
    """However few bytes it has on the wire; one that unpacks to little is held to its bytes."""
    text = refusal(stack, "/bomb")
    assert re.fullmatch(
        r"the answer to GET /bomb has \d\d,\d{3} bytes that unpack to more than 16,777,216, .*",
        text,
    )
    assert taken.described["requests"]["GET /small"]["checked"] == "status and every byte"


def test_no_correct_answer_is_no_success(pages: Path) -> None:
    """Exit status 1, with the exception of the handler and the log; the row stays."""
    loads = pages / "later.toml"
    loads.write_text('[later]\npath = "/later_fails"\nusers = 32\n')
    options = ("--app", "pages:app", "--app-dir", str(pages), "--scenarios", str(loads))
    with Bench(pages / "failing", *options, "--rounds", "1", *SHORT) as bench:
        done = ended(bench)
    assert done.status == 1
    assert {row["throughput_rps"] for row in done.rows} == {0.0}
    assert "had no correct answer to GET /later_fails" in done.errors
    assert "it raised ValueError: pool exhausted (pages.py, line 17, in later_fails)" in done.errors
    assert str(pages / "failing" / "log.txt") in done.errors


def test_a_window_without_an_end_of_an_answer_names_its_option(tmp_path: Path) -> None:
    """As where an answer takes longer than the window that is the default."""
    (tmp_path / "lasting.py").write_text(
        "import asyncio, itertools\n"
        "from aiohttp import web\n"
        "asked = itertools.count()\n"
        "async def report(request):\n"
        "    await asyncio.sleep(60 if next(asked) > 4 else 0)\n"
        "    return web.Response(text='done')\n"
        "app = web.Application()\n"
        "app.router.add_get('/', report)\n"
    )
    options = ("--app", "lasting:app", "--app-dir", str(tmp_path), "--get", "/")
    with Bench(tmp_path / "lasting", *options, "--rounds", "1", *SHORT) as bench:
        done = ended(bench)
    assert done.status == 1
    says = "no correct answer to GET /: none ended within the window, which --duration makes longer"
    assert says in done.errors


def test_a_page_that_changes_seldom_is_no_success(pages: Path) -> None:
    """The error says what the file can say."""
    loads = pages / "bytes.toml"
    loads.write_text('[counted]\npath = "/counted"\nusers = 2\ncheck = "bytes"\n')
    options = ("--app", "pages:app", "--app-dir", str(pages), "--scenarios", str(loads))
    with Bench(pages / "bytes", *options, "--rounds", "1", *SHORT) as bench:
        done = ended(bench)
    assert done.status == 1, done.errors
    assert 'check = "status"' in done.errors
    (row,) = done.rows
    assert row["failures"] > 0
    assert Code.ANSWER_VARIES not in codes(row)


def test_a_page_that_changes_seldom_is_measured_by_its_status(in_part: Ended) -> None:
    """Where the file says so."""
    assert in_part.status == 0, in_part.errors
    assert 'check = "status"' not in in_part.errors
    (row,) = (row for row in in_part.rows if row["scenario"] == "counted")
    assert row["failures"] == 0
    assert Code.ANSWER_VARIES not in codes(row)


def test_a_handler_that_fails_now_and_then_says_why(in_part: Ended) -> None:
    """Beside the first figures, with the last line of the traceback."""
    assert in_part.status == 0, in_part.errors
    says = r"note: GET /sometimes failed in part: \d+ times status 500 instead of 200.*; it raised "
    assert re.search(says + r"LookupError: no connection \(pages\.py, line \d+, in", in_part.errors)


@contextmanager
def answering(begin: bytes, again: bytes, pause_s: float = 0.0) -> Iterator[int]:
    """The port of a server that answers one request with `begin`, then with `again` for ever."""
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):  # the other side gives up, as it should
            connection.recv(65536)
            connection.sendall(begin)
            while again and not over.wait(pause_s):
                connection.sendall(again)
            over.wait()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()


def show(folder: Path) -> str:
    """The table of a run."""
    done = subprocess.run(
        [sys.executable, "-m", "results", "show", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@needs_proc
def test_memory_that_grows_with_the_requests_is_a_warning(pages: Path) -> None:
    """With its growth a request in the row and in the table; a page that keeps nothing has none."""
    loads = pages / "growing.toml"
    loads.write_text(
        '[leaks]\npath = "/leaks"\nrate_rps = 200\n'
        '[quiet]\npath = "/private"\nrate_rps = 200\nheaders = { Authorization = "token abc" }\n'
    )
    options = ("--app", "pages:app", "--app-dir", str(pages), "--scenarios", str(loads))
    with Bench(pages / "growing", *options, "--rounds", "1", *SHORT, "--duration", "1") as bench:
        done = ended(bench)
    assert done.status == 0, done.errors
    found = {row["scenario"]: row for row in done.rows}
    assert Code.MEMORY_GROWS in codes(found["leaks"])
    assert Code.MEMORY_GROWS not in codes(found["quiet"])
    # Each request keeps 256 KiB; those at the edges of the window may count on one side alone.
    growth = found["leaks"]["memory_growth_bytes_per_request"]
    assert 0.5 * 262_144 < growth < 2 * 262_144
    table = show(pages / "growing")
    assert "growth/request bytes" in table


WSGI = """
import time
from asgiref.wsgi import WsgiToAsgi


def answer(environ, start_response):
    time.sleep(0.002)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


app = WsgiToAsgi(answer)
"""


def test_a_limit_of_one_thread_is_a_warning(tmp_path: Path) -> None:
    """Of a WSGI application under asgiref's wrapper: the table names it, with what to do, where
    requests wait for the thread; one user alone waits for nobody."""
    (tmp_path / "wrapped.py").write_text(WSGI)
    loads = tmp_path / "loads.toml"
    loads.write_text('[many]\npath = "/"\nusers = 16\n[single]\npath = "/"\nusers = 1\n')
    options = ("--app", "wrapped:app", "--app-dir", str(tmp_path), "--scenarios", str(loads))
    with Bench(tmp_path / "run", *options, "--rounds", "1", *SHORT, "--duration", "1") as bench:
        done = ended(bench)
    assert done.status == 0, done.errors
    found = {row["scenario"]: codes(row) for row in done.rows}
    assert Code.ONE_THREAD in found["many"]
    assert Code.ONE_THREAD not in found["single"]
    table = " ".join(show(tmp_path / "run").split())
    assert "one-thread: 1 or more requests were waiting" in table
    assert "a2wsgi.WSGIMiddleware(app, workers=10) uses several. Where: app-hypercorn many" in table


LATE = """
import asyncio
from aiohttp import web


async def begin(app):
    await asyncio.sleep(600)

app = web.Application()
app.on_startup.append(begin)
"""


def test_a_start_that_takes_too_long_names_its_option(tmp_path: Path) -> None:
    """As an import that does."""
    (tmp_path / "late.py").write_text(LATE)
    own = OwnApp("late:app", str(tmp_path), "/")
    (stack,) = rows(own, Looks(AIOHTTP, "aiohttp", ("aiohttp",)), ()).values()
    with pytest.raises(StartupFailed) as raised:
        with server_process(stack, log=tmp_path / "log", ready_timeout_s=0.5):
            raise AssertionError("it serves")
    says = "app-aiohttp was not ready within 0.5 s; give its start longer by --ready-s"
    assert str(raised.value).startswith(says)


def test_a_first_answer_that_does_not_come_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the request, and what would wait for it longer; interim answers are none."""
    monkeypatch.setattr(starting, "FIRST_ANSWER_BOUND_S", 0.5)
    own = OwnApp("shop:app", str(tmp_path), "/slow")
    (stack,) = rows(own, Looks(AIOHTTP, "aiohttp", ("aiohttp",)), ()).values()
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    with answering(b"", interim, 0.05) as port, pytest.raises(StartupFailed) as raised:
        greet(stack, "127.0.0.1", port, time.monotonic() + 30)
    assert "did not answer GET /slow: the answer did not end within 0.5 s (" in str(raised.value)
    assert "give its first answer longer by --ready-s" in str(raised.value)


HEAD = b"HTTP/1.1 200 OK\r\n"
MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("begin", "again", "pause_s", "says"),
    [
        (HEAD + b"Content-Length: 99\r\n\r\n", b"x", 0.1, "did not end within 1 s ("),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1, "did not end within 1 s ("),
        (b"", b"", 0.0, "did not begin within 1 s"),
        (HEAD, b"X: " + b"y" * 60_000 + b"\r\n", 0.01, "goes on after 1,048,576 bytes"),
        (HEAD + b"Content-Length: 99999999999999\r\n\r\n", b"", 0.0, "99,999,999,999,999 bytes"),
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffff\r\n",
            b"x" * 65536,
            0.0,
            "goes on after 1,048,576 bytes",
        ),
        (HEAD + b"Connection: close\r\n\r\n", b"x" * 65536, 0.0, "goes on after 1,048,576 bytes"),
    ],
    ids=["slow", "continue", "silent", "head", "length", "chunk", "close"],
)
def test_every_answer_is_bounded(begin: bytes, again: bytes, pause_s: float, says: str) -> None:
    """In time and in bytes, whatever it says of itself, and in little memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with answering(begin, again, pause_s) as port, pytest.raises(Unbounded) as raised:
        ask("127.0.0.1", port, get("/"), bound_s=1.0, most_bytes=MIB)
    assert says in str(raised.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
