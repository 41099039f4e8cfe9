"""What instructions say in the report, where they were counted beside a bench."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from loopbench.results.report.markdown import render
from loopbench.results.schema import COUNTS, RUNS, Row
from tests.results.examples import folders
from tests.results.report.reports import made

COUNTED = {
    ("aiohttp", "async"): 250_000.0,
    ("aiohttp", "sync"): 400_000.0,
    ("quart-hypercorn", "async"): 1_500_000.0,
    ("quart-hypercorn", "sync"): 1_800_000.0,
}


def _report(folder: Path, differ: float, counts: dict[tuple[str, str], float]) -> str:
    """Three Rounds in which the sync route takes 1.2 times the CPU time of the async one.
    differ: what the logarithm of that is off by in the first and the third Round."""
    runs: list[Row] = []
    for number, off in ((1, -differ), (2, 0.0), (3, differ)):
        for stack, cpu in (("aiohttp", 100.0), ("quart-hypercorn", 700.0)):
            for case, times in (("async", 1.0), ("sync", 1.2 * math.exp(off))):
                runs.append(
                    folders.run_row(
                        number,
                        stack,
                        f"{case}-32",
                        case=case,
                        load_model="closed",
                        users=32,
                        throughput_rps=1e5 / cpu,
                        cpu_us_per_request=cpu * times,
                    )
                )
    rows: list[Row] = [
        {"stack": stack, "case": case, "requests": 20, "repeats": 1, "instructions": value}
        for (stack, case), value in counts.items()
    ]
    folders.write(folder, {RUNS: runs} | ({COUNTS: rows} if rows else {}))
    return render(made(folder)).replace("\\", "")


def test_the_answer_says_what_was_counted(tmp_path: Path) -> None:
    """1.5 million instructions are six times 250,000."""
    said = _report(tmp_path / "counted", 0.5, COUNTED)
    assert (
        "a request of async-32 costs 6.00x on quart-hypercorn (1,500,000) what it costs on aiohttp "
        "(250,000)" in said
    )


def test_a_sync_route_is_told_by_instructions_where_cpu_time_does_not_tell(tmp_path: Path) -> None:
    """400,000 over 250,000 and 1.8 over 1.5 million; CPU time stands behind it."""
    said = _report(tmp_path / "counted", 0.5, COUNTED)
    assert (
        "1.60x on aiohttp and 1.20x on quart-hypercorn: a sync route takes that many times the "
        "instructions of the async one" in said
    )
    assert "In CPU time, system calls included: no difference that can be told [" in said


@pytest.mark.parametrize(
    ("differ", "counts", "begins"),
    [(0.001, COUNTED, "1.20x [1.20–1.20] on aiohttp"), (0.5, {}, "No difference that can be told")],
)
def test_cpu_time_tells_where_it_can_or_nothing_was_counted(
    differ: float, counts: dict[tuple[str, str], float], begins: str, tmp_path: Path
) -> None:
    """Of both stacks."""
    said = _report(tmp_path / "timed", differ, counts)
    _, _, answer = said.partition("**Why is a sync route slower when it does nothing?** ")
    assert answer.startswith(begins)
    assert "that many times the CPU time of the async one" in answer.partition("\n")[0]
