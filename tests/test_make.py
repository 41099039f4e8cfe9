"""What `make` takes and refuses before it does anything."""

from __future__ import annotations

import subprocess

import pytest

from loopbench.results.schema import ROOT


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """What it would do, without doing it."""
    return subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("target", ["bench", "test", "why"])
def test_a_misspelt_choice_is_refused(target: str) -> None:
    """Nothing is set up or measured: the choice and those that there are, in one line."""
    done = make(target, "SCENARIO=async-32")
    assert (done.returncode, done.stdout) == (2, "")
    assert "SCENARIO: no such choice; there are PYTHON STACKS SCENARIOS " in done.stderr


def test_commas_between_names_are_taken() -> None:
    """As in STACKS=a,b; each becomes an option of its own."""
    done = make("bench", "STACKS=aiohttp,quart-hypercorn", "SCENARIOS=async-1,sync-32")
    assert done.returncode == 0, done.stderr
    assert "--stack 'aiohttp' --stack 'quart-hypercorn'" in done.stdout
    assert "--scenario 'async-1' --scenario 'sync-32'" in done.stdout


def test_capacity_has_an_objective_where_none_is_said() -> None:
    """And passes on what is."""
    assert "capacity --slo 'p99<20ms'" in make("capacity").stdout
    assert "capacity --slo 'p95<5ms' " in make("capacity", "SLO=p95<5ms", "STACKS=aiohttp").stdout
