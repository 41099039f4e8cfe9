"""Why intervals are wide: said of ratios that are not known well, and of no others."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from loopbench.results.folder.folder import load
from loopbench.results.schema import RUNS, SLICES, Row
from loopbench.results.stats.summaries.summary import summarise
from loopbench.results.terminal.steadiness import lines, variation
from tests.results.examples import folders

ROUNDS = 5
SLICES_OF_A_RUN = 8


def _run_id(number: int, stack: str) -> str:
    return str(folders.run_row(number, stack, "async-32")["run_id"])


def _folder(
    folder: Path,
    differ: float,
    work: float | None,
    model: str = "closed",
    stolen: float | None = None,
) -> Path:
    """Two stacks, five Rounds. differ: what the logarithm of a Round's ratio is off by, in turn to
    either side. work: the same of the fixed work beside each Slice; None: it was not timed.
    stolen: from every second Slice this share; None: it is not told."""
    runs: list[Row] = []
    slices: list[Row] = []
    for number in range(1, ROUNDS + 1):
        for stack, rate in (("aiohttp", 1000.0), ("quart-hypercorn", 250.0)):
            off = 0.0 if stack == "aiohttp" else differ * (-1) ** number
            runs.append(
                folders.run_row(
                    number,
                    stack,
                    "async-32",
                    load_model=model,
                    users=32,
                    throughput_rps=rate * math.exp(off),
                )
            )
            for turn in range(1, SLICES_OF_A_RUN + 1):
                timed = None if work is None else math.exp(work * (-1) ** turn)
                slices.append(
                    {
                        "run_id": _run_id(number, stack),
                        "turn": turn,
                        "position": 1,
                        "watched": False,
                        "started_s": 1.0 * turn,
                        "seconds": 0.1,
                        "requests": 100,
                        "failures": 0,
                        "throughput_rps": rate * math.exp(off),
                        "work_ms": timed,
                        "stolen_share": None if stolen is None else stolen * (turn % 2),
                    }
                )
    return folders.write(folder, {RUNS: runs, SLICES: slices})


def _said(folder: Path) -> list[str]:
    loaded = load(folder)
    return list(lines(loaded, summarise(loaded)))


def test_wide_intervals_are_explained(tmp_path: Path) -> None:
    """Ratios that differ by 10 % to either side, and work that differs by 20 %: the deviation of
    eight values at 0.2 to either side is 0.2 * sqrt(8/7)."""
    first, second = _said(_folder(tmp_path / "wide", 0.1, 0.2))
    assert first.startswith("Ratios of closed loops are known to ±")
    assert first.endswith("in the median; a fixed piece of work varied by 21% meanwhile.")
    assert second.startswith("±5% takes about ")


@pytest.mark.parametrize(
    ("work", "stolen", "why"),
    [
        (
            0.2,
            0.3,
            (
                "; a fixed piece of work varied by 21% meanwhile, and the hypervisor took 15% "
                "of the servers' CPU."
            ),
        ),
        (None, 0.3, "; the hypervisor took 15% of the servers' CPU."),
        (None, 0.01, "."),
        (None, None, "."),
    ],
)
def test_what_the_hypervisor_took_is_named(
    tmp_path: Path, work: float | None, stolen: float | None, why: str
) -> None:
    """The mean over all Slices, where it is as much as a hundredth."""
    first, _ = _said(_folder(tmp_path / "wide", 0.1, work, stolen=stolen))
    assert first.partition("in the median")[2] == why


def test_how_much_longer_follows_from_the_square_of_the_width(tmp_path: Path) -> None:
    """The width that the first line names, over 5 %, and squared."""
    first, second = _said(_folder(tmp_path / "wide", 0.1, 0.2))
    width = float(first.partition("±")[2].partition("%")[0]) / 100
    times = float(second.removeprefix("±5% takes about ").partition(" ")[0])
    assert ((width - 0.005) / 0.05) ** 2 - 1 < times < ((width + 0.005) / 0.05) ** 2 + 1


def test_a_width_that_is_hardly_too_wide_is_not_called_the_narrow_one(tmp_path: Path) -> None:
    """5.1 % are not 5 %, which would take no longer."""
    differ = 0.0373
    first, second = _said(_folder(tmp_path / "hardly", differ, None))
    width = first.partition("±")[2].partition("%")[0]
    assert 5.0 < float(width) < 5.5
    assert second.startswith("±5% takes about 1.")


@pytest.mark.parametrize(
    ("differ", "model"),
    [(0.005, "closed"), (0.1, "open")],
)
def test_nothing_is_said_of_narrow_intervals_or_of_other_loads(
    differ: float, model: str, tmp_path: Path
) -> None:
    """Rates that are offered say nothing of how well throughput is known."""
    assert _said(_folder(tmp_path / "other", differ, 0.2, model)) == []


def test_work_that_was_not_timed_is_not_given_as_a_reason(tmp_path: Path) -> None:
    """The width alone is said then."""
    first, _ = _said(_folder(tmp_path / "untimed", 0.1, None))
    assert first.endswith("% in the median.")


def test_a_width_that_no_time_would_mend_asks_for_none(tmp_path: Path) -> None:
    """Two Rounds that differ by a factor of two say that it is wide, and no more."""
    assert len(_said(_folder(tmp_path / "wild", 0.7, 0.2))) == 1


def test_variation_needs_slices(tmp_path: Path) -> None:
    """Of three Slices nothing is said."""
    rows: list[Row] = [{"run_id": "a", "work_ms": value} for value in (1.0, 2.0, 3.0)]
    assert variation(rows) is None
    assert variation([]) is None
