"""What rate can be served: `capacity`."""

from __future__ import annotations

from pathlib import Path

import click

from loopbench.command_line import expect_address_space
from loopbench.results.commands.run import RUN, chosen, load, note, summaries_of
from loopbench.results.errors import ResultsError
from loopbench.results.folder import tables
from loopbench.results.schema import TRIALS, how_to
from loopbench.results.schema.json_forms import AS_JSON, json_text
from loopbench.results.terminal.console import folded

_ASKED = "--app APP --get PATH --slo 'p99<20ms'"
_SEARCHES = {
    False: how_to("make capacity SLO='p99<20ms'", "loopbench limits --slo 'p99<20ms'"),
    True: how_to(f"python -m loadtests capacity {_ASKED}", f"loopbench limits {_ASKED}"),
}
_MEASURED = {
    False: how_to("make bench SCENARIOS='open-* rate-*'", "loopbench bench --scenario 'open-*'")
    + " does",
    True: "a load of yours with rate_rps in place of users is one",
}
"""What measures a limit, and an open loop: of the suite's servers, and of a person's own."""

_CPU = "it is read of servers other than the yardstick on the host of the bench, under Linux"


@click.command(short_help="How many processes a rate needs.")
@RUN
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
    path = chosen(run)
    if (path / TRIALS.filename).is_file():
        if slo_ms is not None or pattern != "*":
            raise click.UsageError(
                "--slo-ms and --scenario are of a bench; this folder has limits of the objective "
                f"that was searched for, and another takes a search of its own ({_SEARCHES[False]})"
            )
        _limits(path, rps, as_json=as_json)
        return
    loaded = load(path)
    own = "application" in loaded.environment
    if rps is None:
        raise click.UsageError(
            f"this run has no measured limit ({_SEARCHES[own]} measures one): give the rate to "
            "serve, as in --rps 5000"
        )
    from loopbench.results.stats.capacity import capacities, offered_rates
    from loopbench.results.terminal import capacity as capacity_text
    from loopbench.results.terminal import documents

    summaries = summaries_of(loaded, None)
    of_stacks = capacities(loaded, summaries, rps, slo_ms, pattern)
    if not of_stacks and any(
        offered_rates(loaded, summaries, stack, pattern) for stack in loaded.stacks
    ):
        raise ResultsError(f"the open loops of that name have no CPU time a request; {_CPU}")
    if not of_stacks:
        raise ResultsError(f"no open loop of that name was measured; {_MEASURED[own]}")
    if as_json:
        click.echo(json_text(documents.capacity(of_stacks, rps, slo_ms)))
        return
    for line in capacity_text.lines(of_stacks, rps, slo_ms, own=own):
        click.echo(folded(line))


def _limits(path: Path, rps: float | None, *, as_json: bool) -> None:
    """What a search for limits found."""
    expect_address_space()
    from loopbench.results.stats.queueing import limits
    from loopbench.results.terminal import documents
    from loopbench.results.terminal import limits as limits_text

    problems: list[tables.Problem] = []
    measured_limits = limits.of_folder(path, problems)
    note(problems)
    if as_json:
        click.echo(json_text(documents.limits(measured_limits, rps)))
        return
    for line in limits_text.lines(measured_limits, rps):
        click.echo(line)
