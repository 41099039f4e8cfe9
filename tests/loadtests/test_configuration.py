"""The file of a person's own application: what `init` writes into it, and what the commands beside
`bench` take from it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from loopbench.loadtests.bench.init.initial import init
from loopbench.loadtests.capacity.command import capacity
from loopbench.loadtests.scenarios.custom.options import Asked
from loopbench.loadtests.why.command import why

FILE = """
app = "shop:make_app"
on = ["aiohttp", "aiohttp-uvloop"]
rounds = 5
users = 3

[arguments]
config = "dev.toml"

[loads.hello]
path = "/hello"
users = 32
"""
COMMANDS = {"limits": (capacity, ("--slo", "p99<20ms")), "why": (why, ())}


def asked(name: str, *more: str) -> Asked:
    command, needed = COMMANDS[name]
    found: Asked = _context(name, command, [*needed, *more]).params["asked"]
    return found


def _context(name: str, command: click.Command, words: list[str]) -> click.Context:
    """Of a command line whose command is not carried out."""
    context = command.make_context(name, words)
    params = dict(context.params)
    fields = {field for field in Asked.__dataclass_fields__ if field in params}
    context.params["asked"] = Asked(**{field: params[field] for field in fields})
    return context


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loopbench.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_application_is_that_of_the_file(name: str) -> None:
    """What is an option of `bench` alone is none of its business; the command line goes before."""
    found = asked(name)
    assert (found.app, found.on) == ("shop:make_app", ("aiohttp", "aiohttp-uvloop"))
    found = asked(name, "--app", "other:app", "--on", "hypercorn")
    assert (found.app, found.on) == ("other:app", ("hypercorn",))


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("suite", ["--stack=aiohttp", "--case=async"])
def test_the_suite_s_own_servers_can_be_meant(name: str, suite: str) -> None:
    """By a stack or a case."""
    assert asked(name, suite).app is None


def test_init_takes_the_folder_that_its_refusal_names(tmp_path: Path) -> None:
    """A module that is not here is looked for where --app-dir says, by bench afterwards, too."""
    (tmp_path / "loopbench.toml").unlink()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "lone.py").write_text(
        "from aiohttp import web\n\napp = web.Application()\n"
    )
    refused = CliRunner().invoke(init, ["lone:app"])
    assert str(refused.exception).endswith("name the folder that holds it by --app-dir")
    done = CliRunner().invoke(init, ["lone:app", "--app-dir", "elsewhere"])
    assert done.exit_code == 0, done.output
    assert tomllib.loads((tmp_path / "loopbench.toml").read_text())["app-dir"] == "elsewhere"
