"""`python -m tests.faults [PART/OF]`: provoke the faults, and print a table of what came of each.

PART/OF, as in 2/3, takes every third fault from the second on. `commit/3` chooses the part by the
commit's hash, so that it is recorded, and the parts take turns. Exit status 1 where a row was
lost, a process was left, or a message was not the one that is due.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from tests.conftest import ROOT
from tests.faults.campaign import FAULTS, Fault, Outcome, provoke
from tests.faults.surroundings import NotHere

DEFAULTS: dict[signal.Signals, Callable[[int, FrameType | None], Any] | signal.Handlers] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGTERM: signal.SIG_DFL,
}
"""What the signals of the campaign do. A shell's background and `nohup` have some ignored, and what
is ignored stays so in children."""


def part(text: str) -> tuple[Fault, ...]:
    """The faults of a part. Raises ValueError for a part that there is not."""
    which, _, of = text.partition("/")
    parts = int(of) if of.isdecimal() else 0
    if which == "commit" and parts:
        number = _by_commit(parts)
    else:
        number = int(which) if which.isdecimal() else 0
    if not 1 <= number <= parts:
        raise ValueError(f"there is no part {text!r}")
    print(f"part {number} of {parts}", flush=True)
    return FAULTS[number - 1 :: parts]


def _by_commit(parts: int) -> int:
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return int(commit, 16) % parts + 1


def line(outcome: Outcome) -> str:
    """A row of the table."""
    verdict = "ok" if good(outcome) else f"WRONG {outcome.wrong}"
    return (
        f"{outcome.fault:34} {outcome.lost:9} {outcome.left:14}  {verdict}\n    {outcome.message}"
    )


def good(outcome: Outcome) -> bool:
    """Nothing lost, nobody left, the right words."""
    return not (outcome.lost or outcome.left or outcome.wrong)


def main(arguments: Sequence[str]) -> int:
    """Run the campaign, or a part of it. Returns the exit status."""
    for number, default in DEFAULTS.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)
    try:
        faults = part(arguments[0]) if arguments else FAULTS
    except ValueError as error:
        print(f"error: {error}; a part is such as 2/3, or commit/3", file=sys.stderr)
        return 2
    print(f"{'fault':34} {'rows lost':>9} {'processes left':>14}  what came of it")
    outcomes = []
    for fault in faults:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                outcomes.append(provoke(fault, Path(scratch)))
            except NotHere as why:
                print(f"{fault.name:34} {'':24}  not here: {why}", flush=True)
                continue
            except AssertionError as error:
                outcomes.append(Outcome(fault.name, 0, 0, "", f"could not be provoked: {error}"))
        print(line(outcomes[-1]), flush=True)
    bad = [outcome for outcome in outcomes if not good(outcome)]
    print(f"{len(outcomes) - len(bad)} of {len(outcomes)} faults came to nothing worse than a line")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
