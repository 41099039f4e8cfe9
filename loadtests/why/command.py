"""`python -m loadtests why`: count, write the rows, and hand them to the reading half."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from loopbench.cli_names import names_of
from loopbench.loadtests import configuration
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe import callgrind
from loopbench.loadtests.observe.request_counts import REQUESTS
from loopbench.loadtests.rows.results_folder import cannot_begin, new_folder
from loopbench.loadtests.scenarios.custom import options as custom_options
from loopbench.loadtests.scenarios.custom.scenarios import Own
from loopbench.loadtests.why import interpreter, rows, sampling
from loopbench.loadtests.why.documented import DOCUMENTED
from loopbench.loadtests.why.instructions.counts import in_thread
from loopbench.loadtests.why.interpreter import Interpreter
from loopbench.loadtests.why.measure import MOST_REPEATS, REPEATS, Plan, Subject, measure
from loopbench.loadtests.why.repeating import AGREEMENT, SHARE
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.http import Case
from loopbench.servers.errors import ServerError
from loopbench.servers.promises import hole
from loopbench.servers.stacks import (
    CORE,
    STACKS,
)
from loopbench.servers.supervision import own_modules

DEFAULT_CASES = ("plain", "async", "json", "sync")


@click.command(
    cls=configuration.NamedApplication, short_help="Count what a request costs, by function."
)
@names_of(
    "stack",
    {**STACKS, **DOCUMENTED},
    f"Count on this stack (repeatable), or on {' or '.join(DOCUMENTED)}; the core ones by default.",
)
@names_of(
    "case",
    CASES,
    f"Count this case of the contract (repeatable); by default {', '.join(DEFAULT_CASES)}.",
)
@click.option("--requests", type=click.IntRange(5, 10_000), default=REQUESTS, show_default=True)
@click.option(
    "--repeats",
    type=click.IntRange(1, 20),
    help=f"How often each is counted, in fresh processes; by default {REPEATS} times, and "
    f"{MOST_REPEATS} where rows of {SHARE:.0%} and more differ by over {AGREEMENT:.0%}.",
)
@click.option(
    "--python",
    metavar="PYTHON",
    help="Serve with this interpreter; by default the first here that names its functions.",
)
@click.option(
    "--sample",
    "sampled",
    is_flag=True,
    help="Sample CPU time by Linux's perf, too, as a second witness.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the tables go, such as a results folder, whose report then shows them; a new "
    "folder by default.",
)
@custom_options.options
def why(
    stacks: tuple[str, ...],
    cases: tuple[str, ...],
    requests: int,
    repeats: int | None,
    python: str | None,
    sampled: bool,
    out: Path | None,
    asked: custom_options.Asked,
) -> None:
    """Count the instructions of a request by function: why it costs what it costs.

    Needs valgrind, and for the names of Python functions Python 3.12 or later, for which it makes
    an environment. Without such a Python only C functions are told apart.
    """
    lacking = callgrind.missing()
    if lacking is not None:
        raise HarnessError(f"instructions cannot be counted: {lacking}")
    own = custom_options.wanted(asked, bool(stacks or cases), configuration.in_force())
    of_suite = (stacks or CORE, cases or DEFAULT_CASES)
    subjects = _subjects(*of_suite) if own is None else _own(own)
    chosen = interpreter.choose(python)
    _say(_described(chosen, python is not None))
    optional = any(subject.stack.optional for subject in subjects)
    folder = out or new_folder()
    served = interpreter.environment(chosen, optional, _say)
    times = (REPEATS, MOST_REPEATS) if repeats is None else (repeats, repeats)
    plan = Plan(served, chosen.named, requests, *times)
    try:
        measured = measure(subjects, plan, _say)
        samples = _sampled(subjects, plan) if sampled else None
    except ServerError as error:
        raise HarnessError(str(error)) from error
    try:
        rows.write(folder, measured, plan, chosen, samples)
    except OSError as error:
        raise cannot_begin(folder, error) from error
    sys.exit(own_modules.run("results", "why", str(folder)))


def _sampled(subjects: Sequence[Subject], plan: Plan) -> rows.SampledStacks | None:
    """None, after it was said why, where time cannot be sampled. Raises HarnessError and
    ServerError."""
    lacking = sampling.missing() if plan.named else "this Python names no functions"
    if lacking is not None:
        _say(f"time is not sampled: {lacking}")
        return None
    samples = {}
    for subject in subjects:
        samples[subject.stack.name] = sampling.sample(subject, plan)
        _say(f"{subject.stack.name}: sampled")
    return samples


def _subjects(stacks: Sequence[str], cases: Sequence[str]) -> list[Subject]:
    """Each stack with those of the cases that it keeps. Raises HarnessError for one without any."""
    ordered = sorted(cases, key=in_thread)
    subjects = []
    for name in stacks:
        documented = DOCUMENTED.get(name)
        if documented is None:
            kept = _kept(name, ordered)
            subject = Subject(STACKS[name], kept)
        else:
            kept = {case: documented.cases[case] for case in ordered if case in documented.cases}
            subject = Subject(documented.stack, kept, documented.counterpart)
        if not kept:
            raise HarnessError(f"{name} has none of these cases; name another stack or case")
        subjects.append(subject)
    return subjects


def _kept(name: str, cases: Sequence[str]) -> dict[str, Case]:
    """The cases that a stack keeps; of the others one is told why not."""
    kept = {}
    for case in cases:
        reason = hole(STACKS[name], CASES[case])
        if reason is None:
            kept[case] = CASES[case]
        else:
            _say(f"{name} is not asked for {case}: {reason}")
    return kept


def _own(own: Own) -> list[Subject]:
    """A person's own application, asked for each request of its scenarios once."""
    cases = own.requests("instructions are counted")
    return [Subject(stack, cases) for stack in own.stacks.values()]


def _described(chosen: Interpreter, wanted: bool) -> str:
    if chosen.named:
        return f"Python {chosen.version} serves, at {chosen.path}; it names its functions."
    remedy = "Python 3.12 or later does that" if wanted else interpreter.REMEDY
    return (
        f"Python {chosen.version} serves, at {chosen.path}; it names no Python functions, so that "
        f"only C functions are told apart. {remedy}."
    )


def _say(line: str) -> None:
    click.echo(line, err=True)
