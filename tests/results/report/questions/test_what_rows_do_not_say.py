"""Answers where rows are missing, doubtful or few: no more than they say, and of whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from loopbench.results.report.blocks import Code, Link
from loopbench.results.schema import BEHAVIOUR, RUNS, Row, Value
from tests.results.examples import folders
from tests.results.report.reports import made

UVLOOP = "What does uvloop gain?"
FASTER = "How much faster is one than the other, and at what?"
SYNC = "Why is a sync route slower when it does nothing?"
POOL = "What is the default thread-pool size, and what happens past it?"
STALL = "Does one blocking call stall everyone, for how long?"
HEALTH = "Do health checks survive a busy handler?"
MEMORY = "How much memory a connection, and is it given back?"
SPLIT = "Is it the framework or the server that is slow?"
CORES = "How many cores for N requests a second?"
STOPS = "Why does the server not stop?"
FINISHED = "Will requests in flight finish at shutdown, and how long may it take?"

CANARY: Row = {"load": "canary", "load_model": "open", "users": 64, "arrival_rate_rps": 500.0}


def _answers(
    folder: Path, rows: Iterable[Row], environment: dict[str, object] | None = None
) -> dict[str, str]:
    """What the report of these rows answers, by question."""
    return _told(folders.write(folder, {RUNS: rows}, environment=environment or {}))


def _told(folder: Path) -> dict[str, str]:
    return {
        one.text: "".join(span.text if isinstance(span, Code | Link) else span for span in one.line)
        for one in made(folder).questions
    }


def _closed(number: int, stack: str, scenario: str, rps: float, **cells: Value) -> Row:
    wobble = 1 + number / 1000 * len(stack)
    offered: Row = {"load_model": "closed", "users": 32, "throughput_rps": rps * wobble}
    return folders.run_row(number, stack, scenario, **{**offered, **cells})


def _loops(**stacks: tuple[str, str, str]) -> dict[str, object]:
    """environment.json of stacks: framework, server and loop of each."""
    return {
        "stacks": {
            name: {"framework": framework, "server": server, "loop": {"class": loop}}
            for name, (framework, server, loop) in stacks.items()
        }
    }


PAIRS = _loops(
    one=("A", "a", "asyncio"),
    one_fast=("A", "a", "uvloop"),
    two=("B", "b", "asyncio"),
    two_fast=("B", "b", "uvloop"),
)


def _pairs(second: str) -> Iterator[Row]:
    """A pair of loops in async-32, where the generator was the limit, and one in `second`."""
    for number in (1, 2, 3):
        yield _closed(number, "bare", "async-32", 21_000.0, yardstick=True)
        yield _closed(number, "one", "async-32", 19_500.0)
        yield _closed(number, "one_fast", "async-32", 20_500.0)
        yield _closed(number, "two", second, 1000.0)
        yield _closed(number, "two_fast", second, 1300.0)


def test_a_warning_forbids_comparing_loops_as_it_forbids_comparing_stacks(tmp_path: Path) -> None:
    """Both are as fast as the yardstick: neither question has a ratio of them."""
    said = _answers(tmp_path / "run", _pairs("async-32"), environment=PAIRS)
    assert said[UVLOOP].startswith(
        "Cannot tell (generator-limit) for one_fast over one and 1.31x [1.30–1.33] for two_fast "
        "over two: the throughput with uvloop over that without it, with 32 users at once"
    )


def test_pairs_of_several_scenarios_are_told_with_their_own(tmp_path: Path) -> None:
    """The second pair was not measured where the first was."""
    said = _answers(tmp_path / "run", _pairs("form-32"), environment=PAIRS)[UVLOOP]
    assert "for one_fast over one in async-32 and 1.31x [1.30–1.33] for two_fast" in said
    assert said.endswith("over two in form-32: the throughput with uvloop over that without it.")


def test_a_scenario_without_doubts_tells_of_a_pair(tmp_path: Path) -> None:
    """Where another one has Warnings."""
    rows = [
        *_pairs("async-32"),
        *(
            _closed(number, stack, "form-32", rps)
            for number in (1, 2, 3)
            for stack, rps in (("one", 100.0), ("one_fast", 150.0))
        ),
    ]
    said = _answers(tmp_path / "run", rows, environment=PAIRS)[UVLOOP]
    assert said.startswith("1.51x [1.51–1.52] for one_fast over one in form-32")


def test_two_rounds_do_not_say_that_nothing_differs(tmp_path: Path) -> None:
    """Many stacks, of which no ratio has an interval."""
    rows = [
        _closed(number, stack, "async-32", 100.0 * place)
        for number in (1, 2)
        for place, stack in enumerate("abcde", start=1)
    ]
    said = _answers(tmp_path / "run", rows)[FASTER]
    assert said == (
        "2.00 (b) to 5.00 (e) times the throughput of a in async-32; too few Rounds for an "
        "interval, so that chance is not ruled out."
    )


THREADS = {"aiohttp": (32, 600.0, 20.0), "flask": (10, 200.0, 90.0), "quart": (32, 610.0, 25.0)}
"""Threads, requests a second, and ms that each waited for a thread."""


def _pool(*without: str) -> Iterator[Row]:
    """Three stacks of which the first and the last have the same pool. without: of these the wait
    for a thread was not read."""
    for number in (1, 2, 3):
        for stack, (threads, rps, wait) in THREADS.items():
            waited = None if stack in without else wait
            pool = {"executor_threads_max": threads, "executor_queue_max": 5, "users": 64}
            waits: Row = {"executor_wait_p50_ms": wait, "throughput_rps": rps}
            yield _closed(number, stack, "cliff-64", rps, **pool, **waits)
            for case, times in (("async", 1.0), ("sync", 1.1 if stack == "flask" else 1.6)):
                cpu = 100.0 * times
                cells: Row = {"cpu_us_per_request": cpu, "executor_wait_mean_ms": waited}
                yield _closed(number, stack, f"{case}-32", rps, **cells)


def test_figures_stand_in_the_order_in_which_stacks_were_named(tmp_path: Path) -> None:
    """aiohttp and quart together, then flask: 610 is quart's."""
    said = _answers(tmp_path / "run", _pool())
    assert (
        "32 threads on aiohttp and quart and 10 threads on flask (default threads): they allow 640 "
        "and 200 calls of 50 ms a second, so that 64 users at once get 600/s, 610/s and 200/s and "
        "each request waits 20.0 ms, 25.0 ms and 90.0 ms for a thread" in said[POOL]
    )
    assert "on aiohttp and quart and 1.10x" in said[SYNC]
    assert "for which it waits 20.0 ms, 25.0 ms and 90.0 ms in the mean" in said[SYNC]


def test_a_figure_that_one_stack_lacks_is_not_taken_for_anothers(tmp_path: Path) -> None:
    """Two waits for three stacks have their names."""
    said = _answers(tmp_path / "run", _pool("aiohttp"))[SYNC]
    assert "for which it waits 90.0 ms on flask and 25.0 ms on quart in the mean" in said


def _beside(number: int, stack: str, scenario: str, p99: float | None, **cells: Value) -> Row:
    canary: Row = {**CANARY, "response_time_p99_ms": p99, "failures": 0}
    slowest = None if p99 is None else p99 + 10
    return folders.run_row(
        number, stack, scenario, **{**canary, "response_time_max_ms": slowest, **cells}
    )


@pytest.mark.parametrize(
    ("beside", "begins"),
    [
        ((2.0, 100.0, 100.0), "Cannot tell: one call"),
        ((1.01, 1.0, 0.99), "No: one call"),
        ((99.0, 100.0, 101.0), "Yes: one call"),
    ],
)
def test_a_wide_interval_does_not_say_that_nobody_is_stalled(
    beside: tuple[float, ...], begins: str, tmp_path: Path
) -> None:
    """1 ms alone. Beside the call 2, 100 and 100 ms: a ratio of 100 with an interval around 1."""
    rows = [
        row
        for number, p99 in enumerate(beside, start=1)
        for row in (
            _beside(number, "aiohttp", "neighbour-none", 1.0),
            _beside(number, "aiohttp", "neighbour-sleep-blocking", p99),
            _beside(number, "aiohttp", "neighbour-sleep-blocking", None, load="neighbour"),
        )
    ]
    said = _answers(tmp_path / "run", rows)[STALL]
    assert said.startswith(begins)


def test_a_stack_that_was_not_measured_alone_is_not_told_for(tmp_path: Path) -> None:
    """Its time beside the call stands there, and what it was without is not known."""
    rows = [
        row
        for number in (1, 2, 3)
        for row in (
            _beside(number, "aiohttp", "neighbour-none", 1.0 + number / 100),
            _beside(number, "aiohttp", "neighbour-sleep-blocking", 100.0),
            _beside(number, "quart", "neighbour-sleep-blocking", 150.0),
            _beside(number, "quart", "neighbour-sleep-blocking", None, load="neighbour"),
        )
    ]
    said = _answers(tmp_path / "run", rows)[STALL]
    assert said.startswith("Yes on aiohttp, cannot tell on quart: one call")
    assert said.endswith("from 1.02 ms to 100 ms on aiohttp and to 150 ms on quart.")


def test_a_run_without_figures_survives_nothing(tmp_path: Path) -> None:
    """The server of one Round of quart died beside the busy handler."""
    rows = [
        _beside(number, stack, "neighbour-burn-async", 90.0)
        for number in (1, 2, 3)
        for stack in ("aiohttp", "quart")
        if (number, stack) != (2, "quart")
    ]
    died: Row = {"requests": None, "failures": None, "warnings": "server-died"}
    rows.append(_beside(2, "quart", "neighbour-burn-async", None, **died))
    rows += [
        _beside(number, "aiohttp", "neighbour-burn-async", None, load="neighbour")
        for number in (1, 2, 3)
    ]
    said = _answers(tmp_path / "run", rows)[HEALTH]
    assert said.startswith("Yes on aiohttp, cannot tell on quart: beside a handler that computes")
    assert said.endswith(
        "and none failed (Kubernetes waits 1 s by default); 1 Run of quart cannot say; not to be "
        "compared: quart in neighbour-burn-async (server-died)."
    )


def test_an_answer_says_what_is_not_to_be_compared(tmp_path: Path) -> None:
    """CPU time of stacks whose Runs measured different things."""
    rows = [
        _closed(
            number,
            stack,
            "async-32",
            1000.0,
            cpu_us_per_request=100.0,
            warnings="environment-drift" if stack == "quart" else None,
        )
        for number in (1, 2, 3)
        for stack in ("aiohttp", "quart")
    ]
    assert _answers(tmp_path / "run", rows)[CORES].endswith(
        "by CPU time a request; not to be compared: quart in async-32 (environment-drift)."
    )


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((50e6, 45e6), "10.0 kB on aiohttp for each idle connection, and it is not given back: "),
        ((50e6, 41e6), "10.0 kB on aiohttp for each idle connection, and it is given back: "),
        ((40e6, 40e6), "0 kB on aiohttp for each idle connection: with all"),
    ],
)
def test_what_was_not_taken_is_not_kept(
    ends: tuple[float, float], said: str, tmp_path: Path
) -> None:
    """A process of 40 MB with 1,000 connections; later and after them."""
    end, after = map(int, ends)
    rows = [
        folders.run_row(
            number,
            "aiohttp",
            "idle-1000",
            load_model="idle",
            users=1000,
            rss_start_bytes=40_000_000,
            rss_end_bytes=end,
            rss_after_bytes=after,
        )
        for number in (1, 2, 3)
    ]
    assert _answers(tmp_path / "run", rows)[MEMORY].startswith(said)


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        ((100.0, 101.0, 102.0), "2% on full of a request's CPU time"),
        ((100.0, 103.0, 100.0), "No part that can be told on full of a request's CPU time"),
        ((101.0, 103.0), "2% (too few Rounds for an interval) on full of a request's CPU time"),
    ],
)
def test_a_framework_s_part_is_told_where_it_is_more_than_chance(
    costs: tuple[float, ...], said: str, tmp_path: Path
) -> None:
    """The bare server takes 99 µs, or as much as the framework in some Round."""
    bare = {102.0: 100.0, 101.0: 99.0, 100.0: 98.0, 103.0: 101.0}
    rows = [
        _closed(number, stack, "async-32", 1000.0, cpu_us_per_request=cpu)
        for number, cost in enumerate(costs, start=1)
        for stack, cpu in (
            ("bare", bare[cost] if len(set(costs)) == len(costs) else 101.0),
            ("full", cost),
        )
    ]
    facts = _loops(bare=("ASGI", "a", "asyncio"), full=("B", "a", "asyncio"))
    assert _answers(tmp_path / "run", rows, environment=facts)[SPLIT].startswith(said)


def _asked(name: str, stack: str, answer: str) -> Row:
    return {
        "question": name,
        "topic": name.partition(".")[0],
        "asks": "Does it?",
        "stack": stack,
        "setting": "default",
        "answer": answer,
        "evidence": "seen",
        "varies": False,
        "took_s": 0.5,
        "versions": f"{stack} 1.0",
        "python": "3.11.7",
    }


def _behaviour(folder: Path, *rows: Row) -> dict[str, str]:
    made_of = [_closed(1, "aiohttp", "async-32", 1000.0)]
    return _told(folders.write(folder, {RUNS: made_of, BEHAVIOUR: rows}))


def test_a_cause_that_is_told_on_one_stack_only_is_not_left_out(tmp_path: Path) -> None:
    """It does not hold up the one, and of the other nothing is known, or the other way round."""
    said = _behaviour(
        tmp_path / "run",
        _asked("stopping.half-sent-request", "aiohttp", "stops at once"),
        _asked("stopping.half-sent-request", "quart", "cannot tell: nothing seen"),
        _asked("stopping.long-stream", "aiohttp", "stops after the grace time"),
        _asked("stopping.long-stream", "quart", "cannot tell: nothing seen"),
    )[STOPS]
    assert said == (
        "1 of 2 causes that were tried: a stream that goes on (on aiohttp, and of quart nothing "
        "can be told) can hold up a stop; half a request (on aiohttp) does not; of half a request "
        "on quart nothing can be told."
    )


def test_a_request_that_takes_longer_does_not_say_whether_others_finish(tmp_path: Path) -> None:
    """Only that question was asked."""
    answer = "stops after the grace time, client got nothing but the end"
    said = _behaviour(
        tmp_path / "run", _asked("stopping.request-outlives-grace", "aiohttp", answer)
    )
    assert said[FINISHED].startswith("Not measured here.")
    assert said[STOPS].startswith("1 of 1 causes")
