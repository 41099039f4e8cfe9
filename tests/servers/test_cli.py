"""`python -m servers`, typed as a person would, in processes of their own."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from loopbench.servers.contract.cases import CASES
from loopbench.servers.installed import available
from loopbench.servers.promises import holes
from loopbench.servers.running import SETTING_OPTIONS
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import STACKS
from tests.forked import Program, program
from tests.servers.choices import KINDS, stacks
from tests.servers.processes import eventually, free, needs_proc

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = (sys.executable, "-m", "servers")
BOUND_S = 60.0


@pytest.fixture(scope="module")
def servers() -> Iterator[Program]:
    """The command line, for what ends by itself."""
    with program("servers") as found:
        yield found


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`run` with these arguments, and the first line that it prints."""
    process = subprocess.Popen(
        [*COMMAND, "run", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().rstrip("\n")
        finally:
            process.kill()


def answer(url: str, target: str) -> tuple[int, bytes]:
    """Status and body of a GET."""
    netloc = url.removeprefix("http://")
    with closing(http.client.HTTPConnection(netloc, timeout=BOUND_S)) as connection:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, response.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", stacks(KINDS))
def test_run_prints_its_url_answers_and_stops_on_a_signal(
    name: str, number: signal.Signals
) -> None:
    """The URL is the first line and answers at once; nothing else is said, and the status is 0."""
    with serving(name, "--port", "0") as (process, url):
        case = CASES["plain"]
        assert case.expected.check(*answer(url, case.request.target)) is None
        process.send_signal(number)
        out, err = process.communicate(timeout=BOUND_S)
        assert (process.returncode, out, err) == (0, "", "")


def test_run_listens_where_it_is_told() -> None:
    """Host and port come from the options."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serving("asyncio", "--host", "localhost", "--port", str(port)) as (process, url):
        assert url == f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(BOUND_S) == 0


def test_run_takes_the_settings_as_options() -> None:
    """Only the probe's, which a harness reads, have none; what is given is in force."""
    names = {field.name for field in fields(Settings)}
    assert set(SETTING_OPTIONS) == {name for name in names if not name.startswith("probe")}
    with serving("aiohttp", "--port", "0", "--wait-ms", "0", "--debug", "yes") as (process, url):
        assert answer(url, "/hello/Ada") == (200, b"<h1>hello, Ada!</h1>")
        assert b"debug=True" in answer(url, "/async")[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(BOUND_S) == 0


def test_a_port_in_use_is_one_line_and_status_1(servers: Program) -> None:
    """The line begins with `error:` and names the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = servers.run("run", "aiohttp", "--port", port)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert port in done.err
    assert done.err.count("\n") == 1


def test_an_address_of_another_machine_is_one_line_and_status_1(servers: Program) -> None:
    """192.0.2.1 is for documentation (RFC 5737) and nobody's own."""
    done = servers.run("run", "aiohttp", "--host", "192.0.2.1")
    assert (done.status, done.out) == (1, "")
    assert done.err == "error: 192.0.2.1 is no address of this machine; take one that is\n"


@pytest.mark.alone
@needs_proc
def test_watching_prints_a_stall_of_an_application_with_its_line_as_it_happens() -> None:
    """The line of the application that slept, while the server goes on."""
    target = "loopbench.loadtests.selfcheck.seeds.aiohttp_app:app"
    told: list[str] = []
    with serving("--app", target, "--port", "0", "--watch") as (process, url):
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        threading.Thread(target=lambda: told.extend(lines), daemon=True).start()

        def seen() -> bool:
            # On a busy machine the watcher may come late, and not know where the call waited.
            urllib.request.urlopen(f"{url}/hold/sleep", timeout=BOUND_S).close()
            return any("waited: in clock_nanosleep" in line for line in told)

        assert eventually(seen), told
        assert process.poll() is None
    line = next(line for line in told if "clock_nanosleep" in line)
    assert "seeds/holds.py:" in line
    assert " sleep in /hold/sleep: blocking-call, waited: in clock_nanosleep" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "quart-hypercon"), "did you mean quart-hypercorn?"),
        (("run",), "Missing argument 'STACK'"),
        (("run", "aiohttp", "--app", "shop:app"), "not both"),
        (("run", "aiohttp", "--on", "aiohttp"), "--on belongs to --app"),
        (("run", "aiohttp", "--port", "65536"), "0<=x<=65535"),
        (("run", "aiohttp", "--port", "-1"), "0<=x<=65535"),
        (("run", "aiohttp", "--grace-s", "nan"), "nan is not a number of seconds"),
        (("run", "aiohttp", "--keep-alive-s", "soon"), "'soon' is not a valid"),
        (("run", "aiohttp", "--wait-ms", "1e3"), "1e3"),
        (("run", "aiohttp", "--executor-threads", "0"), "1<=x"),
        (("lst",), "lst"),
    ],
)
def test_a_command_line_that_cannot_be_obeyed_is_one_line_and_status_2(
    arguments: tuple[str, ...], said: str, servers: Program
) -> None:
    """Misspelt names and absurd numbers are refused before anything starts."""
    done = servers.run(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert said in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("run", "--help")])
def test_help_is_there_without_asking_too(arguments: tuple[str, ...], servers: Program) -> None:
    """Alone or asked for help, the command shows its usage and succeeds."""
    done = servers.run(*arguments)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("Usage: python -m servers")


def test_list_has_a_row_a_stack(servers: Program) -> None:
    """Every row fits a terminal, and says whether the stack runs here and how much it lacks."""
    done = servers.run("list")
    assert (done.status, done.err) == (0, "")
    header, *rows = done.out.splitlines()
    assert header.split() == ["STACK", "FRAMEWORK", "SERVER", "LOOP", "RUNS", "HERE"]
    assert [row.split()[0] for row in rows] == list(STACKS)
    for row, stack in zip(rows, STACKS.values(), strict=True):
        obstacle = available(stack)
        count = len(holes(stack))
        lacks = f", but for {count} case{'s' if count != 1 else ''}" if count else ""
        assert row.endswith(f"  yes{lacks}" if obstacle is None else f"  no: {obstacle}")
        assert len(row) <= 100 or obstacle is not None


def test_a_wide_list_names_what_each_stack_is_and_lacks(servers: Program) -> None:
    """Also the cases of the contract that it cannot keep."""
    header, *rows = servers.run("list", "--wide").out.splitlines()
    assert " ".join(header.split()) == "STACK FRAMEWORK SERVER LOOP WHAT IT IS RUNS HERE"
    for row, stack in zip(rows, STACKS.values(), strict=True):
        assert stack.summary in row
        if available(stack) is None and holes(stack):
            assert row.endswith(f"  yes, but for {', '.join(holes(stack))}")


def test_the_shell_completes_names_of_stacks() -> None:
    """As click's completion scripts ask the installed command for them."""
    program = "import sys; sys.argv[0] = 'loopbench'; import loopbench.__main__ as m; m.main()"
    asked = {"COMP_WORDS": "loopbench servers run q", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **asked, "_LOOPBENCH_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    quarts = [f"plain,{name}" for name in STACKS if name.startswith("q")]
    assert done.stdout.split() == quarts
    assert "plain,quart-hypercorn" in quarts


def test_a_second_signal_ends_a_stop_that_lasts() -> None:
    """The first one waits for the request in flight, the second one does not."""
    options = ("--port", "0", "--wait-ms", "60000", "--grace-s", "60")
    with serving("aiohttp", *options) as (process, url):
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=BOUND_S) as connection:
            connection.sendall(CASES["hello-waiting"].request.encode("test"))
            answer(url, "/plain")  # once this is answered, the other is in flight
            process.send_signal(signal.SIGTERM)
            assert eventually(lambda: free(int(port)))  # the first signal has been obeyed
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(BOUND_S) == -signal.SIGTERM
