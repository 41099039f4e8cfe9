"""Streams that need not end: events are counted as they come, and nothing waits for an end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.messages.reports import Report
from loopbench.loadtests.scenarios.custom import learning
from loopbench.loadtests.scenarios.custom.learning import ANY_BODY
from loopbench.loadtests.scenarios.custom.loads_file import of_tables
from loopbench.loadtests.scenarios.custom.scenarios import prepare
from loopbench.loadtests.scenarios.events import EVENTS, MOST_EVENT_BYTES
from loopbench.loadtests.scenarios.models import Closed, Load, Stream
from loopbench.servers.contract.http import Case, Expected, Request
from tests.loadtests.bench.benches import SHORT, Bench, Ended, codes, ended
from tests.loadtests.generator.clients.hostile import CLOSE, Script, Until, hostile_server
from tests.loadtests.generator.clients.test_streaming import offer
from tests.loadtests.generator.loads import failures, histogram, phase_of
from tests.loadtests.scenarios.custom.test_answers import show
from tests.results.report import reports

SSE = "text/event-stream"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LONG_S = 1.0
"""A window in which something happens even where the machine has much else to do."""

CASE = Case("feed", Request("GET", "/feed"), Expected(200, SSE, ANY_BODY, endless=True))


@pytest.mark.parametrize(
    ("kind", "pieces", "counts"),
    [
        ("sse", [b"data: 1\n\n", b"data: 2\n\ndata: 3\n\n"], [1, 2]),
        ("sse", [b"data: 1\nda", b"ta: more\n", b"\n"], [0, 0, 1]),
        ("sse", [b"data: 1\r\n\r", b"\n", b"data: 2\r\n\r\n"], [1, 0, 1]),
        ("sse", [b"data: 1\r\r", b"\rdata\r\r"], [1, 1]),
        ("sse", [b": keep-alive\n\n", b"event: tick\nid: 4\n\n", b"\n\n"], [0, 0, 0]),
        ("sse", [b"database: 1\n\n", b"data\n\n", b"data:\n\n"], [0, 1, 1]),
        ("lines", [b'{"n": 1}\n{"n"', b": 2}\n", b"\n \r\n", b"3\n4"], [1, 1, 0, 1]),
    ],
)
def test_events_are_told_apart(kind: str, pieces: list[bytes], counts: list[int]) -> None:
    """However the network cuts them, at any of the three ends of lines; comments and blank lines
    are none."""
    events = EVENTS[kind]()
    assert [events.feed(piece) for piece in pieces] == counts
    assert not events.too_large


def test_a_line_without_end_is_not_kept() -> None:
    """It is given up at a bound."""
    events = EVENTS["lines"]()
    piece = b"x" * 65536
    for _ in range(MOST_EVENT_BYTES // len(piece)):
        assert events.feed(piece) == 0
        assert not events.too_large
    assert events.feed(piece) == 0
    assert events.too_large


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def read(generator: Generator, script: Script, connections: int = 1) -> Report:
    with hostile_server(script) as at:
        return offer(
            generator, at, Load("main", CASE, Stream(connections, "sse")), measured_s=LONG_S
        )


def counted(report: Report, quantity: str) -> int:
    return sum(histogram(report, quantity, phase).count for phase in ("warmup", "measured"))


def test_every_event_of_an_answer_without_end_counts(generator: Generator) -> None:
    """Each connection has one first event; the end of the load is no failure."""
    over = threading.Event()
    script = (CHUNKED, chunk(b"data: 1\n\ndata: 2\n\n"), chunk(b"data: 3\n\n"), Until(over))
    try:
        report = read(generator, script, 4)
    finally:
        over.set()
    assert failures(report, "warmup") == failures(report, "measured") == {}
    assert counted(report, "service_time") == 3 * 4
    assert histogram(report, "first_event", "measured").count == 4


def test_an_answer_that_ends_is_asked_for_again(generator: Generator) -> None:
    """With as many events each time."""
    report = read(generator, (CHUNKED, chunk(b"data: 1\n\n"), chunk(b"data: 2\n\n"), b"0\r\n\r\n"))
    assert failures(report, "warmup") == failures(report, "measured") == {}
    asked = histogram(report, "first_event", "measured").count
    assert asked > 1
    # The last may have been under way as the load ended.
    assert 2 * asked - 1 <= counted(report, "service_time") <= 2 * asked


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ((CHUNKED, chunk(b"data: 1\n\n"), CLOSE), "closed in the middle of the answer"),
        ((b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",), "status 503 instead of 200"),
        ((b"nonsense\r\n\r\n",), "malformed answer"),
        ((HEAD + b"Content-Length: 5\r\n\r\nhello",), "an answer without an event"),
        ((CHUNKED, chunk(b"x" * (MOST_EVENT_BYTES + 1))), "an event of more than 1 MiB"),
        ((CLOSE,), "closed before the answer"),
    ],
    ids=["cut short", "status", "malformed", "no event", "too large", "closed"],
)
def test_what_is_wrong_with_a_stream_is_a_failure(
    generator: Generator, script: Script, reason: str
) -> None:
    """By its reason, and no other."""
    report = read(generator, script)
    assert set(failures(report, "measured")) == {reason}


def test_a_stream_whose_first_event_does_not_come_is_given_up(generator: Generator) -> None:
    """At the bound of any other answer."""
    over = threading.Event()
    with hostile_server((CHUNKED, Until(over))) as at:
        load = Load("main", CASE, Stream(1, "sse"))
        report = offer(generator, at, load, timeout_s=0.1, measured_s=LONG_S)
    over.set()
    assert set(failures(report, "measured")) == {"no event in time"}


FEEDS = """
import asyncio
from aiohttp import web


async def feed(request):
    answer = web.StreamResponse(headers={"Content-Type": request.query["type"]})
    await answer.prepare(request)
    while True:
        await answer.write(request.query["event"].encode())
        await asyncio.sleep(0.002)


async def short(request):
    return web.Response(text="data: 1", content_type="text/event-stream")


app = web.Application()
app.router.add_get("/feed", feed)
app.router.add_get("/short", short)
"""
EVENTS_PATH = "/feed?type=text/event-stream&event=data:%201%0A%0A"
LINES_PATH = "/feed?type=application/x-ndjson&event=%7B%7D%0A"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Both kinds of events, of a person's own application."""
    folder = tmp_path_factory.mktemp("feeds")
    (folder / "feeds.py").write_text(FEEDS)
    loads = folder / "loads.toml"
    loads.write_text(
        f'[ticks]\nkind = "stream"\npath = "{EVENTS_PATH}"\nusers = 3\n'
        f'[numbers]\nkind = "stream"\nevents = "lines"\npath = "{LINES_PATH}"\nusers = 2\n'
    )
    options = ("--app", "feeds:app", "--app-dir", str(folder), "--scenarios", str(loads))
    with Bench(folder / "run", *options, "--rounds", "1", *SHORT, "--duration", "1") as bench:
        return ended(bench)


def test_an_own_applications_stream_has_its_row(measured: Ended) -> None:
    """Time to the first event, events a second, and the time between them."""
    assert measured.status == 0, measured.errors
    found = {row["scenario"]: row for row in measured.rows}
    assert found.keys() == {"ticks", "numbers"}
    for row in found.values():
        assert (row["load_model"], row["failures"]) == ("stream", 0)
        assert row["requests"] > 0
        assert row["throughput_rps"] > 0
        assert 0 < row["first_event_p50_ms"] <= row["first_event_p99_ms"]
        assert 0 <= row["service_time_p50_ms"] <= row["service_time_p99_ms"]
        assert "answer-varies" not in codes(row)
    assert (found["ticks"]["users"], found["numbers"]["users"]) == (3, 2)


def test_the_table_and_the_report_show_streams(measured: Ended) -> None:
    """Under the names of events."""
    table = show(measured.bench.folder)
    assert "ticks, 3 streams" in table
    for label in ("events/s", "first event p50 ms", "between events p99 ms", "CPU/event"):
        assert label in table
    report = reports.made(measured.bench.folder)
    rows = reports.table(report, "Events by scenario and stack").rows
    assert {row[:2] for row in rows} == {("numbers", "app-aiohttp"), ("ticks", "app-aiohttp")}
    assert "First event p50, ms" in reports.panels(report)


def test_a_stream_without_events_is_refused(
    measured: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the bound of every answer that is learned, with what an event is."""
    monkeypatch.setattr(learning, "BOUND_S", 0.5)
    loads = measured.bench.folder.parent / "silent.toml"
    loads.write_text(f'[one]\nkind = "stream"\npath = "{LINES_PATH}"\nusers = 1\n')
    with pytest.raises(HarnessError, match=r"within 0.5 s .* no event was seen in it"):
        prepare("feeds:app", loads.parent, [], loads, ())


@pytest.mark.parametrize(
    ("path", "events", "says"),
    [
        (LINES_PATH.replace("%7B%7D", "data:%20%7B%7D%0A"), "sse", "server-sent events have text/"),
        ("/short", "sse", "ended without an event"),
    ],
)
def test_what_is_no_stream_of_events_is_refused(
    measured: Ended, path: str, events: str, says: str
) -> None:
    """Before the load, with what an event is."""
    loads = measured.bench.folder.parent / "refused.toml"
    loads.write_text(f'[one]\nkind = "stream"\nevents = "{events}"\npath = "{path}"\nusers = 1\n')
    with pytest.raises(HarnessError, match=says):
        prepare("feeds:app", loads.parent, [], loads, ())


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"kind": "feed", "users": 1}, "kind must be one of requests, stream, echo"),
        ({"kind": "stream", "rate_rps": 5}, 'rate_rps is of kind = "requests"'),
        ({"kind": "stream"}, "users must be a whole number"),
        ({"kind": "stream", "users": 1, "events": "chunks"}, 'events must be "sse" or "lines"'),
        ({"kind": "stream", "users": 1, "check": "status"}, 'check is of kind = "requests"'),
        ({"kind": "stream", "users": 1, "think_s": 1}, 'think_s is of kind = "requests"'),
        ({"events": "sse", "users": 1}, 'events is of kind = "stream"'),
        ({"kind": "echo", "users": 1, "message_bytes": 0}, "message_bytes must be a whole number"),
        ({"kind": "echo", "users": 1, "body": "x"}, 'body is of kind = "requests"'),
        ({"rate_rps": 5, "think_s": 1}, "think_s is of users in a closed loop"),
        ({"users": 1, "think_s": [2, 1]}, "the least and the most of it"),
        ({"users": 1, "think_s": "long"}, "the least and the most of it"),
        ({"users": 1, "think_s": 100}, "from 0 to 60"),
    ],
)
def test_tables_that_make_no_sense_are_refused(table: dict[str, Any], says: str) -> None:
    """With what the key takes."""
    with pytest.raises(HarnessError, match=says):
        of_tables("loads.toml", {"one": {"path": "/", **table}})


def test_a_request_is_a_stream_or_it_is_not(tmp_path: Path) -> None:
    """One request in two ways is refused."""
    loads = tmp_path / "loads.toml"
    loads.write_text('[one]\nkind = "stream"\npath = "/feed"\nusers = 1\n')
    with pytest.raises(HarnessError, match="GET /feed is offered as a stream and otherwise"):
        prepare("feeds:app", tmp_path, ["/feed"], loads, ())


def test_think_time_is_said_in_a_loads_file() -> None:
    """As a number, or as its least and its most."""
    tables = {
        name: {"path": "/", "users": 4, "think_s": think}
        for name, think in (("fixed", 0.5), ("between", [1, 2]))
    }
    fixed, between = (one.loads[0].model for one in of_tables("loads.toml", tables))
    assert fixed == Closed(4, think_min_s=0.5, think_max_s=0.5)
    assert (between.think_s, fixed.think_s) == (1.5, 0.5)


WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PAGE = Case("page", Request("GET", "/"), Expected(200, None, b"ok"))


def test_a_user_that_thinks_sends_no_sooner(generator: Generator) -> None:
    """In 1.1 s a user that thinks for 0.1 s sends twelve times at most; one that thinks for far
    longer than the load ends with it."""
    with hostile_server((WHOLE,)) as at:
        quick, long = (
            offer(
                generator,
                at,
                Load("main", PAGE, Closed(3, think_min_s=s, think_max_s=s)),
                measured_s=LONG_S,
            )
            for s in (0.1, 60.0)
        )
    assert failures(quick, "warmup") == failures(quick, "measured") == {}
    assert 3 <= counted(quick, "service_time") <= 3 * 12
    assert counted(long, "service_time") <= 3
    assert phase_of(quick, "measured").gaps == 0
