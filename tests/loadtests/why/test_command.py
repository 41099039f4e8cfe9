"""What `python -m loadtests why` takes, and refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from loopbench.loadtests.cli import cli
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.custom.loads_file import of_paths, of_tables
from loopbench.loadtests.scenarios.custom.scenarios import Own
from loopbench.loadtests.why import interpreter
from loopbench.loadtests.why.command import DEFAULT_CASES, _own, _subjects
from loopbench.servers.contract.cases import CASES
from loopbench.servers.stacks import STACKS


def test_cases_that_work_in_threads_come_last() -> None:
    """And each stack is asked what it keeps."""
    subjects = _subjects(("aiohttp", "quart-documented"), ("sync", "plain", "json"))
    assert [list(one.cases) for one in subjects] == [["plain", "json", "sync"], ["plain", "sync"]]
    assert [one.counterpart for one in subjects] == [None, "quart-hypercorn"]
    assert set(DEFAULT_CASES) <= CASES.keys()


def test_a_stack_that_keeps_none_of_the_cases_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After each case was told, with the reason."""
    with pytest.raises(HarnessError, match="asyncio has none of these cases"):
        _subjects(("asyncio",), ("db-total",))
    assert "asyncio is not asked for db-total: it is there for what a server" in (
        capsys.readouterr().err
    )


def test_each_request_of_an_own_application_is_counted_once() -> None:
    """Of a path that two scenarios offer, too; what is no request is refused by its name."""
    paths = {one.name: one for one in of_paths(("/a", "/b"), ())}
    (subject,) = _own(Own({"own": STACKS["aiohttp"]}, paths, {}))
    assert len(paths) == 4
    assert list(subject.cases) == ["GET /a", "GET /b"]
    (events,) = of_tables("file", {"ticks": {"kind": "stream", "path": "/ticks", "users": 2}})
    with pytest.raises(HarnessError, match="GET /ticks is offered otherwise"):
        _own(Own({"own": STACKS["aiohttp"]}, {**paths, "ticks": events}, {}))


def test_an_installed_package_serves_with_its_own_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another Python is here that names its functions: nothing is installed for it."""
    monkeypatch.setattr(interpreter, "INSTALLED", True)
    assert interpreter.choose(None).path == Path(sys.executable)


def test_what_sets_up_an_environment_is_heard_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a minute and more, of which nothing was said before its end; a failure is said
    once, as an error."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "setup").write_text(
        "echo begins\n"
        "while [ ! -e heard ]; do sleep 0.05; done\n"
        "echo 'loopbench set-up: no network' >&2\n"
        "exit 2\n"
    )
    monkeypatch.setattr(interpreter, "ROOT", tmp_path)
    monkeypatch.setattr(interpreter, "_SET_UP_BOUND_S", 60.0)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        (tmp_path / "heard").touch()

    another = interpreter.Interpreter(Path("python"), "3.12.1", True)
    with pytest.raises(HarnessError, match=r"^loopbench set-up: no network$"):
        interpreter.environment(another, False, say)
    assert said == ["begins"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--stack", "aiohtpp"], "aiohttp"),
        (["--case", "asynk"], "async"),
        (["--get", "/"], "need --app"),
        (["--requests", "1"], "5<=x"),
        (["--app", "shop:app", "--case", "async"], "leave out --stack"),
    ],
)
def test_what_does_not_fit_is_a_usage_error(words: list[str], said: str) -> None:
    """With the nearest name, or the remedy."""
    done = CliRunner().invoke(cli, ["why", *words])
    assert done.exit_code == 2
    assert said in done.output
