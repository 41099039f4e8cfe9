"""The limits of a folder: its tables are enough to say what the search itself knew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from loopbench.loadtests.capacity.trial import services
from loopbench.loadtests.selfcheck.simulated import SHARE, WINDOW, Server
from loopbench.results.__main__ import cli
from loopbench.results.folder.tables import rows
from loopbench.results.schema import ENVIRONMENT_FILE, TRIAL_SERVICES, TRIALS, Row, TableWriter
from loopbench.results.stats.queueing.limits import GENERATOR, NOWHERE, Side, of_folder
from loopbench.results.stats.queueing.queues import ONE_THREAD, Queue
from loopbench.results.stats.queueing.rate_limit import Trial
from loopbench.results.terminal import limits as limits_text


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    """Of six threads, one of which a request holds for 10 ms."""
    return Server(1e-2, 0.005, 5, Queue(6)).sitting(1, 16).trials


@pytest.fixture
def folder(tmp_path: Path, trials: list[Trial]) -> Path:
    """As a search writes it."""
    (tmp_path / ENVIRONMENT_FILE).write_text("{}")
    with TableWriter(tmp_path, TRIALS) as writer, TableWriter(tmp_path, TRIAL_SERVICES) as more:
        for turn, trial in enumerate(trials, start=1):
            place: Row = {"stack": "pool", "turn": turn}
            alone = trial.spans[ONE_THREAD]
            cells: Row = {
                "position": 1,
                "case": "held",
                "arrival_rate_rps": trial.rate_rps,
                "limit_ms": WINDOW.limit_s * 1e3,
                "allowed_share": SHARE,
                "lead_in_s": WINDOW.lead_in_s,
                "seconds": WINDOW.window_s,
                "offered": trial.offered,
                "slow": trial.slow,
                "service_least_us": alone.least_s * 1e6 if trial.slow else None,
                "service_most_us": alone.most_s * 1e6 if trial.slow < trial.offered else None,
                "generator_limited": False,
            }
            writer.append([{**place, **cells}])
            more.append([{**place, **each} for each in services(trial.spans)])
    return tmp_path


def test_a_folder_says_as_what_queue_its_trials_were_read(folder: Path) -> None:
    """In words, and in the JSON document."""
    shown = CliRunner().invoke(cli, ["capacity", str(folder)])
    assert "behaves like 6 threads, one of which a request holds for " in shown.output
    document = json.loads(CliRunner().invoke(cli, ["capacity", str(folder), "--json"]).output)
    (stack,) = document["stacks"]
    assert (stack["queue_threads"], stack["queue_variation"], stack["queue_fits"]) == (6, 0, True)
    assert abs(stack["queue_service_ms"] - 10) < 0.3
    assert stack["queue_likelihood"] > 0.9


def test_a_folder_without_other_queues_is_read_as_one_thread(folder: Path) -> None:
    """One of before there were any: its rows hold the services of one thread."""
    (folder / TRIAL_SERVICES.filename).unlink()
    (limit,) = of_folder(folder, []).stacks
    assert limit.crossing is not None and limit.crossing.reading is not None
    assert limit.crossing.reading.queue == ONE_THREAD


def test_that_no_queue_fits_is_said(folder: Path) -> None:
    """And that the interval is wider for it; where several fit as well, that, too."""
    found = of_folder(folder, [])
    (limit,) = found.stacks
    assert limit.crossing is not None and limit.crossing.reading is not None
    for change, words in (
        ({"drifts": True}, "no kind of queue fits, so that the interval is wider"),
        ({"likelihood": 0.3}, "other queues fit nearly as well"),
        ({"deviation": 0.3}, "trials differ by too much to tell as what queue it behaves; the nea"),
    ):
        reading = replace(limit.crossing.reading, **change)
        changed = replace(limit, crossing=replace(limit.crossing, reading=reading))
        text = "\n".join(limits_text.lines(replace(found, stacks=(changed,)), None))
        assert words in text


def test_times_that_fall_with_the_rate_are_said_to_do_so_by_chance(folder: Path) -> None:
    """Above the limit they are longer; where the trials next to it say otherwise, a word does."""
    found = of_folder(folder, [])
    (limit,) = found.stacks
    words = ": so near to the limit, trials differ by chance"
    for below_ms, above_ms in ((15.7, 11.5), (11.5, 15.7)):
        sides = replace(limit, below=Side(664.0, below_ms), above=Side(697.0, above_ms))
        text = "\n".join(limits_text.lines(replace(found, stacks=(sides,)), None))
        said = f"p99 {below_ms:.1f} ms at 664/s, {above_ms:.1f} ms at 697/s"
        assert f"{said}{words}" in text if above_ms < below_ms else said in text
        assert (words in text) is (above_ms < below_ms)


@pytest.mark.parametrize(
    ("used", "said"),
    [
        ((0.95,), "1 trial left out: the load generator could not offer 601/s as it should"),
        ((0.95, 0.9), "2 trials left out: the load generator could not offer 601 to 602/s as it"),
        ((None,), "1 trial left out: the load generator could not offer 601/s as it should"),
        ((0.5, 0.89), "2 trials left out: the load generator was held up meanwhile, as other work"),
    ],
)
def test_trials_that_were_left_out_are_counted(
    folder: Path, used: tuple[float | None, ...], said: str
) -> None:
    """With the rates that the generator could not offer for want of CPU; one is no plural. Where it
    had CPU left, the rate was not to blame, and none is named."""
    whole = list(rows(folder, TRIALS, []))
    for row, cpu in zip(whole, used, strict=False):
        row["generator_limited"], row["generator_cpu_utilisation"] = True, cpu
    for number, row in enumerate(whole[: len(used)], start=601):
        row["arrival_rate_rps"] = float(number)
    _write(folder, whole)
    found = of_folder(folder, [])
    text = "\n".join(limits_text.lines(found, None))
    assert said in text
    assert text.count("left out") == 1
    (limit,) = found.stacks
    assert limit.trials == len(whole)
    assert limit.crossing is not None
    assert f"; {limit.crossing.trials} trials)" in text  # the limit is of the others
    assert limit.crossing.trials <= len(whole) - len(used)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("stolen_share", "the hypervisor took more than 2%"),
        ("others_share", "other programs took more than 5%"),
    ],
)
def test_trials_in_which_others_had_the_cpus_are_left_out(
    folder: Path, column: str, said: str
) -> None:
    """Whatever came of them: the limit is what the others alone would tell."""
    whole = list(rows(folder, TRIALS, []))
    stolen = [0.3 if number % 3 == 0 else 0.01 for number in range(len(whole))]
    for row, share in zip(whole, stolen, strict=True):
        row[column] = share
        if share > 0.1:
            row["slow"] = row["offered"]
    _write(folder, whole)
    (found,) = of_folder(folder, []).stacks
    (why,) = found.left_out
    assert why == f"{said} of the time of the server's CPUs meanwhile"
    assert len(found.left_out[why]) == stolen.count(0.3)
    _write(folder, [row for row, share in zip(whole, stolen, strict=True) if share < 0.1])
    (alone,) = of_folder(folder, []).stacks
    assert found.crossing == alone.crossing
    assert found.crossing is not None


@pytest.mark.parametrize(
    ("column", "who"), [("stolen_share", "the hypervisor"), ("others_share", "other programs")]
)
@pytest.mark.parametrize(("share", "said"), [(0.3, True), (0.049, False)])
def test_who_shared_the_cpus_all_the_time_is_named(
    folder: Path, column: str, who: str, share: float, said: bool
) -> None:
    """Nothing is left out for it: there would be nothing left."""
    whole = list(rows(folder, TRIALS, []))
    for row in whole:
        row[column] = share
    _write(folder, whole)
    text = "\n".join(limits_text.lines(of_folder(folder, []), None))
    assert (f"{who} had 30% of the time of the server's CPUs in the middle one" in text) == said
    assert ("had" in text) == said
    assert "left out" not in text


def _write(folder: Path, trials: Sequence[Row]) -> None:
    (folder / TRIALS.filename).unlink()
    with TableWriter(folder, TRIALS) as writer:
        writer.append(trials)


@pytest.mark.parametrize(("differs", "said"), [(0.0499, False), (0.18, True)])
def test_what_makes_an_interval_wide_is_said(folder: Path, differs: float, said: bool) -> None:
    """Where services differ from trial to trial, whatever the rate."""
    found = of_folder(folder, [])
    (limit,) = found.stacks
    assert limit.crossing is not None and limit.crossing.reading is not None
    reading = replace(limit.crossing.reading, deviation=differs)
    changed = replace(limit, crossing=replace(limit.crossing, reading=reading))
    text = "\n".join(limits_text.lines(replace(found, stacks=(changed,)), None))
    assert ("for 18% longer or shorter from trial to trial, as the machine" in text) == said
    assert ("longer or shorter" in text) == said


def test_limits_are_set_against_the_highest_one(folder: Path) -> None:
    """With the interval of the ratio; without one of too few trials, for either."""
    found = of_folder(folder, [])
    (limit,) = found.stacks
    assert limit.crossing is not None
    half = replace(limit.crossing, rate_rps=limit.crossing.rate_rps / 2)
    few = replace(half, trials=3)
    for crossing, said in ((half, "  slow: 0.500x ["), (few, "  slow: 0.500x the rate of pool")):
        slow = replace(limit, stack="slow", crossing=crossing)
        text = "\n".join(limits_text.lines(replace(found, stacks=(limit, slow)), None))
        assert said in text
        assert text.endswith(" the rate of pool")
        assert ("too few trials for an interval" in text) is (crossing is few)


def test_a_stack_without_a_limit_says_why(folder: Path) -> None:
    """What the generator could offer at most was held; of a server that held nothing there is no
    rate."""
    found = of_folder(folder, [])
    (limit,) = found.stacks
    for reason, held_rps, said in (
        (GENERATOR, 1234.0, f"at least 1,230 requests/s: {GENERATOR}"),
        (NOWHERE, None, f"no limit found: {NOWHERE}"),
    ):
        none = replace(limit, crossing=None, reason=reason, held_rps=held_rps)
        (line,) = (
            line
            for line in limits_text.lines(replace(found, stacks=(none,)), 9e9)
            if line.startswith(f"  {limit.stack}  ")
        )
        assert line == f"  pool  {said}"


def test_how_many_processes_a_rate_needs_follows_from_the_lower_end(folder: Path) -> None:
    """Rounded up; one is no plural. Waits beside the queue are told, and services that vary."""
    found = of_folder(folder, [])
    (limit,) = found.stacks
    assert limit.crossing is not None and limit.crossing.interval is not None
    low = limit.crossing.interval.low
    for wanted_rps, said in (
        (low * 0.99, "need 1 process, each"),
        (low * 1.01, "need 2 processes"),
    ):
        text = "\n".join(limits_text.lines(found, wanted_rps))
        assert f"{wanted_rps:,.0f} requests/s {said}" in text
    assert limit.crossing.reading is not None
    reading = replace(limit.crossing.reading, queue=Queue(6, 1.0, 0.2), wait_s=0.004)
    waits = replace(limit, crossing=replace(limit.crossing, reading=reading))
    text = "\n".join(limits_text.lines(replace(found, stacks=(waits,)), None))
    assert " on average, some for much longer than others" in text
    assert ", beside 4.00 ms in which it holds none" in text


def test_a_limit_without_an_interval_stands_beside_what_trials_came_to(folder: Path) -> None:
    """Too few trials may give a rate far below one that held; how many processes follow from it
    cannot be told, and that is said."""
    found = of_folder(folder, [])
    (limit,) = found.stacks
    assert limit.crossing is not None
    few = replace(limit, crossing=replace(limit.crossing, trials=3), held_rps=883.0)
    text = "\n".join(limits_text.lines(replace(found, stacks=(few,)), 2000.0))
    assert "the highest rate that held in a trial: 883/s; the lowest that did not: " in text
    assert "how many processes 2,000 requests/s need cannot be told without an interval" in text
    sure = "\n".join(limits_text.lines(found, 2000.0))
    assert "that held in a trial" not in sure
    assert "cannot be told" not in sure
