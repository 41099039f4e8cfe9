"""The suite as an installed tool: what the wheel holds, and that it works in a person's folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from loopbench.__main__ import SUBCOMMANDS, WITHOUT_APP, cli, main
from loopbench.loadtests.bench_command import bench as bench_command
from loopbench.loadtests.configuration import Configuration, read
from loopbench.results.schema import RUNS, read_table
from tests.conftest import ROOT
from tests.results.examples import golden

SHOP = """
from aiohttp import web
import queue, results, servers

assert results.NAME == "the person's own"
assert open("settings.ini").read() == "name = shop"


async def hello(request):
    return web.json_response({"hello": "world"})


def create_app(greeting):
    assert greeting == "hi"
    app = web.Application()
    app.router.add_get("/", hello)
    app.router.add_get("/hello", hello)
    app.router.add_get("/user/{name}", hello)
    app.router.add_post("/orders", hello)
    return app
"""

SHADOWS = ("click", "json", "logging", "types")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `pip wheel .` does, from a copy of what is tracked."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        source, copy = ROOT / name, folder / "tree" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            copy.symlink_to(os.readlink(source))
        elif source.is_file():
            copy.write_bytes(source.read_bytes())
    build = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder))
    subprocess.run([sys.executable, "-m", "pip", *build, str(folder / "tree")], check=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """An environment in which the wheel is what is imported, and not this clone."""
    place = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(place)
    return {**os.environ, "PYTHONPATH": str(place)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's folder, with packages of the suite's names and modules of the library's."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(SHOP)
    (folder / "settings.ini").write_text("name = shop")
    for name, text in (("servers", ""), ("results", 'NAME = "the person\'s own"\n')):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(text)
    for name in SHADOWS:
        (folder / f"{name}.py").write_text(f"raise RuntimeError('not the library: {name}')\n")
    return folder


def tool(
    installed: Mapping[str, str], folder: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    """The command as its script runs it, which has no current folder on its path."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "loopbench", *words],
        cwd=folder,
        env=installed,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_the_wheel_holds_every_module_under_one_name(wheel: Path) -> None:
    """With the files that a page is made of, and no tests."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"loopbench"}
    modules = {
        f"loopbench/{path.relative_to(ROOT).as_posix()}"
        for package in ("servers", "loadtests", "results")
        for path in (ROOT / package).rglob("*.py")
        if not {"runs", "regressions"} & set(path.relative_to(ROOT).parts)
    }
    assert modules <= names
    assert {
        "loopbench/__main__.py",
        "loopbench/results/README.md",
        "loopbench/results/report/page/page.html",
        "loopbench/results/report/page/page.css",
        "loopbench/results/report/page/page.js",
        "loopbench/results/report/charts/picture.css",
    } <= names
    (points,) = (name for name in names if name.endswith("/entry_points.txt"))
    assert zipfile.ZipFile(wheel).read(points).decode().split() == [
        *("[console_scripts]", "loopbench", "=", "loopbench.__main__:main"),
    ]


def test_its_reports_name_its_own_commands(installed: Mapping[str, str], tmp_path: Path) -> None:
    """What was not measured is measured by `loopbench`, for there is neither make nor a clone."""
    folder = golden.write(tmp_path / "run")
    done = tool(installed, tmp_path, "report", str(folder))
    assert done.returncode == 0, done.stderr
    text = (folder / "report.md").read_text(encoding="utf-8")
    missing = text.partition("## Not in this run")[2]
    assert "`loopbench why --out …`" in missing
    assert "`loopbench bench --stack asgi-hypercorn --stack quart-hypercorn`" in missing
    assert not re.findall(r"`(?:make|python|\.venv)\b.*?`", missing)
    _, _, asked = text.partition("## Fifteen questions")
    questions = asked.partition("\n## ")[0]
    assert (
        "`loopbench bench --stack aiohttp --stack aiohttp-uvloop --scenario async-32`" in questions
    )
    assert "`loopbench behaviour --out FOLDER`" in questions
    assert not re.findall(r"`(?:make|python|\.venv)\b.*?`", questions)


def test_it_measures_an_application_from_its_own_folder(
    installed: Mapping[str, str], shop: Path
) -> None:
    """`init` writes the configuration, `bench` obeys it; nothing of the folder hides a module of
    the harness, and the results are where one stands."""
    done = tool(installed, shop, "init", "shop:create_app('hi')")
    assert (done.returncode, done.stdout) == (
        0,
        "loopbench.toml: 2 pages; measure them by: loopbench bench\n",
    ), done.stderr
    options = ("--rounds", "1", "--duration", "0.2", "--warmup", "0.1")
    done = tool(installed, shop, "bench", *options)
    assert done.returncode == 0, done.stderr
    # The first figures are there as soon as the first Run has ended.
    first = r"^\[1/2\] 01\.app-aiohttp\.(root|hello): main [\d,.]+/s, median [\d,.]+ ms$"
    assert re.search(first, done.stderr, re.MULTILINE), done.stderr
    (folder,) = (shop / "loopbench-results").iterdir()
    rows = list(read_table(folder, RUNS))
    assert {row["scenario"] for row in rows} == {"root", "hello"}
    assert {row["stack"] for row in rows} == {"app-aiohttp"}
    assert all(row["requests"] and row["failures"] == 0 for row in rows)
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["command"][:2] == ["loopbench", "bench"]
    assert environment["suite"] == {"commit": None, "changed": None}
    shown = tool(installed, shop, "show")
    assert shown.returncode == 0, shown.stderr
    assert "shop:create_app" in shown.stdout


def test_what_is_wrong_is_one_line(installed: Mapping[str, str], shop: Path) -> None:
    """Of each half, under the name of the one command."""
    (shop / "empty").mkdir()
    done = tool(installed, shop / "empty", "show")
    assert done.returncode == 2
    assert done.stderr == "error: nothing has been measured yet; `loopbench bench` does it\n"
    done = tool(installed, shop / "empty", "regression")
    assert done.returncode == 3
    assert done.stderr.startswith("error: the regression check makes its environments from the su")
    assert done.stderr.count("\n") == 1
    done = tool(installed, shop, "bnch")
    assert (done.returncode, done.stderr) == (
        2,
        "error: No such command 'bnch'. Did you mean 'bench'?\n",
    )
    done = tool(installed, shop, "bench", "--app", "shop:create_app", "--get", "/")
    assert done.returncode == 1
    assert done.stderr == (
        "error: shop:create_app needs greeting, which nobody gives it; add --arg greeting=…\n"
    )


@pytest.mark.parametrize("name", WITHOUT_APP)
def test_a_command_that_takes_no_application_says_what_does(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, as wrong usage; 2 would say of a regression check that it cannot tell."""
    monkeypatch.setattr(sys, "argv", ["loopbench", name, "--app=shop:app", "--get", "/"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == (3 if name == "regression" else 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {name} takes no --app: {WITHOUT_APP[name]}"


def test_every_subcommand_is_there() -> None:
    """As its own package has it."""
    context = cli.make_context("loopbench", ["--help"], resilient_parsing=True)
    for name in SUBCOMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.help, name


FILE, PYPROJECT = "loopbench.toml", "pyproject.toml"
WITH_APP = "app = 'shop:app'\n"


@pytest.mark.parametrize(
    ("file", "text", "status", "says"),
    [
        (
            FILE,
            "round = 3",
            2,
            "loopbench.toml: no option of bench is 'round'; did you mean rounds?",
        ),
        (FILE, "rounds = [1]", 2, "loopbench.toml: rounds must be one value"),
        (FILE, "rounds = 'x'", 2, "Invalid value for '--rounds'"),
        (FILE, "rounds = 1.5", 2, "Invalid value for '--rounds': '1.5' is not a valid integer"),
        (FILE, "rounds = inf", 2, "Invalid value for '--rounds': 'inf' is not a valid integer"),
        (FILE, "rounds = true", 2, "loopbench.toml: rounds must be a number or a text"),
        (FILE, "duration = 2026-11-29", 2, "loopbench.toml: duration must be a number or a text"),
        (FILE, "on = [['aiohttp']]", 2, "loopbench.toml: on must be a number or a text"),
        (FILE, "app-dir = 'a\\u0000'", 2, "Invalid value for '--app-dir'"),
        (FILE, 'app-dir = "a\\u0000"', 2, "loopbench.toml: app-dir must be a number or a text"),
        (FILE, "app-dir = 1", 2, "Invalid value for '--app-dir': Directory '1' does not exist."),
        (FILE, 'precision = "a\\nb"', 2, r"'--precision': 'a\nb' is no percentage between 0"),
        (FILE, 'budget = "a\\nb"', 2, r"'--budget': 'a\nb' is no time from 1s to 24h"),
        (FILE, "probe = 0", 2, "loopbench.toml: probe must be true or false"),
        (FILE, "resume = 1", 2, "loopbench.toml: resume must be true or false"),
        (FILE, "loads = 1", 2, "loopbench.toml: loads must be a table"),
        (FILE, "arguments = 1", 2, "loopbench.toml: arguments must be a table"),
        (FILE, "rounds = ", 2, "loopbench.toml is no TOML"),
        (FILE, WITH_APP + "[loads]\na = 1", 1, "loads.a is no table; write [loads.NAME] above"),
        (FILE, WITH_APP + "[loads.a]\npath = 1", 1, "loopbench.toml, [loads.a]: path must be"),
        (PYPROJECT, "tool = 1", 2, "pyproject.toml: tool must be a table"),
        (PYPROJECT, "[tool]\nloopbench = 'x'", 2, "pyproject.toml: tool.loopbench must be a table"),
        (
            PYPROJECT,
            f"[tool.loopbench]\n{WITH_APP}[tool.loopbench.loads.a]\nusers = 1",
            1,
            "pyproject.toml, [tool.loopbench.loads.a]: path must be",
        ),
    ],
)
def test_a_configuration_with_nonsense_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: str,
    text: str,
    status: int,
    says: str,
) -> None:
    """By file, table and key, in one line."""
    (tmp_path / file).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["loopbench", "bench"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


KEYS: dict[str, tuple[Any, str]] = {
    "stack": (["aiohttp"], "asyncio"),
    "scenario": (["async-1"], "async-32"),
    "rounds": (5, "7"),
    "precision": ("4 %", "3 %"),
    "budget": ("2m", "3m"),
    "duration": (0.5, "0.6"),
    "slice": (0.2, "0.3"),
    "warmup": (0.7, "0.4"),
    "out": ("a", "b"),
    "resume": (True, ""),
    "redis": ("redis://127.0.0.1:1", "redis://127.0.0.1:2"),
    "database": ("postgresql://127.0.0.1:1/a", "postgresql://127.0.0.1:2/a"),
    "probe": (False, ""),
    "keep-awake": (False, ""),
    "instructions": (False, ""),
    "processes": (2, "3"),
    "manager": ("own", "children"),
    "seed": (3, "4"),
    "app": ("shop:app", "shop:other"),
    "app-dir": ("a", "b"),
    "on": (["hypercorn"], "uvicorn"),
    "get": (["/a", "/b"], "/c"),
    "scenarios": ("a.toml", "b.toml"),
    "header": (["A: b"], "C: d"),
    "arg": (["a=1"], "b=2"),
    "ready-s": (40, "50"),
    "users": (20, "30"),
    "spawn-rate": (5, "6"),
    "workers": (2, "3"),
    "expect-workers": (2, "3"),
    "bind": ("127.0.0.1:5557", "127.0.0.1:5558"),
    "key-file": ("a.key", "b.key"),
    "server-via": ("ssh a", "ssh b"),
    "server-host": ("127.0.0.1", "127.0.0.2"),
    "server-python": ("python3.12", "python3.13"),
    "server-root": ("a", "b"),
    "server-cpus": ("0", "1"),
}
"""By option of `bench`: a value in the file, and another one on the command line; no word for a
flag, which is given its other name there."""


def test_every_option_has_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the file says is what the same words on the command line say, which go before it."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.key").write_text("k" * 40)

    def given(configured: dict[str, Any], *words: str) -> dict[str, Any]:
        """The values of all options, with these lines in the file."""
        lines = [f"{name} = {json.dumps(value)}" for name, value in configured.items()]
        (tmp_path / "loopbench.toml").write_text("\n".join(lines))
        return bench_command.make_context("bench", list(words)).params

    options = [option for option in bench_command.params if isinstance(option, click.Option)]
    assert {option.opts[0].removeprefix("--") for option in options} == KEYS.keys()
    for option in options:
        assert option.name is not None
        name = option.opts[0].removeprefix("--")
        value, word = KEYS[name]
        values = value if isinstance(value, list) else [value]
        same = [text for one in values for text in (f"--{name}", str(one))]
        other = [f"--{name}", word]
        if not word:
            same = [option.opts[0] if value else option.secondary_opts[0]]
            other = option.opts if option.secondary_opts else []
        plain = given({})[option.name]
        of_file = given({name: value})[option.name]
        assert of_file == given({}, *same)[option.name]
        assert of_file != plain
        if other:
            over_the_file = given({name: value}, *other)[option.name]
            assert over_the_file == given({}, *other)[option.name] != of_file


def test_pyproject_serves_as_well(tmp_path: Path) -> None:
    """In its own table; loopbench.toml goes before it."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.loopbench]\napp = "shop:app"\nget = ["/"]\nprobe = false\n'
        '[tool.loopbench.loads.a]\npath = "/a"\n'
    )
    found = read(tmp_path)
    assert found.options == {"app": "shop:app", "get": ["/"], "probe": False}
    assert found.loads == {"a": {"path": "/a"}}
    assert found.words() == ["--app", "shop:app", "--get", "/", "--no-probe"]
    (tmp_path / "loopbench.toml").write_text("rounds = 5\n")
    assert read(tmp_path).options == {"rounds": 5}
    assert read(tmp_path / "nowhere") == Configuration()


def test_the_optional_packages_are_those_of_the_requirements() -> None:
    """`loopbench[stacks]` brings what `make setup STACKS=all` does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements-stacks.in").read_text().splitlines()
    named = {line for line in lines if line and not line.startswith(("#", "-r"))}
    assert set(project["optional-dependencies"]["stacks"]) == named
