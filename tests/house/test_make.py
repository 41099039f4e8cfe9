"""What `make` takes and refuses before it does anything."""

from __future__ import annotations

import csv
import subprocess
import sys

import pytest

from loopbench.loadtests.selfcheck.command import CHECKS
from loopbench.results.folder import datapackage
from loopbench.results.schema import ROOT
from loopbench.results.schema.files import open_text
from tests.faults import __main__ as faults
from tests.forked import program


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """What it would do, without doing it."""
    return subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("target", ["bench", "test", "why"])
def test_a_misspelt_choice_is_refused(target: str) -> None:
    """Nothing is set up or measured: the choice and those that there are, in one line."""
    done = make(target, "SCENARIO=async-32")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        "SCENARIO: no such choice; did you mean SCENARIOS? there are PYTHON STACKS " in done.stderr
    )


@pytest.mark.parametrize("part", ["9/3", "0/3", "two/3", "commit/0", "3", ""])
def test_a_part_of_the_faults_that_there_is_not_is_refused(
    part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, before anything is provoked."""
    assert faults.main([part]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "",
        f"error: there is no part {part!r}; a part is such as 2/3, or commit/3\n",
    )


def test_an_application_of_ones_own_is_told_where_to_go() -> None:
    """It is no choice of make's: it has packages that this environment lacks."""
    done = make("bench", "APP=shop:app")
    assert (done.returncode, done.stdout) == (2, "")
    assert "`loopbench bench --app MODULE:NAME`" in done.stderr


def test_commas_between_names_are_taken() -> None:
    """As in STACKS=a,b; each becomes an option of its own."""
    done = make("bench", "STACKS=aiohttp,quart-hypercorn", "SCENARIOS=async-1,sync-32")
    assert done.returncode == 0, done.stderr
    assert "--stack 'aiohttp' --stack 'quart-hypercorn'" in done.stdout
    assert "--scenario 'async-1' --scenario 'sync-32'" in done.stdout


def test_the_regression_check_is_asked_about_the_stacks_that_are_named() -> None:
    """And about the questions; `all` is what is installed, and no stack."""
    options = "--layer 'facts' --stack 'aiohttp' --question 'order.*'"
    words = "LAYERS=facts", "STACKS=aiohttp", "QUESTIONS=order.*"
    assert options in make("regression", *words).stdout
    assert "--stack" not in make("regression", "STACKS=all").stdout


def test_capacity_has_an_objective_where_none_is_said() -> None:
    """And passes on what is."""
    assert "capacity --slo 'p99<20ms'" in make("capacity").stdout
    assert "capacity --slo 'p95<5ms' " in make("capacity", "SLO=p95<5ms", "STACKS=aiohttp").stdout


@pytest.mark.parametrize("half", ["servers", "loadtests", "results"])
def test_each_command_says_its_version_and_its_help(half: str) -> None:
    """With `--version` and `-h`."""
    with program(half) as command:
        version, shown = command.run("--version"), command.run("-h")
    assert version.out.startswith("loopbench, version "), version.err
    assert shown.out.startswith(f"Usage: python -m {half}"), shown.err


def test_selfcheck_names_what_it_checks() -> None:
    """Each with its question, a line each."""
    words = [sys.executable, "-m", "loadtests", "selfcheck", "--help"]
    shown = subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout
    for name, question in CHECKS.items():
        assert f"  {name:11} {question}\n" in shown


def test_the_page_of_locust_listens_on_loopback() -> None:
    """It starts loads for whoever reaches it."""
    code = (
        "from locust.argument_parser import parse_options, parse_locustfile_option\n"
        "import runpy, sys\n"
        "runpy.run_path('loadtests/locustfile.py')\n"
        "print(parse_options([]).web_host)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "127.0.0.1"


@pytest.mark.parametrize(
    "run", ["reference", "reference/bench", "reference/data", "reference/stacks"]
)
def test_the_data_package_of_a_published_run_has_the_columns_of_its_files(run: str) -> None:
    """As they are written anew: each field of the descriptor is a column, in its place."""
    folder = ROOT / "results" / run
    for resource in datapackage.describe(folder)["resources"]:
        path = folder / resource["path"]
        with open_text(path, "strict") as file:
            names = next(csv.reader(file))
        assert [field["name"] for field in resource["schema"]["fields"]] == names
