"""`python -m loadtests selfcheck` and `probe-cost`: check the measuring instrument."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from loopbench.cli_names import NameIn
from loopbench.cli_types import Folder
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.awake import kept_awake
from loopbench.loadtests.rows.results_folder import alone_in
from loopbench.loadtests.selfcheck.probe_cost import check as check_probe_cost
from loopbench.loadtests.selfcheck.verdict import Verdict

CHECKS = {
    "ceiling": "is the server the limit, and not Locust?",
    "fidelity": "are the service times true, by a packet capture?",
    "messages": "the same of WebSockets, on the yardstick",
    "disturbed": "does a disturbed generator spoil the figures, and say so?",
    "omission": "is a stall charged to all the requests that it delayed?",
    "twins": "do the intervals of ratios cover the truth? (a quarter of an hour)",
    "stalls": "is every stall told, with its cause, its line and its length? (half an hour)",
    "alarms": "is no stall told where there was none? (eleven minutes)",
    "utilisation": "is the utilisation of a loop true, by strace? (three minutes)",
    "capacity": "is a known limit found, and held by its interval? (some twenty minutes)",
    "observer": "does the probe change what it observes? (ten minutes)",
    "lengths": "does a ratio depend on the length of the Slices?",
}


@click.command(
    short_help="Check the measuring instrument itself.",
    epilog="\b\n" + "\n".join(f"{name:11} {question}" for name, question in CHECKS.items()),
)
@click.argument("names", nargs=-1, type=NameIn("check", CHECKS), metavar="[CHECK]...")
def selfcheck(names: tuple[str, ...]) -> None:
    """Check the measuring instrument itself: all of it, or what is named.

    Exit status 1 where a demand was not met.
    """
    met = True
    with kept_awake():  # as for a bench
        for name in names or tuple(CHECKS):
            click.echo(f"{name}: {CHECKS[name]}")
            check = importlib.import_module(f"loopbench.loadtests.selfcheck.checks.{name}").check
            met = _held(check(lambda line: click.echo(f"  {line}"))) and met
    if not met:
        raise HarnessError("the instrument does not meet every demand on this machine")


@click.command("probe-cost", short_help="Count what the probe costs a request.")
@click.option(
    "--out",
    type=Folder(exists=True),
    metavar="DIR",
    help="Write probe_cost.csv into this results folder too; its report then says it.",
)
def probe_cost(out: Path | None) -> None:
    """Count what the probe costs, in instructions a request, with it on and off.

    Needs valgrind; takes some minutes. Exit status 1 where it costs more than
    it may.
    """
    with alone_in(out):
        verdicts = check_probe_cost(click.echo, out)
    if not _held(verdicts):
        raise HarnessError("the probe costs more than it may")


def _held(verdicts: list[Verdict]) -> bool:
    """Print verdicts; whether all demands were met."""
    for verdict in verdicts:
        click.echo(f"  {verdict.line()}")
    return all(verdict.met for verdict in verdicts)
