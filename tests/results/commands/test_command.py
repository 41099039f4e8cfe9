"""`python -m results` as a person uses it: what is printed, and the exit status."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from loopbench.results import schema
from loopbench.results.__main__ import cli, main
from loopbench.results.folder.folder import load
from loopbench.results.schema import RUNS, TableWriter, locked, read_table
from loopbench.results.terminal import compare
from loopbench.results.terminal.table import heading
from tests.conftest import ROOT
from tests.results.examples import golden, split_folder
from tests.results.examples.folders import put
from tests.servers.processes import needs_proc

GOLDEN = Path(__file__).with_name("golden")


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Run `python -m results` with these arguments, 80 columns wide and without a terminal."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["results", *arguments])
        status = 0
        try:
            main()
        except SystemExit as ended:
            status = int(ended.code or 0)
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    return run


Command = Callable[..., Said]
Generated = Callable[[Path, str], None]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("brief", ()),
        ("show", ("--wide",)),
        ("show_intervals", ("--intervals",)),
        ("show_yardstick", ("--wide", "--reference", "asyncio")),
    ],
)
def test_show(
    folder: Path, command: Command, generated: Generated, name: str, options: tuple[str, ...]
) -> None:
    """The table, the Warnings in words and where the files are, in 80 columns, uncoloured."""
    said = command("show", *options, folder.name)
    assert (said.status, said.err) == (0, "")
    assert "\x1b" not in said.out
    assert max(map(len, said.out.splitlines())) <= 80
    generated(GOLDEN / f"{name}.txt", said.out)


def test_show_of_many_stacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, generated: Generated
) -> None:
    """The reference's figure once a scenario, then a line a contender with its own."""
    split_folder.write(tmp_path / "many")
    monkeypatch.chdir(tmp_path)
    said = command("show", "many")
    assert (said.status, said.err) == (0, "")
    assert max(map(len, said.out.splitlines())) <= 80
    generated(GOLDEN / "brief_many.txt", said.out)


def test_no_figure_is_cut_where_the_terminal_is_narrow(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """Titles are broken and scenarios stand above their stacks, so that 80 columns show what 100
    do; then columns are left out, then names shortened. Each line stays one line."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    tables = {}
    for columns in (100, 80, 66, 50):
        monkeypatch.setenv("COLUMNS", str(columns))
        said = command("show", str(schema.ROOT / "results" / "reference" / "stacks"))
        lines = said.out.partition("\n\n")[2].partition("x: ratio to")[0].splitlines()
        table = [line for line in lines if re.search(r" \d[\d,.]+(  |$)", line)]
        assert max(map(len, table)) <= columns
        figure = re.compile(r" (\d[\d,.]+x?(?: ±[\d.]+%)?)(?=  |$)")
        tables[columns] = [figure.findall(row) for row in table]
    assert len(tables[100]) > 20
    assert tables[80] == tables[100]
    for narrow in (66, 50):
        # The ratio of CPU time goes first.
        assert tables[narrow] == [row[:2] for row in tables[100]]


@pytest.mark.parametrize(
    ("code", "share", "said"),
    [
        ("machine-busy", 1.0, "All: machine-busy: others, or the hypervisor, used the CPUs"),
        ("one-cpu", 1.0, "All: one-cpu: server and generator shared a CPU"),
        ("littles-law", 1.0, "All (not to be compared): littles-law: "),
        ("machine-busy", 0.6, "{part} of {of} Cells: machine-busy: others"),
        ("machine-busy", 0.2, ""),
    ],
)
def test_what_is_about_all_figures_is_said_beside_them(
    folder: Path, command: Command, code: str, share: float, said: str
) -> None:
    """A Warning of nearly every Cell marks none of them; the short table says it once."""
    rows = [{**row, "warnings": ""} for row in read_table(folder, RUNS)]
    cells = list(dict.fromkeys((row["stack"], row["scenario"], row["load"]) for row in rows))
    about = set(cells[: round(share * len(cells))])
    for row in rows:
        if (row["stack"], row["scenario"], row["load"]) in about:
            row["warnings"] = code
    put(folder, RUNS, rows)
    lines = [line for line in command("show", folder.name).out.splitlines() if f"{code}:" in line]
    if said:
        (line,) = lines
        assert line.startswith(said.format(part=len(about), of=len(cells)))
    else:
        assert lines == []


@pytest.mark.parametrize(
    ("begun", "shown"),
    [
        ("2026-01-02T03:59:59.999+02:00", "2026-01-02 01:59 UTC"),
        ("2026-01-02T03:59", "2026-01-02T03:59"),
        ("yesterday", "yesterday"),
    ],
)
def test_the_head_says_when_the_run_began(folder: Path, begun: str, shown: str) -> None:
    """To the minute, in UTC; what says no such time stands as it was written."""
    rows = [{**row, "started_at": begun} for row in read_table(folder, RUNS)]
    put(folder, RUNS, rows)
    first, *_ = heading(load(folder))
    assert first == f"golden: 5 Rounds, {shown}"


def test_show_some_scenarios(folder: Path, command: Command) -> None:
    """Only those named, or those of a pattern; the summaries on disk are whole."""
    every = command("show", "--wide", folder.name)
    some = command("show", "--wide", "--update", "--scenario", "a*", folder.name)
    assert some.status == 0
    assert "async-32, " in some.out
    assert "plain-32, " in every.out
    assert "plain-32" not in some.out
    assert "plain-32" in (folder / "summary.csv").read_text()
    unknown = command("show", "--scenario", "asinc-32", folder.name)
    assert (unknown.status, unknown.out) == (2, "")
    assert unknown.err == "error: no scenario 'asinc-32' here; did you mean 'async-32'?\n"


def test_show_says_what_could_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, generated: Generated
) -> None:
    """A bench cut short after two Rounds, without its environment: the rows are shown."""
    monkeypatch.chdir(tmp_path)
    folder = golden.write(tmp_path / "golden", rounds=2)
    (folder / "environment.json").unlink()
    said = command("show", "--wide", "golden")
    assert said.status == 0
    generated(GOLDEN / "cut_short.txt", said.out)


def test_show_brings_the_derived_files_up_to_date(folder: Path, command: Command) -> None:
    """With --update summary.csv and datapackage.json are there afterwards, made anew."""
    (folder / "summary.csv").write_text("stale\n")
    assert command("show", "--update", folder.name).status == 0
    assert (folder / "summary.csv").read_text().startswith("stack,scenario,load,metric,")
    assert json.loads((folder / "datapackage.json").read_text())["resources"]


def test_show_and_report_at_once(folder: Path, command: Command) -> None:
    """The table, then the page's path; the report is of every scenario, whatever was shown."""
    table = command("show", "--scenario", "open-low", folder.name).out
    said = command("show", "--scenario", "open-low", "--report", folder.name)
    assert (said.status, said.err) == (0, "")
    assert said.out == f"{table}{folder.name}/report.html\n"
    both = command("report", folder.name), (folder / "report.md").read_text(encoding="utf-8")
    assert said.out.endswith(both[0].out)
    command("show", "--report", "--reference", "quart-hypercorn", folder.name)
    assert (folder / "report.md").read_text(encoding="utf-8") == both[1]
    assert "plain-32" in both[1]


def test_show_works_where_nothing_can_be_written(folder: Path, command: Command) -> None:
    """The table is printed; with --update the error follows it."""
    (folder / "summary.csv").mkdir()
    said = command("show", folder.name)
    assert (said.status, said.err) == (0, "")
    assert "async-32" in said.out
    asked = command("show", "--update", folder.name)
    assert (asked.status, asked.out) == (1, said.out)
    assert asked.err == f"error: cannot write into {Path('golden')}: Is a directory\n"


def test_text_from_rows_never_becomes_markup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """Names that look like markup, and escape sequences, are printed as they are or blanked."""
    monkeypatch.chdir(tmp_path)
    folder = golden.write(tmp_path / "golden", rounds=1)
    (folder / "runs.csv").unlink()
    with TableWriter(folder, RUNS) as writer:
        for row in golden.run_rows(1):
            writer.append([{**row, "stack": "[red]x\x1b[31m", "warnings": "[link]\x07"}][:1])
            break
    said = command("show", "golden")
    assert said.status == 0
    assert "[red]x [31m" in said.out
    assert "[link] " in said.out
    assert "\x1b" not in said.out and "\x07" not in said.out


def test_many_stacks_stay_within_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """Fourteen stacks are shown in blocks below each other, each of them once."""
    monkeypatch.chdir(tmp_path)
    folder = golden.write(tmp_path / "golden")
    stacks = [f"stack-number-{number}" for number in range(14)]
    put(
        folder,
        RUNS,
        (
            {**row, "stack": stack, "run_id": f"{row['run_id']}{stack}"}
            for stack in stacks
            for row in golden.run_rows()
            if row["stack"] == "aiohttp"
        ),
    )
    said = command("show", "--wide", "golden")
    assert max(map(len, said.out.splitlines())) <= 80
    headings = [line.split() for line in said.out.splitlines() if line.startswith(" " * 20)]
    assert sorted(name for line in headings for name in line if name in stacks) == sorted(stacks)


def test_compare_with_itself(folder: Path, command: Command, generated: Generated) -> None:
    """Nothing differs, and what cannot be told says why."""
    said = command("compare", folder.name, folder.name)
    assert (said.status, said.err) == (0, "")
    assert "WARNING" not in said.out
    generated(GOLDEN / "compare_same.txt", said.out)


def test_a_long_comparison_lists_what_is_not_the_same(
    folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With how many figures are not listed; --all lists every one."""
    monkeypatch.setattr(compare, "MOST_ROWS", 1)
    short = command("compare", folder.name, folder.name).out
    every = command("compare", folder.name, folder.name, "--all").out
    same = [line for line in every.splitlines() if line.endswith("  ~")]
    assert same and not any(line in short for line in same)
    (told,) = (line for line in short.splitlines() if "are not listed" in line)
    assert " figures are not listed: they may as well be the same. --all lists every" in told
    assert "are not listed" not in every


@pytest.fixture
def other(folder: Path) -> Path:
    """The same Cells on another machine and version: times halved, CPU per request doubled."""
    path = golden.write(folder.parent / "other")
    (path / "runs.csv").unlink()
    factors = {"throughput_rps": 2.0, "service_time_p50_ms": 0.5, "cpu_us_per_request": 2.0}
    with TableWriter(path, RUNS) as writer:
        for row in golden.run_rows():
            if row["scenario"] == "open-low":
                continue
            changed = {
                name: value * factors[name]
                for name, value in row.items()
                if name in factors and isinstance(value, float)
            }
            writer.append([{**row, **changed}])
    environment = json.loads((path / "environment.json").read_text())
    environment["machine"].update(cpu_model="Another CPU", kept_awake=True)
    environment["python"]["version"] = "3.13.0"
    environment["stacks"]["aiohttp"]["packages"]["aiohttp"] = "3.15.0"
    environment["seed"] = 8
    del environment["packages"]
    (path / "environment.json").write_text(json.dumps(environment))
    return path


def test_compare_warns_of_another_machine(
    folder: Path, other: Path, command: Command, generated: Generated
) -> None:
    """CPU, Python, packages and whether CPUs were kept awake are named with both values, as the
    table's head says of one run; the seed changes no figure."""
    assert "Another CPU, 2 CPUs kept awake, Linux" in command("show", other.name).out
    said = command("compare", folder.name, other.name)
    assert said.status == 0
    assert max(map(len, said.out.splitlines())) <= 80
    generated(GOLDEN / "compare_other.txt", said.out)


def test_compare_needs_something_in_common(folder: Path, other: Path, command: Command) -> None:
    """Two folders that share no Cell: one line."""
    for path, stack in ((folder, "one"), (other, "two")):
        put(path, RUNS, [{**next(golden.run_rows()), "stack": stack}])
        (path / "plan.json").unlink()
    said = command("compare", folder.name, other.name)
    assert (said.status, said.out) == (1, "")
    assert said.err == "error: the two runs have no stack and scenario in common\n"


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (("show", "goldne"), 2, "unknown run 'goldne'; nothing has been measured yet"),
        (("show",), 2, "nothing has been measured yet; `make bench` does it"),
        (("show", "--reference", "aiohtp", "golden"), 2, "unknown stack 'aiohtp'; did you mean"),
        (("show", "--nope"), 2, "No such option"),
        (("shwo",), 2, "No such command"),
        (("compare", "golden"), 2, "Missing argument 'SECOND'"),
        (
            ("why", "golden", "--phase", "routing", "--against", "golden"),
            2,
            "--between, --phase and --against are three questions; ask one",
        ),
    ],
)
def test_wrong_usage_is_one_line(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Command,
    arguments: tuple[str, ...],
    status: int,
    error: str,
) -> None:
    """`error:`, cause and remedy; exit status 2."""
    monkeypatch.setattr(schema, "RUNS_FOLDER", folder.parent / "none" / "runs")
    said = command(*arguments)
    assert (said.status, said.out) == (status, "")
    assert said.err.startswith(f"error: {error}")
    assert said.err.count("\n") == 1


def test_a_folder_without_a_row_is_one_line(folder: Path, command: Command) -> None:
    """A bench that was stopped before its first Run had ended; exit status 1."""
    (folder / "runs.csv").write_text(",".join(RUNS.names) + "\n")
    said = command("show", folder.name)
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("error: golden has nothing to show: runs.csv: 0 of 60 planned Runs")
    assert said.err.endswith("; measure again, or go on with it by --resume\n")
    assert said.err.count("\n") == 1
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps(plan | {"budget_s": 5.0}))
    said = command("show", folder.name)
    assert said.err.endswith(
        "; measure again with a longer --budget, or go on with it by --resume\n"
    )


@needs_proc
def test_a_folder_that_is_being_written_is_looked_at_again(folder: Path, command: Command) -> None:
    """No bench was cut short there, and nothing is to be measured again."""
    (folder / "runs.csv").write_text(",".join(RUNS.names) + "\n")
    with locked(folder):
        said = command("show", folder.name)
    assert said.err.endswith(" is writing into the folder; look again in a while\n")


@pytest.mark.parametrize(
    ("table", "beside", "shown_by"),
    [
        ("trials.csv", "environment.json", "capacity"),
        ("cost_totals.csv", None, "why"),
        ("behaviour.csv", None, "behaviour"),
    ],
)
@pytest.mark.parametrize("asked", [("show",), ("report",), ("compare", "golden")])
def test_a_folder_of_other_rows_names_what_shows_them(
    folder: Path,
    command: Command,
    asked: tuple[str, ...],
    table: str,
    beside: str | None,
    shown_by: str,
) -> None:
    """It holds no bench, and needs none."""
    other = folder.parent / "other"
    other.mkdir()
    (other / table).write_text("")
    if beside is not None:
        (other / beside).write_text("{}")
    said = command(*asked, "other")
    assert said.err == (
        f"error: other holds no bench; `python -m results {shown_by} other` shows its {table}\n"
    )


def test_the_yardstick_alone_has_its_figures(folder: Path, command: Command) -> None:
    """There is nothing to compare it with, and still something that it answers."""
    with (folder / "runs.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    kept = [row for row in rows if row[header.index("stack")] == "asyncio"]
    with (folder / "runs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *kept])
    said = command("show", folder.name)
    assert said.status == 0
    assert re.search(r"^  requests/s .* [\d,]+ ±", said.out, re.M)


def test_every_command_explains_itself(command: Command) -> None:
    """`--help` everywhere, and without a command the list of them."""
    for name in cli.commands:
        said = command(name, "--help")
        assert said.status == 0
        assert said.out.startswith(f"Usage: python -m results {name}")
    assert command().out == command("--help").out


def test_names_of_runs_complete(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell is offered what begins as typed, from results/runs."""
    monkeypatch.setattr(schema, "RUNS_FOLDER", folder.parent)
    complete = ShellComplete(cli, {}, "results", "_RESULTS_COMPLETE")
    values = [item.value for item in complete.get_completions(["show"], "gol")]
    assert values[0] == "golden"
    assert "golden" not in [item.value for item in complete.get_completions(["show"], "x")]


@pytest.mark.parametrize(
    ("module", "late"),
    [
        ("loopbench.results.__main__", {"scipy", "numpy", "rich"}),
        (
            "loopbench.loadtests.bench_command",
            {"scipy", "numpy", "locust", "gevent", "aiohttp", "quart"},
        ),
    ],
)
def test_the_commands_do_not_wait_for_what_few_of_them_need(module: str, late: set[str]) -> None:
    """What takes longest to import is not imported by the commands' list alone."""
    code = f"import sys, {module}; print({late} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert done.stdout == "set()\n"


def test_a_terminal_gets_colours_and_a_pipe_none(folder: Path) -> None:
    """The same command through a pseudo-terminal and through a pipe."""
    line = [sys.executable, "-m", "results", "show", str(folder)]
    hidden = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "CI", "TTY_COMPATIBLE")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    environment["TERM"] = "xterm-256color"
    piped = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, check=True)
    master, slave = pty.openpty()
    with subprocess.Popen(line, cwd=ROOT, env=environment, stdout=slave) as process:
        os.close(slave)
        seen = bytearray()
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            seen += part
    os.close(master)
    assert process.returncode == 0
    assert b"\x1b[1m" in seen
    assert b"\x1b" not in piped.stdout


def test_a_reader_that_leaves_early_is_no_error(folder: Path) -> None:
    """As in `show | head -1`: no traceback, and exit status 0."""
    process = subprocess.Popen(
        [sys.executable, "-m", "results", "show", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=240)
    assert (process.returncode, errors) == (0, b"")


def test_a_terminal_without_the_letters_still_gets_the_table(folder: Path) -> None:
    """An ASCII locale: µ and – are replaced, nothing is raised."""
    done = subprocess.run(
        [sys.executable, "-m", "results", "show", "--wide", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert b"CPU/request ?s" in done.stdout


def test_commands_are_click_commands() -> None:
    """The names that other programs call."""
    assert {"show", "compare", "dictionary"} <= cli.commands.keys()
    assert all(isinstance(command, click.Command) for command in cli.commands.values())
