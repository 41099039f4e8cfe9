"""`python -m results capacity`: worked out by hand from a folder of four rates."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from loopbench.results.folder import folder as folders
from loopbench.results.report.data import gather
from loopbench.results.report.sections.pressure import HELD, held
from loopbench.results.schema import ENVIRONMENT_FILE, RUNS, Row, Value
from loopbench.results.stats.capacity import Capacity, capacities, checks
from loopbench.results.stats.summaries.summary import summarise
from loopbench.results.terminal.console import folded
from tests.forked import Program
from tests.results.examples.folders import put

RATES = {1000: (0.20, 1.0, ""), 2000: (0.30, 2.0, ""), 4000: (0.52, 8.0, "")}
"""Utilisation, p99 in ms and codes by rate."""


def _rows(rates: dict[int, tuple[float, float, str]]) -> list[Row]:
    rows: list[Row] = []
    for stack in ("aiohttp", "asyncio"):
        for number in (1, 2, 3):
            for rate, (share, p99, codes) in rates.items():
                rows.append(
                    {
                        **_identity(number, stack, f"rate-{rate}", "main", len(rows) + 1),
                        "load_model": "open",
                        "users": 64,
                        "arrival_rate_rps": rate,
                        "requests": 1000,
                        "throughput_rps": rate,
                        "response_time_p99_ms": p99,
                        "cpu_us_per_request": share / rate * 1e6,
                        "server_cpu_utilisation": share,
                        "warnings": codes or None,
                    }
                )
            rows.append(
                {
                    **_identity(number, stack, "idle", "idle", len(rows) + 1),
                    "load_model": "idle",
                    "users": 100,
                    "requests": 100,
                    "rss_start_bytes": 40_000_000,
                    "rss_end_bytes": 41_000_000,
                }
            )
    return rows


def _identity(number: int, stack: str, scenario: str, load: str, position: int) -> Row:
    return {
        "run_id": f"{number:02d}.{stack}.{scenario}",
        "round": number,
        "position": position,
        "stack": stack,
        "scenario": scenario,
        "load": load,
        "started_at": "2026-01-02T03:04:05.000+00:00",
    }


def _write(folder: Path, rates: dict[int, tuple[float, float, str]]) -> Path:
    folder.mkdir()
    put(folder, RUNS, _rows(rates))
    return folder


def _capacity(folder: Path, wanted: float, slo_ms: float | None = None) -> Capacity:
    loaded = folders.load(folder)
    (found,) = capacities(loaded, summarise(loaded), wanted, slo_ms)  # and none of the yardstick
    return found


def test_the_highest_rate_that_held_is_what_a_process_can_do(tmp_path: Path) -> None:
    """Utilisation over CPU time a request is that rate again; processes are rounded up."""
    found = _capacity(_write(tmp_path / "run", RATES), 10_000)
    assert found.stack == "aiohttp"
    assert found.best is not None and found.best.scenario == "rate-4000"
    assert found.beyond is None
    assert found.per_process_rps == pytest.approx(4000)
    assert found.processes == 3
    assert found.process_bytes == 40_000_000
    assert found.connection_bytes == 10_000


def test_a_bound_on_the_p99_lowers_it(tmp_path: Path) -> None:
    """The first rate that breaks the bound ends the search; none left is no answer."""
    folder = _write(tmp_path / "run", RATES)
    found = _capacity(folder, 10_000, 5.0)
    assert found.best is not None and found.best.scenario == "rate-2000"
    assert found.beyond is not None and found.beyond.scenario == "rate-4000"
    assert found.beyond.why_not == "p99 up to 8.00 ms"
    assert found.processes == 5
    none = _capacity(folder, 10_000, 0.5)
    assert (none.best, none.per_process_rps, none.processes) == (None, None, None)


def test_a_rate_that_was_missed_did_not_hold(tmp_path: Path) -> None:
    """Nor does one above it count that happened to pass."""
    missed = {**RATES, 2000: (0.9, 900.0, "rate-missed")}
    found = _capacity(_write(tmp_path / "run", missed), 10_000)
    assert [point.held for point in found.points] == [True, False, True]
    assert found.best is not None and found.best.scenario == "rate-1000"
    assert found.beyond is not None and found.beyond.why_not == "rate-missed"
    assert found.processes == 10


def test_a_measured_rate_is_predicted_from_those_below(tmp_path: Path) -> None:
    """0.2 at 1,000 and 0.3 at 2,000 make 0.5 at 4,000, where 0.52 was measured."""
    (check,) = checks([_capacity(_write(tmp_path / "run", RATES), 1.0)])
    assert check.scenario == "rate-4000"
    assert check.predicted == pytest.approx(0.5)
    assert check.off == pytest.approx(0.5 / 0.52 - 1)


def _edited(folder: Path, scenario: str, **cells: Value) -> Path:
    """The folder of RATES, with other cells in all rows of one scenario."""
    folder.mkdir()
    rows = _rows(RATES)
    put(folder, RUNS, [{**row, **cells} if row["scenario"] == scenario else row for row in rows])
    return folder


def test_a_rate_without_figures_is_not_held(tmp_path: Path, results: Program) -> None:
    """The server died at 4,000/s in every Round: 2,000/s is not the most that was offered."""
    blank = dict.fromkeys(
        ("response_time_p99_ms", "throughput_rps", "cpu_us_per_request", "server_cpu_utilisation")
    )
    folder = _edited(tmp_path / "run", "rate-4000", **blank, requests=None, warnings="server-died")
    found = _capacity(folder, 10_000)
    assert found.best is not None and found.best.scenario == "rate-2000"
    assert found.beyond is not None and found.beyond.why_not == "no figures (server-died)"
    said = results.run("capacity", str(folder), "--rps", "10000").out
    assert (
        "5 processes or fewer, at least 2,000 requests/s each: of 4,000/s nothing is known" in said
    )
    assert "nothing known of 4,000/s (rate-4000): no figures (server-died)" in said
    assert "it held every rate" not in said
    (one,) = json.loads(results.run("capacity", str(folder), "--rps", "1", "--json").out)["stacks"]
    assert (one["offered"][-1]["p99_ms"], one["offered"][-1]["held"]) == (None, False)


def test_what_several_processes_did_is_not_one_processs(tmp_path: Path, results: Program) -> None:
    """CPU time, and memory, are sums over them: two held 4,000/s together, each 2,000."""
    folder = tmp_path / "run"
    folder.mkdir()
    put(folder, RUNS, [{**row, "processes": 2} for row in _rows(RATES)])
    found = _capacity(folder, 10_000)
    assert found.per_process_rps == pytest.approx(2000)
    assert (found.processes, found.process_bytes) == (5, 20_000_000)
    said = results.run("capacity", str(folder), "--rps", "10000").out
    assert "at 52% of a CPU by 2 processes together" in said


def test_a_connection_costs_what_the_report_says(tmp_path: Path) -> None:
    """Of 100 idle ones beside 25 of another load each has a 125th of what a Round grew by: 8, 8
    and 16 kB."""
    folder = tmp_path / "run"
    folder.mkdir()
    rows = _rows(RATES)
    beside: Row = {"load": "main", "load_model": "closed", "users": 25}
    idle = [row for row in rows if row["scenario"] == "idle"]
    for row in idle:
        grown: Row = {"rss_end_bytes": 42_000_000 if row["round"] == 3 else 41_000_000}
        rows[rows.index(row)] = {**row, **grown}
        rows.append({**row, **grown, **beside})
    put(folder, RUNS, rows)
    assert _capacity(folder, 1.0).connection_bytes == 8_000
    loaded = folders.load(folder)
    material = gather(loaded, summarise(loaded))
    share = held(material, "aiohttp", "idle", HELD[0])
    assert share is not None
    assert list(share.values.values()) == [8, 8, 16]


def test_two_scenarios_of_one_rate_are_one_point_of_the_check(tmp_path: Path) -> None:
    """A line through them would have no slope."""
    folder = _edited(tmp_path / "run", "rate-2000", arrival_rate_rps=1000.0)
    assert list(checks([_capacity(folder, 1.0)])) == []


def test_the_command_says_it_in_words(tmp_path: Path, results: Program) -> None:
    """With what it rests on and what it assumes; without an open loop it is one line."""
    folder = _write(tmp_path / "run", RATES)
    command = ("capacity", str(folder))
    lines = results.run(*command, "--rps", "10000", "--slo-ms", "5").out.splitlines()
    assert lines[0] == "10,000 requests/s with a p99 response time of at most 5 ms:"
    assert lines[2] == "  aiohttp  5 processes, 2,000 requests/s each"
    assert (
        lines[3]
        == "           held 2,000/s (rate-2000) at 30% of a CPU, 150 µs a request, p99 2.00 ms"
    )
    assert lines[4].endswith("p99 8.00 ms: p99 up to 8.00 ms")
    assert lines[5] == "           memory: 40.0 MB a process, 10.0 kB an idle connection"
    assert "This assumes that" in lines
    refused = results.run(*command, "--rps", "1", "--scenario", "nothing-*")
    assert refused.status == 1
    assert refused.err.startswith("error: no open loop of that name was measured; ")


def test_an_open_loop_without_cpu_time_is_not_called_one_that_was_not_measured(
    tmp_path: Path, results: Program
) -> None:
    """As of a server on another host: to measure it again would not help."""
    folder = tmp_path / "run"
    folder.mkdir()
    put(folder, RUNS, [{**row, "cpu_us_per_request": None} for row in _rows(RATES)])
    refused = results.run("capacity", str(folder), "--rps", "1", "--scenario", "rate-2000")
    assert refused.status == 1
    assert refused.err == (
        "error: the open loops of that name have no CPU time a request; it is read of servers "
        "other than the yardstick on the host of the bench, under Linux\n"
    )


def test_of_a_persons_own_application_its_own_commands_are_named(
    tmp_path: Path, results: Program
) -> None:
    """Those of the suite would measure the suite's servers."""
    folder = tmp_path / "run"
    folder.mkdir()
    put(folder, RUNS, [row for row in _rows(RATES) if row["scenario"] != "idle"])
    file = folder / ENVIRONMENT_FILE
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**known, "application": {"target": "shop:app"}}))
    refused = results.run("capacity", str(folder))
    assert "capacity --app APP --get PATH --slo 'p99<20ms'` measures one)" in refused.err
    refused = results.run("capacity", str(folder), "--rps", "1", "--scenario", "nothing-*")
    assert refused.err == (
        "error: no open loop of that name was measured; a load of yours with rate_rps in place of "
        "users is one\n"
    )
    said = results.run("capacity", str(folder), "--rps", "0.5", "--scenario", "rate-*").out
    assert said.startswith("0.5 requests/s:\n")
    assert "idle-1000" not in said  # which is no load of an application
    refused = results.run("split", str(folder))
    assert "; a bench of your application with `--on aiohttp --on aiohttp-uvloop`" in refused.err


@pytest.mark.parametrize("terminal", [True, False])
def test_a_line_is_folded_for_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    """Further lines stand under the first one's words; a pipe gets each line whole, for grep."""
    monkeypatch.setenv("COLUMNS", "24")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    said = folded("  - each process has a CPU of its own")
    if terminal:
        assert said == "  - each process has a\n    CPU of its own"
    else:
        assert said == "  - each process has a CPU of its own"
