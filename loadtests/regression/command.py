"""The commands `regression`, `baseline` and `regression-selftest`."""

from __future__ import annotations

import fnmatch
import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NoReturn

import click

from loopbench.cli_names import NamesIn, suggestion
from loopbench.cli_types import Folder as FolderName
from loopbench.command_line import interrupted
from loopbench.loadtests.bench.environment import shown_command
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe.request_counts import REPEATS
from loopbench.loadtests.regression import kept_layers, selftest
from loopbench.loadtests.regression.check import IN_TURN, measure
from loopbench.loadtests.regression.folder import Folder, expect_new, new_folder
from loopbench.loadtests.regression.layers import instructions
from loopbench.loadtests.regression.named import expect_run, unrequired
from loopbench.loadtests.regression.sides.base import BASELINE, choose, uncounted
from loopbench.loadtests.regression.sides.needed import needed
from loopbench.loadtests.regression.sides.sides import (
    LOCK,
    LOCK_WITH_ALL_STACKS,
    Role,
    Side,
    Wanted,
    are_packages,
    names_of,
    opened,
    this_tree,
    wanted,
)
from loopbench.loadtests.regression.wish import Wish, cells_of
from loopbench.loadtests.rows.results_folder import writing_into
from loopbench.results.schema import INSTALLED, REGRESSIONS_FOLDER, ROOT
from loopbench.results.schema.regression import SIDES_FILE, TABLE_OF, TIME_ROUNDS, Layer, Unlike
from loopbench.results.schema.verdict import BROKEN, judging
from loopbench.servers.stacks import CORE, STACKS
from loopbench.servers.supervision import own_modules

BASELINE_FOLDER = REGRESSIONS_FOLDER.parent / BASELINE
_SHOWN = 12
_UNREQUIRED = (
    "nothing that these stacks run requires it; the sides differ only where a server looks for it "
    "by itself"
)
"""Characters of a commit that a person is shown, and git finds it by."""

Checked = judging(HarnessError)


def _say(line: str) -> None:
    click.echo(line, err=True)


_stacks = click.option(
    "--stack",
    "stacks",
    multiple=True,
    type=NamesIn("stack", {name: s for name, s in STACKS.items() if not s.yardstick}),
    help=f"Check this stack (repeatable); {' and '.join(CORE)} by default.",
)
_rounds = click.option(
    "--rounds",
    type=click.IntRange(1, 1000),
    help="Rounds of the time layer, each with fresh processes; by default as many as fit into five "
    f"minutes for the two core stacks, {TIME_ROUNDS} at most.",
)
_out = click.option(
    "--out",
    type=FolderName(),
    metavar="DIR",
    help="Where the rows go; a new folder under results/regressions by default.",
)
_behaviour = click.option(
    "--behaviour", is_flag=True, help="The layer behaviour, too; takes minutes."
)
_questions = click.option(
    "--question",
    "questions",
    multiple=True,
    metavar="QUESTION",
    help="Of the layer behaviour only this question, or those of a pattern such as 'dispatch.*' "
    "(repeatable).",
)
_seed = click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    help="Seed of the order of slots; drawn and recorded by default.",
)
_layers = click.option(
    "--layer",
    "layers",
    multiple=True,
    type=click.Choice([str(layer) for layer in Layer]),
    help="Only this layer (repeatable).",
)


@click.command(cls=Checked, short_help="Did a change make it worse?")
@click.option(
    "--base",
    metavar="REF|PACKAGES",
    help="Compare with this git ref, with these versions, as in 'aiohttp==3.13.0', or with the "
    "committed 'baseline'; by default with where this tree left the main branch, and with the "
    "baseline where it has no change since.",
)
@click.option(
    "--candidate",
    metavar="REF|PACKAGES",
    help="Judge this git ref, or these versions, and not this tree as it is.",
)
@_layers
@_stacks
@_rounds
@_behaviour
@_questions
@_seed
@_out
def regression(
    base: str | None,
    candidate: str | None,
    layers: tuple[str, ...],
    stacks: tuple[tuple[str, ...], ...],
    rounds: int | None,
    behaviour: bool,
    questions: tuple[str, ...],
    seed: int | None,
    out: Path | None,
) -> None:
    """Whether this tree, or a candidate, does worse than a base: in facts, instructions and time.

    Exit status: 0 no regression, 1 regression, 2 cannot tell, 3 broken.
    """
    if INSTALLED:
        raise HarnessError(
            "the regression check makes its environments from the suite's lock and history, which "
            "an installed package has not: run it in a clone, by `make regression BASE=…`; an "
            "application of yours is compared by `loopbench bench --app`, before and after, and "
            "`loopbench compare`"
        )
    wish = _wish(layers, stacks, rounds, behaviour or bool(questions), seed)
    wish = replace(wish, questions=questions)
    folder = out or new_folder()
    expect_new(folder)  # before anything of the sides is installed
    for named in filter(None, (base, candidate)):
        if are_packages(named):
            expect_run(names_of(named), wish.stacks)
            for name in unrequired(names_of(named), wish.stacks):
                _say(f"{name}: {_UNREQUIRED}")
    if candidate is None:
        _expect_questions(questions)
    base = base or _chosen_base(candidate, wish)
    apart = base == BASELINE
    if not apart:
        wish = replace(wish, counts=instructions.Plan(requests=instructions.SIDE_BY_SIDE))
    if apart and not (BASELINE_FOLDER / SIDES_FILE).is_file():
        raise HarnessError("there is no baseline; `make baseline` writes one, or name a base")
    with writing_into(folder):
        with _sides(None if apart else base, candidate, wish) as sides:
            opened_folder = Folder(folder, shown_command(sys.argv[1:]), sides)
            try:
                _write(wish, opened_folder, uncounted(sides[0], BASELINE_FOLDER) if apart else None)
            except KeyboardInterrupt:
                if apart:
                    _keep_baseline(folder)
                _interrupted(opened_folder)
        if apart:
            _keep_baseline(folder)
    sys.exit(_judge(folder))


def _expect_questions(patterns: Sequence[str]) -> None:
    """A usage error for what this tree has no question for."""
    if not patterns:
        return
    # Reading all questions takes as long as starting does.
    from loopbench.loadtests.behaviour.framework.catalogue import experiments

    known = dict.fromkeys(name for name, _, _ in experiments())
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            raise click.UsageError(suggestion("question", pattern, known))


def _chosen_base(candidate: str | None, wish: Wish) -> str:
    """What the candidate is compared with where nobody named it; says what and why."""
    if candidate is not None:  # which is not this tree: its history says nothing of it
        return BASELINE
    with this_tree(Role.CANDIDATE, wish.stacks) as side:
        choice = choose(ROOT, uncounted(side, BASELINE_FOLDER))
    base = choice.base[:_SHOWN]
    _say(f"base: {'the committed baseline' if base == BASELINE else base}: {choice.why}")
    return base


@click.command(cls=Checked, short_help="Write results/baseline anew.")
@click.option(
    "--layer",
    "layers",
    multiple=True,
    type=click.Choice([str(layer) for layer in Layer if layer not in IN_TURN]),
    help="Measure only this layer anew (repeatable), and let the others stay.",
)
@_stacks
@_rounds
@_behaviour
@_seed
def baseline(
    layers: tuple[str, ...],
    stacks: tuple[tuple[str, ...], ...],
    rounds: int | None,
    behaviour: bool,
    seed: int | None,
) -> None:
    """Write results/baseline anew, and show what changes against the one that is there.

    It stays as it is where not everything could be measured.
    """
    wish = _wish(layers, stacks, rounds or TIME_ROUNDS, behaviour, seed)
    renew(wish, new_folder(), BASELINE_FOLDER, others_stay=bool(layers))
    _say(f"{BASELINE_FOLDER.parent.name}/{BASELINE_FOLDER.name} holds the new baseline")


def renew(wish: Wish, folder: Path, kept: Path, *, others_stay: bool = False) -> None:
    """Measure into `folder`, compare with the baseline in `kept`, and replace that.

    What else is in `kept` stays; with `others_stay` also its layers that were not wished for.
    Layers that need two sides in the same minutes are no part of a baseline. Raises HarnessError
    where a layer was not measured.
    """
    layers = tuple(layer for layer in wish.layers if layer not in IN_TURN)
    wish = replace(wish, layers=layers, counts=instructions.Plan(repeats=REPEATS))
    with writing_into(kept), writing_into(folder):
        with this_tree(Role.BASE, wish.stacks, name=BASELINE) as side:
            undone = _write(wish, Folder(folder, shown_command(sys.argv[1:]), (side,)))
        if undone:
            raise HarnessError(f"the baseline stays as it is: {undone[0]}")
        if others_stay:
            kept_layers.keep(kept, folder, layers)
        if (kept / SIDES_FILE).is_file() and _judge(folder, kept) == BROKEN:
            _say("the baseline that is there cannot be compared with; it is replaced")
        try:
            _replace(kept, folder)
        except OSError as error:
            raise HarnessError(f"cannot write {kept}: {error.strerror}") from error


@click.command(
    "regression-selftest", cls=Checked, short_help="Check the check, with seeded changes."
)
@click.option(
    "--rounds",
    type=click.IntRange(5, 1000),
    default=selftest.ROUNDS,
    show_default=True,
    help="Rounds of the time layer in each trial.",
)
@_seed
@_out
def regression_selftest(rounds: int, seed: int | None, out: Path | None) -> None:
    """Check the check, with servers that were changed on purpose and some that were not.

    Exit status 0 only where it saw all that it had to see, and nothing else; 1 where it did not; 2
    where the noise of a busy machine leaves some of it in doubt; 3 where some of it could not be
    measured.
    """
    folder = out or new_folder()
    wish = selftest.wish_of(rounds, _drawn(seed))
    outcomes: list[selftest.Outcome] = []
    with writing_into(folder):
        try:
            outcomes.extend(selftest.run(wish, folder, _say))
        finally:  # what was told before an error or an interrupt has taken minutes
            _show(outcomes)
    met = {outcome.met for outcome in outcomes}
    if selftest.Met.NO in met:
        sys.exit(1)
    if selftest.Met.UNDONE in met:
        raise HarnessError("some of it was not measured, for the reasons in the table")
    if selftest.Met.UNDECIDED in met:
        busy, cpus = os.getloadavg()[0], os.cpu_count()
        _say(
            f"some of it cannot be told: the machine is busy (load {busy:.1f} on {cpus} CPUs), and "
            "its noise hides what had to be seen; run it again on a quiet one"
        )
        sys.exit(2)


def _show(outcomes: Sequence[selftest.Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("changed", "demanded", "said", "s", "", title="Self-test of the regression check")
    for outcome in outcomes:
        table.add_row(
            outcome.change,
            outcome.demanded,
            outcome.reported,
            f"{outcome.took_s:.0f}",
            str(outcome.met),
        )
    Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(table)


def _wish(
    layers: Sequence[str],
    stacks: Sequence[tuple[str, ...]],
    rounds: int | None,
    behaviour: bool,
    seed: int | None,
) -> Wish:
    chosen = tuple(dict.fromkeys(chain.from_iterable(stacks))) or CORE
    wanted = {Layer(name) for name in layers} or set(Layer) - {Layer.BEHAVIOUR}
    wanted |= {Layer.BEHAVIOUR} if behaviour else set()
    return Wish(
        layers=tuple(layer for layer in Layer if layer in wanted),
        stacks=chosen,
        cells=cells_of(chosen),
        seed=_drawn(seed),
        rounds=rounds,
    )


def _drawn(seed: int | None) -> int:
    return secrets.randbelow(2**31) if seed is None else seed


@contextmanager
def _sides(base: str | None, candidate: str | None, wish: Wish) -> Iterator[tuple[Side, ...]]:
    """The candidate, after the base where that is measured now.

    Both are looked up before anything of either is installed.
    """
    more = wish.behaviour or any(STACKS[name].optional for name in wish.stacks)
    lock = LOCK_WITH_ALL_STACKS if more else LOCK
    roots = needed(name for stack in wish.stacks for name in STACKS[stack].packages)
    named = ((Role.BASE, base), (Role.CANDIDATE, candidate))
    wanted_sides: list[Wanted] = []
    for role, name in named:
        if name is not None:
            # The questions about behaviour are asked by the side's own harness, which needs all.
            needs = None if wish.behaviour else roots
            beside = wanted_sides[0] if wanted_sides else None
            wanted_sides.append(
                wanted(name, _say, role=role, lock=lock, roots=needs, beside=beside)
            )
    with ExitStack() as cleanup:
        sides = [
            cleanup.enter_context(opened(wanted_side, wish.stacks)) for wanted_side in wanted_sides
        ]
        if candidate is None:
            sides.append(cleanup.enter_context(this_tree(Role.CANDIDATE, wish.stacks)))
        yield tuple(sides)


def _interrupted(folder: Folder) -> NoReturn:
    """Say how what there is can be judged, if there is anything. Raises KeyboardInterrupt if
    not."""
    if not any(state.run for state in folder.layers.values()):
        raise KeyboardInterrupt
    judge = shlex.join([*own_modules.pasted("results"), "regression", str(folder.path)])
    interrupted(f"interrupted; what was measured is kept; it is judged by: {judge}")


def _write(wish: Wish, folder: Folder, uncounted: Unlike | None = None) -> list[str]:
    """Measure into a new folder; returns why a layer was not measured, or not whole, a line each.

    uncounted: why instructions could not be compared, so that they are not counted either.
    """
    folder.begin(wish.layers)
    measured = wish.layers
    if uncounted is not None and Layer.INSTRUCTIONS in measured:
        why = f"the baseline {uncounted.why}; {uncounted.remedy}"
        _say(f"{Layer.INSTRUCTIONS}: not counted: {why}")
        folder.failed(Layer.INSTRUCTIONS, why, {})
        measured = tuple(layer for layer in measured if layer is not Layer.INSTRUCTIONS)
    measure(replace(wish, layers=measured, known=BASELINE_FOLDER), folder.sides, folder, _say)
    return [
        f"{layer}: {folder.layers[layer].why_not}"
        for layer in wish.layers
        if not folder.layers[layer].whole
    ]


def _judge(folder: Path, kept: Path | None = None) -> int:
    """What the judging half says, and its status. A status that is no verdict is BROKEN."""
    against = [] if kept is None else ["--baseline", str(kept)]
    command = own_modules.command("results", "regression", *against, str(folder))
    status = subprocess.run(command, env=own_modules.environment()).returncode
    return status if status in range(BROKEN) else BROKEN


def _keep_baseline(folder: Path) -> None:
    """A folder says everything by itself, also when the baseline has moved on."""
    try:
        shutil.copytree(BASELINE_FOLDER, folder / BASELINE)
    except OSError as error:
        raise HarnessError(f"cannot copy the baseline to {folder}: {error.strerror}") from error


def _replace(kept: Path, folder: Path) -> None:
    """The measured files of `folder` for those in `kept`; sides.json, which says what they are, is
    the first to go and the last to come. Raises OSError."""
    kept.mkdir(parents=True, exist_ok=True)
    (kept / SIDES_FILE).unlink(missing_ok=True)
    for table in TABLE_OF.values():
        (kept / table.filename).unlink(missing_ok=True)
        if (folder / table.filename).is_file():
            shutil.copy(folder / table.filename, kept / table.filename)
    shutil.copy(folder / SIDES_FILE, kept / SIDES_FILE)
