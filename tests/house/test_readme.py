"""The commands of README, CONTRIBUTING, results/README and docs/ are those that there are."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from loopbench.loadtests.scenarios.table import DEFAULT_SCENARIOS, SCENARIOS
from loopbench.results.folder.counts import counts_of
from loopbench.results.folder.folder import Folder, load
from loopbench.results.report import standalone
from loopbench.results.report.data import gather
from loopbench.results.report.series import findings
from loopbench.results.schema import ROOT
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats.summaries.summary import Summaries, summarise
from loopbench.results.terminal import brief, brief_columns
from loopbench.results.terminal.table import heading
from tests.documents import between, fenced
from tests.forked import Program, program

REFERENCE = ROOT / "results" / "reference"
PUBLISHED = REFERENCE / "bench"
"""A run of the scenarios that `make bench` measures, with more time for narrower intervals."""
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "results/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
COMMANDS = sorted(
    {
        line.partition("#")[0].strip()
        for document in DOCUMENTS
        for block in re.findall(r"```sh\n(.*?)```", document.read_text(encoding="utf-8"), re.S)
        for line in re.sub(r" *\\\n *", " ", block).splitlines()
    }
)
RUN_WHOLE = {("servers", "list"), ("loadtests", "list")}
"""Commands that are quick and change nothing: run as they stand. Of the others the
words are checked by the program itself, with --help after them."""


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_make_knows_the_target(command: str) -> None:
    """`make --dry-run` accepts it."""
    subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


PYTHON_COMMANDS = [
    command for command in COMMANDS if "python -m" in command or command.startswith("loopbench ")
]
IMPORTED = {"loadtests": ["loopbench.loadtests.cli", "loopbench.loadtests.bench_command"]}
"""What a program imports late, though most of the commands need it."""


@pytest.fixture(scope="module")
def programs() -> Iterator[dict[str, Program]]:
    """By what follows `python -m`, or the one command that is installed."""
    modules = {_module(command)[0] for command in PYTHON_COMMANDS}
    with ExitStack() as cleanup:
        yield {
            module: cleanup.enter_context(program(module, *IMPORTED.get(module, ())))
            for module in modules
        }


def _module(command: str) -> tuple[str, list[str]]:
    """The module that a command runs, and the words after it."""
    words = shlex.split(command)
    if words[0] == "loopbench":
        return words[0], words[1:]
    return words[2].removeprefix("loopbench."), words[3:]


@pytest.mark.parametrize("command", PYTHON_COMMANDS)
def test_the_program_knows_the_command(command: str, programs: dict[str, Program]) -> None:
    """The module takes these words."""
    module, words = _module(command)
    if (module, *words) not in RUN_WHOLE:
        words.append("--help")
    done = programs[module].run(*words)
    assert done.status == 0, done.err
    assert done.out


def test_locust_knows_the_file() -> None:
    """Locust lists the user classes of the locustfile that the README names."""
    (command,) = re.findall(r"`(\S+/locust -f [^`]+)`", README)
    _, flag, file, *_ = shlex.split(command)
    done = subprocess.run(
        [Path(sys.executable).with_name("locust"), flag, file, "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "AsyncUser" in done.stdout


def test_the_first_screen_is_of_the_committed_run(generated: Callable[[Path, str], None]) -> None:
    """The answer in two sentences with intervals, and the table that `results show` prints."""
    folder = load(PUBLISHED)
    summaries = summarise(folder, None)
    console = Console(width=100, highlight=False, markup=False, emoji=False)
    with console.capture() as printed:
        page = brief.brief(folder, summaries, counts_of(PUBLISHED, []))
        brief_columns.render(replace(page, stalled=(), closing=()), PUBLISHED, console)
    *table, _, _ = [line.rstrip() for line in printed.get().splitlines()]
    text = between(README, "answer", _answer(folder, summaries))
    generated(ROOT / "README.md", between(text, "table", fenced(table)))


def _answer(folder: Folder, summaries: Summaries) -> Iterator[str]:
    """What the report says first: throughput, and CPU a request, of a scenario."""
    material = gather(folder, summaries)
    closed = material.models(LoadKind.CLOSED)
    speed = findings.first(material, closed, "throughput_rps")
    cost = findings.first(material, closed, "cpu_us_per_request")
    assert speed is not None
    assert cost is not None
    yield from _wrapped(
        f"**{findings.contender_clauses(speed[1])}.** {findings.contender_clauses(cost[1])}."
    )
    yield ""
    *_, machine = heading(folder)
    scenario, rounds = SCENARIOS[speed[0][0]], speed[1][0].ratio.n
    yield from _wrapped(
        f"In brackets stands the 95 % interval. The scenario {scenario.name} asks {scenario.asks}. "
        f"Measured in {rounds} Rounds on {machine}."
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 105, break_on_hyphens=False)


def test_the_picture_is_of_the_committed_run(generated: Callable[[Path, str], None]) -> None:
    """Throughput and CPU per request of the closed loops that are measured in Slices, and by
    default."""
    folder = load(PUBLISHED)
    sliced = [
        name
        for name in DEFAULT_SCENARIOS
        if SCENARIOS[name].slice_s is not None
        and SCENARIOS[name].loads[0].model.kind == LoadKind.CLOSED
    ]
    generated(REFERENCE / "picture.svg", standalone.render(folder, summarise(folder, None), sliced))
