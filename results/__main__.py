"""`python -m results`: show a run, compare two, keep what is derived from rows up to date."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.shell_completion import CompletionItem

from loopbench.command_line import interrupted, standard_streams
from loopbench.results.errors import ResultsError, UnknownName
from loopbench.results.folder import folder as folders
from loopbench.results.folder import other_tools, tables
from loopbench.results.folder.counts import counts_of
from loopbench.results.regression.command import COMMANDS as REGRESSION_COMMANDS
from loopbench.results.report.why_command import why
from loopbench.results.schema import TRIALS, how_to
from loopbench.results.schema.json_forms import AS_JSON, json_text

if TYPE_CHECKING:
    from rich.console import Console

    from loopbench.results.stats.summary import Summaries

# What takes long to import is imported by the command that needs it: completion must be quick.


class Run(click.ParamType[Path]):
    """A results folder, by name or path."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The folder; a usage error that suggests the nearest name."""
        if isinstance(value, Path):
            return value
        tool = other_tools.tool_of(Path(value))
        if tool is not None:
            raise click.UsageError(other_tools.refusal(Path(value), tool), ctx)
        try:
            return folders.find(value)
        except UnknownName as error:
            raise click.UsageError(str(error), ctx) from None

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names of the runs that are here, the newest first, and then folders."""
        found = [name for name in folders.names() if name.startswith(incomplete)]
        return [*map(CompletionItem, found), CompletionItem(incomplete, type="dir")]


def _chosen(run: Path | None) -> Path:
    try:
        return run if run is not None else folders.find(None)
    except UnknownName as error:
        raise click.UsageError(str(error)) from None


@click.group(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="loopbench", prog_name="loopbench")
def cli() -> None:
    """Read results folders. RUN is a name under results/runs or a path; by default the newest."""


for command in (*REGRESSION_COMMANDS, why):
    cli.add_command(command)


@cli.command()
@click.argument("run", type=Run(), required=False)
@click.option(
    "--reference",
    metavar="STACK",
    help="Take ratios to this stack; by default to the first by name that is no yardstick.",
)
@click.option("--wide", is_flag=True, help="Print every figure, and the Warnings in words.")
@click.option("--intervals", is_flag=True, help="The same, with both ends of each interval.")
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="SCENARIO",
    help="Show only this one, or those of a pattern (repeatable).",
)
@click.option("--report", "reported", is_flag=True, help="Write the report too, of everything.")
@click.option(
    "--update",
    is_flag=True,
    help="Write summary.csv and datapackage.json into the folder anew, of everything.",
)
@AS_JSON
def show(
    run: Path | None,
    reference: str | None,
    wide: bool,
    intervals: bool,
    scenarios: tuple[str, ...],
    reported: bool,
    update: bool,
    as_json: bool,
) -> None:
    """Print who is faster, by how much and how sure that is, a line a scenario.

    No file of the folder is changed, except those that --report and --update are about.
    """
    from loopbench.results.terminal import brief, documents, table

    path = _chosen(run)
    whole = loaded = _load(path)
    summaries = _summaries(loaded, reference)
    if scenarios:
        try:
            loaded = folders.only(loaded, scenarios)
        except UnknownName as error:
            raise click.UsageError(str(error)) from None
        summaries = _summaries(loaded, reference)
    if as_json:
        click.echo(json_text(documents.show(loaded, summaries)))
    elif wide or intervals or not brief.compares(loaded, summaries):
        page = table.page(loaded, summaries, intervals=intervals)
        _print(lambda console: table.render(page, path, console))
    else:
        short = brief.brief(loaded, summaries, counts_of(path, []))
        _print(lambda console: brief.render(short, path, console))
    if update:
        _update(path, _summaries(whole, reference))
    if reported:
        click.echo(_report(whole, _summaries(whole, None), None))


@cli.command()
@click.argument("run", type=Run(), required=False)
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["html", "md"]),
    help="Write only that one, and print its path.",
)
def report(run: Path | None, wanted: str | None) -> None:
    """Write report.html and report.md into the folder, and print where the page is."""
    loaded = _load(_chosen(run))
    click.echo(_report(loaded, _summaries(loaded, None), wanted))


def _update(path: Path, summaries: Summaries) -> None:
    """Write the tables that are made from what was measured. Raises ResultsError."""
    from loopbench.results.folder import datapackage
    from loopbench.results.stats import summary_table

    try:
        summary_table.write(path, summaries)
        datapackage.write(path)
    except OSError as error:
        raise ResultsError(f"cannot write into {path}: {error.strerror}") from error


def _report(loaded: folders.Folder, summaries: Summaries, wanted: str | None) -> str:
    """Write the report, in every format unless one is wanted; returns the first one's path."""
    from loopbench.results.report import write as writing
    from loopbench.results.terminal.table import shown_path

    written = writing.write(loaded, summaries, [wanted] if wanted else writing.FORMATS)
    return shown_path(written[0])


@cli.command()
@click.argument("first", type=Run())
@click.argument("second", type=Run())
@click.option("--all", "every", is_flag=True, help="Compare every metric, not only those shown.")
@AS_JSON
def compare(first: Path, second: Path, every: bool, as_json: bool) -> None:
    """Compare two runs: ratio, interval and verdict a Cell and metric, and changed facts.

    Facts are the threads and loops that routes ran on and, where both runs
    have them, the answers of `make behaviour`.
    """
    from loopbench.results.stats import compare, compare_facts
    from loopbench.results.terminal import compare as compare_table
    from loopbench.results.terminal import documents

    one, other = _load(first), _load(second)
    before, after = _summaries(one, None), _summaries(other, None)
    compared = compare.compare(one, before, other, after, every=every)
    if not compared:
        raise ResultsError("the two runs have no stack and scenario in common")
    differ, only = compare.differences(one, other), compare.only_in_one(before, after)
    otherwise = compare_facts.otherwise(one, other)
    if as_json:
        document = documents.compare(one, other, compared, [*differ, *otherwise], only)
        click.echo(json_text(document))
        return
    _print(
        lambda console: compare_table.render(one, other, compared, differ, only, otherwise, console)
    )


@cli.command()
@click.argument("run", type=Run(), required=False)
@click.option(
    "--scenario", "scenarios", multiple=True, help="Draw this closed loop (repeatable); all."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the picture goes; picture.svg in the folder by default.",
)
def picture(run: Path | None, scenarios: tuple[str, ...], out: Path | None) -> None:
    """Draw throughput and CPU per request as one SVG that stands by itself, and print its path."""
    from loopbench.results.report import standalone as drawn

    path = _chosen(run)
    loaded = _load(path)
    try:
        text = drawn.render(loaded, _summaries(loaded, None), scenarios)
    except UnknownName as error:
        raise click.UsageError(str(error)) from None
    file = out or path / "picture.svg"
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"cannot write {file}: {error.strerror}") from error
    click.echo(file)


@cli.command()
@click.argument("run", type=Run(), required=False)
def pack(run: Path | None) -> None:
    """Compress histograms.csv, the one large table, in a folder that is to be kept.

    Every command here reads it as before; gunzip undoes it.
    """
    from loopbench.results.folder import compress

    click.echo(compress.pack(_chosen(run)))


@cli.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it there instead of printing it.",
)
@AS_JSON
def behaviour(folder: Path, out: Path | None, as_json: bool) -> None:
    """Print what the stacks were seen to do, as an article in Markdown, from behaviour.csv."""
    from loopbench.results.folder import behaviour_answers as answers
    from loopbench.results.report import behaviour_article
    from loopbench.results.terminal import documents

    rows, problems = answers.rows_of(folder)
    if as_json:
        text = json_text(documents.behaviour(folder.resolve().name, rows, problems)) + "\n"
    else:
        text = behaviour_article.article(answers.questions(rows))
    for problem in problems:
        click.echo(f"note: {problem}", err=True)
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


@cli.command()
@click.argument("run", type=Run(), required=False)
@click.option(
    "--rps",
    type=click.FloatRange(0, min_open=True),
    help="The rate to serve; needed where no limit was measured.",
)
@click.option(
    "--slo-ms",
    type=click.FloatRange(0, min_open=True),
    help="The p99 response time to keep; without it a stack only has to keep up.",
)
@click.option(
    "--scenario",
    "pattern",
    default="*",
    show_default=True,
    help="The open loops to judge by, as a pattern.",
)
@AS_JSON
def capacity(
    run: Path | None, rps: float | None, slo_ms: float | None, pattern: str, as_json: bool
) -> None:
    """Say what rate a process can serve, how many a rate needs, and what that rests on.

    Of a folder of `make capacity` these are the limits that were measured; of a
    bench, an estimate from the CPU time a request of its open loops, for --rps.
    """
    path = _chosen(run)
    if (path / TRIALS.filename).is_file():
        _limits(path, rps, as_json=as_json)
        return
    if rps is None:
        raise click.UsageError("--rps is needed: no limit was measured in this run")
    from loopbench.results.stats.capacity import capacities
    from loopbench.results.terminal import capacity as capacity_text
    from loopbench.results.terminal import documents

    loaded = _load(path)
    found = capacities(loaded, _summaries(loaded, None), rps, slo_ms, pattern)
    if not found:
        raise ResultsError(
            "no open loop of that name was measured; "
            + how_to("make bench SCENARIOS='open-* rate-*'", "loopbench bench --scenario 'open-*'")
            + " does"
        )
    if as_json:
        click.echo(json_text(documents.capacity(found, rps, slo_ms)))
        return
    for line in capacity_text.lines(found, rps, slo_ms):
        click.echo(line)


def _limits(path: Path, rps: float | None, *, as_json: bool) -> None:
    """What a search for limits found."""
    from loopbench.results.stats import limits
    from loopbench.results.terminal import documents
    from loopbench.results.terminal import limits as limits_text

    problems: list[tables.Problem] = []
    found = limits.of_folder(path, problems)
    for problem in problems:
        click.echo(f"note: {problem}", err=True)
    if as_json:
        click.echo(json_text(documents.limits(found, rps)))
        return
    for line in limits_text.lines(found, rps):
        click.echo(line)


@cli.command()
@click.argument("run", type=Run(), required=False)
def split(run: Path | None) -> None:
    """Tell server and framework apart, and what another loop or parser changes."""
    from loopbench.results.stats import framework_split as splitting
    from loopbench.results.stats import framework_split_text

    loaded = _load(_chosen(run))
    problems: list[tables.Problem] = []
    splits, counts = splitting.of_folder(loaded, _summaries(loaded, None), problems)
    for problem in problems:
        click.echo(f"note: {problem}", err=True)
    if not splits and not counts:
        raise ResultsError(
            "no two stacks of this run differ in their framework, loop or parser alone; "
            + how_to(
                'make bench STACKS="asgi-hypercorn quart-hypercorn"',
                "loopbench bench --stack asgi-hypercorn --stack quart-hypercorn",
            )
            + " measures two that do"
        )
    for line in framework_split_text.lines(splits, counts):
        click.echo(line)


@cli.command()
@click.option("--write", is_flag=True, help="Write results/reference/answers.csv anew.")
def answers(write: bool) -> None:
    """Print what the published runs answer to the report's questions.

    Reports of runs that did not measure it show it, with where it is from.
    """
    from loopbench.results.report.questions import published

    if write:
        click.echo(published.write())
        return
    for row in published.rows():
        click.echo(f"{row['question']} {row['answer']} ({row['run']})")


@cli.command()
@click.option("--write", is_flag=True, help="Write it into results/README.md.")
def dictionary(write: bool) -> None:
    """Print the data dictionary: every table, column, unit and Warning."""
    from loopbench.results.terminal import dictionary

    if not write:
        click.echo(dictionary.dictionary())
        return
    text = dictionary.README.read_text(encoding="utf-8")
    dictionary.README.write_text(dictionary.renewed(text), encoding="utf-8")


def _load(path: Path) -> folders.Folder:
    """The folder, if any row of it can be used. Raises ResultsError."""
    loaded = folders.load(path)
    if loaded.runs:
        return loaded
    about_runs = [problem for problem in loaded.problems if problem.file == "runs.csv"]
    why = about_runs[0] if about_runs else "runs.csv holds no row: no Run had ended"
    raise ResultsError(f"{path} has nothing to show: {why}")


def _summaries(loaded: folders.Folder, reference: str | None) -> Summaries:
    from loopbench.results.stats import summary

    try:
        return summary.summarise(loaded, reference)
    except UnknownName as error:
        raise click.UsageError(str(error)) from None


def _print(write: Callable[[Console], None]) -> None:
    """Print through rich: as wide as the terminal, without colour where there is none."""
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without µ and – still gets the table
    console = Console(highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        write(console)
    for line in captured.get().splitlines():
        sys.stdout.write(f"{line.rstrip()}\n")
    sys.stdout.flush()


def _fail(line: str, status: int = 1) -> NoReturn:
    click.echo(f"error: {line}", err=True)
    sys.exit(status)


def main() -> None:
    """Entry point: errors are one line; exit 2 for wrong usage, 1 for the rest, 130 for Ctrl-C."""
    with standard_streams():
        _run()


def _run() -> None:
    try:
        program = os.path.basename(sys.argv[0])
        installed = program.startswith("loopbench")
        cli.main(prog_name=program if installed else "python -m results", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
    except click.UsageError as error:
        _fail(error.format_message(), 2)
    except click.ClickException as error:
        _fail(error.format_message())
    except ResultsError as error:
        _fail(str(error))
    except (click.Abort, KeyboardInterrupt):
        interrupted("interrupted")


if __name__ == "__main__":
    main()
