"""What is read from a connection: turn a setting round, and the answer changes with it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from loopbench.loadtests.behaviour.framework.catalogue import experiments
from loopbench.loadtests.behaviour.framework.process import Outcome
from loopbench.loadtests.behaviour.framework.question import BOUND_S, DEFAULT
from loopbench.loadtests.behaviour.framework.scheduler import ask_all
from loopbench.loadtests.behaviour.parsing.exchanging import (
    CLOSES,
    FOLLOWING,
    OPEN,
    WAITS,
    exchange,
    head,
)

Said = Callable[..., str]

STACKS = ("aiohttp", "quart-hypercorn")
AIOHTTP, QUART = STACKS


@pytest.fixture(scope="module")
def outcomes() -> dict[tuple[str, str, str], Outcome]:
    """Of all that does not wait for a default of half a minute or more."""
    wanted = [
        one
        for one in experiments().values()
        if one.topic == "parsing" and one.experiment.bound_s == BOUND_S
    ]
    return {one.key: outcome for one, outcome in ask_all(wanted)}


@pytest.fixture(scope="module")
def said(outcomes: dict[tuple[str, str, str], Outcome]) -> Said:
    """The answer to a question of a stack, by its setting."""

    def answer(question: str, stack: str, setting: str = DEFAULT) -> str:
        outcome = outcomes[f"parsing.{question}", stack, setting]
        assert outcome.answer is not None, outcome.problem
        return outcome.answer.answer

    return answer


def test_every_one_is_answered_in_one_line(
    outcomes: dict[tuple[str, str, str], Outcome],
) -> None:
    """None is cut or fails; answers and evidence are lines that are not blank."""
    assert [key for key, outcome in outcomes.items() if outcome.answer is None] == []
    for key, outcome in outcomes.items():
        assert outcome.answer is not None
        for text in (outcome.answer.answer, outcome.answer.evidence):
            assert text.strip() and "\n" not in text, key


@contextmanager
def _server(*answers: bytes, hold: bool = False) -> Iterator[int]:
    """Sends each answer upon what it receives, then closes or holds the connection."""
    done = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            for answer in answers:
                connection.recv(65536)
                connection.sendall(answer)
            if hold:
                done.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            done.set()
            thread.join()


EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize(
    ("answers", "hold", "words"),
    [
        ((EMPTY, EMPTY), False, f"204, {OPEN}"),
        ((EMPTY,), False, f"204, {CLOSES}"),
        ((EMPTY,), True, f"204, {WAITS}"),
        ((b"",), False, f"no answer, {CLOSES}"),
        ((b"",), True, f"no answer, {WAITS}"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",), False, f"no answer, {CLOSES}"),
    ],
)
def test_an_exchange_says_what_became_of_the_connection(
    answers: tuple[bytes, ...], hold: bool, words: str
) -> None:
    """Kept, closed, or silent; with an answer and without."""
    with _server(*answers, hold=hold) as port:
        assert exchange(port, FOLLOWING, 0.5).words == words


def test_a_head_has_the_lines_that_it_is_given() -> None:
    """In their order, after Host."""
    assert head("GET", "/x", "A: 1") == b"GET /x HTTP/1.1\r\nHost: localhost\r\nA: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("stack", "setting"),
    [(AIOHTTP, "client_max_size=4 * 2**20"), (QUART, "MAX_CONTENT_LENGTH=4 * 2**20")],
)
def test_the_limit_of_a_body_follows_its_setting(said: Said, stack: str, setting: str) -> None:
    """The status and the fate of the connection stay what they are by default."""
    default, changed = said("body-limit", stack), said("body-limit", stack, setting)
    assert changed.startswith("4 MiB, beyond 413")
    assert not default.startswith("4 MiB")
    assert default.partition(",")[2] == changed.partition(",")[2]


@pytest.mark.parametrize(
    ("stack", "setting", "lifted"),
    [
        (AIOHTTP, "chunked", False),
        (AIOHTTP, "read through request.content", True),
        (AIOHTTP, "client_max_size=0", True),
        (QUART, "chunked", False),
        (QUART, "read through async for of request.body", False),
        (QUART, "read through async for of request.body, chunked", True),
        (QUART, "MAX_CONTENT_LENGTH=None", True),
    ],
)
def test_some_ways_of_reading_know_no_limit(
    said: Said, stack: str, setting: str, lifted: bool
) -> None:
    """As the settings that lift it."""
    assert ("no limit" in said("body-limit", stack, setting)) == lifted


def test_a_stalled_body_is_given_up_where_something_bounds_its_reading(said: Said) -> None:
    """And answered with the status that the handler chooses."""
    assert said("stalled-body", AIOHTTP, "asyncio.timeout(1)").startswith("504 ")
    made = "asyncio.timeout(1), TimeoutError made HTTPRequestTimeout"
    assert said("stalled-body", AIOHTTP, made).startswith("408 ")
    assert said("stalled-body", QUART, "BODY_TIMEOUT=1").startswith("408 ")
    streamed = "BODY_TIMEOUT=1, read through async for of request.body"
    assert said("stalled-body", QUART, streamed).startswith("nothing ")


def test_quart_bounds_the_sending_and_not_the_handler(said: Said) -> None:
    """RESPONSE_TIMEOUT ends a stream, unless it is off; Hypercorn's read_timeout ends both."""
    assert said("slow-handler", QUART, "RESPONSE_TIMEOUT=1") == "answered"
    assert said("slow-handler", QUART, "RESPONSE_TIMEOUT=1, streamed") == "cut off"
    assert said("slow-handler", QUART, "RESPONSE_TIMEOUT=None, streamed") == "sent whole"
    assert said("slow-handler", QUART, "Hypercorn's read_timeout=1").startswith("closes")


def test_a_timeout_in_the_handler_ends_it_on_both(said: Said) -> None:
    """With statuses of their own."""
    assert said("slow-handler", AIOHTTP, "asyncio.timeout(1)") == "504"
    assert said("slow-handler", QUART, "asyncio.timeout(1)") == "500"


def test_an_idle_connection_closes_when_it_is_told_to(said: Said) -> None:
    """Hypercorn's default is longer than the second of the others."""
    assert said("idle-connection", AIOHTTP, "keepalive_timeout=1") == "closed after 1 s"
    assert said("idle-connection", QUART, "keep_alive_timeout=1") == "closed after 1 s"
    assert said("idle-connection", QUART, "nothing ever sent") == "closed after 5 s"


@pytest.mark.parametrize(
    ("stack", "name"), [(AIOHTTP, "keepalive_timeout"), (QUART, "keep_alive_timeout")]
)
def test_a_slow_head_gains_nothing_by_its_bytes(said: Said, stack: str, name: str) -> None:
    """A byte now and then does not put the end off."""
    for setting in (f"{name}=1", f"{name}=1, second request", f"{name}=1, a byte every 0.25 s"):
        assert said("half-sent-head", stack, setting).startswith("closed after 1 s")


def test_hypercorn_counts_the_requests_of_a_connection(said: Said) -> None:
    """To the number that it is given; aiohttp does not count."""
    question = "requests-a-connection"
    assert said(question, QUART, "keep_alive_max_requests=3") == "3"
    assert said(question, QUART) == "1000"
    more = said(question, QUART, "keep_alive_max_requests=10**9")
    assert more == said(question, AIOHTTP) == "1100 and more"


def test_http2_lifts_the_order_of_a_connection(said: Said) -> None:
    """The same two requests."""
    assert said("pipelining", QUART).endswith("one after the other")
    assert said("pipelining", QUART, "two streams of HTTP/2").endswith("at once")
    for setting in ("prior knowledge", "Upgrade: h2c"):
        assert said("http2-cleartext", QUART, setting) == "200 over HTTP/2"
        assert said("http2-cleartext", AIOHTTP, setting).endswith("over HTTP/1")


def test_the_limits_of_a_head_follow_their_settings(said: Said) -> None:
    """Hypercorn's holds for what comes in pieces."""
    assert said("oversized-head", AIOHTTP, "a header of 40,000 bytes").startswith("400")
    lifted = "a header of 40,000 bytes, max_field_size=65536"
    assert said("oversized-head", AIOHTTP, lifted).startswith("200")
    assert said("oversized-head", AIOHTTP, "200 headers").startswith("400")
    assert said("oversized-head", AIOHTTP, "200 headers, max_headers=300").startswith("200")
    pieces = "a header of 40,000 bytes in two pieces"
    assert said("oversized-head", QUART, pieces).startswith("431")
    lifted = f"{pieces}, h11_max_incomplete_size=65536"
    assert said("oversized-head", QUART, lifted).startswith("200")
    assert said("oversized-target", AIOHTTP, "9,000 bytes").startswith("400")
    assert said("oversized-target", AIOHTTP, "9,000 bytes, max_line_size=65536").startswith("200")


@pytest.mark.parametrize("body", ["broken", "empty", "not UTF-8"])
def test_bad_json_is_a_400_once_it_is_caught(said: Said, body: str) -> None:
    """A ValueError covers what a JSONDecodeError does not."""
    alone = DEFAULT if body == "broken" else f"{body} body"
    assert said("json-bad", AIOHTTP, alone) == "500"
    assert said("json-bad", AIOHTTP, f"{body} body, except ValueError") == "400"
    narrow = said("json-bad", AIOHTTP, f"{body} body, except json.JSONDecodeError")
    assert narrow == ("500" if body == "not UTF-8" else "400")


def test_json_is_written_as_it_is_told_to(said: Said) -> None:
    """The order of keys, blanks and letters."""
    question = "json-answer-format"
    assert said(question, QUART).startswith('{"a":')
    assert said(question, QUART, "app.json.sort_keys=False").startswith('{"b":')
    assert "é" in said(question, QUART, "app.json.ensure_ascii=False")
    assert "in lines" in said(question, QUART, "debug=True")
    assert '": ' in said(question, AIOHTTP)
    assert '": ' not in said(question, AIOHTTP, "dumps=partial(json.dumps, separators=(',', ':'))")


def test_the_content_type_counts_where_it_is_looked_at(said: Said) -> None:
    """Quart looks unless forced, aiohttp leaves it to the handler."""
    assert said("json-wrong-type", AIOHTTP, "text/plain") == "read"
    assert said("json-wrong-type", AIOHTTP, "text/plain, request.content_type checked") == "415"
    assert said("json-wrong-type", QUART, "text/plain") == "None"
    assert said("json-wrong-type", QUART, "text/plain, get_json(force=True)") == "read"


@pytest.mark.parametrize(
    ("question", "stack", "setting", "change", "before", "after"),
    [
        ("trailing-slash", QUART, "route /a/, GET /a", "strict_slashes=False", "308 to /a/", "200"),
        (
            "trailing-slash",
            AIOHTTP,
            "route /a/, GET /a",
            "normalize_path_middleware",
            "404",
            "308 to /a/",
        ),
        ("double-slash", QUART, "GET /a//b", "url_map.merge_slashes=False", "308 to /a/b", "404"),
        (
            "double-slash",
            AIOHTTP,
            "GET /a//b",
            "normalize_path_middleware(merge_slashes=True)",
            "404",
            "308 to /a/b",
        ),
    ],
)
def test_a_setting_of_the_routing_changes_the_answer(
    said: Said, question: str, stack: str, setting: str, change: str, before: str, after: str
) -> None:
    """And nothing else does."""
    assert said(question, stack, setting) == before
    assert said(question, stack, f"{setting}, {change}") == after


def test_options_are_automatic_until_they_are_not(said: Said) -> None:
    """On Quart; aiohttp has no such thing."""
    assert said("options-automatic", QUART) == "200, Allow: GET, HEAD, OPTIONS, POST"
    without = said("options-automatic", QUART, "PROVIDE_AUTOMATIC_OPTIONS=False")
    assert without == said("options-automatic", AIOHTTP) == "405, Allow: GET, HEAD, POST"


def test_a_converter_makes_a_number(said: Said) -> None:
    """And refuses what is none; a pattern only refuses."""
    assert said("path-parameter-types", QUART, "route /<n>, GET /007") == "200, n is '007'"
    assert said("path-parameter-types", QUART, "route /<int:n>, GET /007") == "200, n is 7"
    assert said("path-parameter-types", QUART, "route /<int:n>, GET /-7") == "404"
    assert said("path-parameter-types", AIOHTTP, r"route /{n:\d+}, GET /007") == "200, n is '007'"
    assert said("path-parameter-types", AIOHTTP, r"route /{n:\d+}, GET /x") == "404"


def test_an_encoded_slash_needs_a_converter_that_takes_one(said: Said) -> None:
    """On Quart; aiohttp splits the path before it decodes it."""
    question = "percent-encoded-slash"
    assert said(question, QUART, "route /files/<name>, GET /files/a%2Fb") == "404"
    taken = "200, name is 'a/b'"
    assert said(question, QUART, "route /files/<path:name>, GET /files/a%2Fb") == taken
    assert said(question, AIOHTTP, "route /files/{name}, GET /files/a%2Fb") == taken


def test_head_runs_the_handler_where_it_is_allowed(said: Said) -> None:
    """With allow_head=False there is none."""
    assert "the handler ran" in said("head-on-get", AIOHTTP)
    assert said("head-on-get", AIOHTTP, "allow_head=False").startswith("405")
    for stack in STACKS:
        assert said("head-on-get", stack, "streamed").endswith("5 of 5 pieces made")


def test_an_expect_handler_refuses_before_the_body(said: Said) -> None:
    """Without one the client is told to go on first."""
    question, setting = "expect-100", "more than the body limit"
    assert said(question, AIOHTTP, setting) == "100, then waits"
    assert said(question, AIOHTTP, f"{setting}, expect_handler of one's own") == "413"
    assert said(question, QUART, setting) == "100, then 413"


def test_compressed_bodies_are_opened_within_the_limit(said: Said) -> None:
    """By aiohttp, unless it is told not to."""
    question = "compressed-request-body"
    assert said(question, AIOHTTP) == "decompressed"
    assert said(question, AIOHTTP, "auto_decompress=False") == "still compressed"
    assert said(question, AIOHTTP, "10 MiB of zeros") == "413"
    assert said(question, QUART) == "still compressed"


def test_large_uploads_leave_the_memory(said: Said) -> None:
    """Beyond a size that differs."""
    for stack in STACKS:
        assert said("file-upload", stack, "400 kB") == "memory"
        assert said("file-upload", stack, "5 MB") == "a file"


def test_the_access_log_is_there_when_it_is_asked_for(said: Said) -> None:
    """By the level of logging on aiohttp, by a setting on Hypercorn."""
    info = "logging.basicConfig(level=INFO)"
    for stack in STACKS:
        assert said("access-log", stack) == "no line"
    assert said("access-log", AIOHTTP, info).startswith("a line each")
    assert said("access-log", AIOHTTP, f"{info}, access_log=None") == "no line"
    assert said("access-log", QUART, info) == "no line"
    assert said("access-log", QUART, "accesslog='-'").startswith("a line each")


def test_an_exception_is_shown_in_debug_mode_only(said: Said) -> None:
    """Of the loop (aiohttp), of the application (Quart)."""
    for stack, debug in ((AIOHTTP, "PYTHONASYNCIODEBUG=1"), (QUART, "app.debug=True")):
        assert " without the exception" in said("error-page", stack)
        assert " with the exception" in said("error-page", stack, debug)
        assert said("error-page", stack, "in the middle of a stream").startswith("cut off")


def test_the_server_names_itself_unless_told_not_to(said: Said) -> None:
    """The header is away, or another's."""
    removed = "Server removed in on_response_prepare"
    assert said("server-header", AIOHTTP, removed) == "nothing, Date"
    assert said("server-header", QUART, "include_server_header=False") == "nothing, Date"
    assert said("server-header", QUART, "include_date_header=False") == "hypercorn-h11, no Date"


def test_routes_that_are_written_are_listed(said: Said) -> None:
    """Nested and dynamic ones too; a static folder comes by itself on Quart."""
    assert said("list-of-routes", AIOHTTP, "app.router.routes()").startswith("all;")
    listed = said("list-of-routes", QUART, "app.url_map.iter_rules()")
    assert listed.startswith("all;")
    assert "GET /static/<path:filename>" in listed
