"""Server, master and two workers on hosts of their own: namespaces joined by links that delay,
lose packets, and break."""

from __future__ import annotations

import pytest

from tests.loadtests.bench.benches import codes
from tests.loadtests.distributed.hosts_bench import CUT_S, DELAY_MS, Seen, run
from tests.loadtests.distributed.network import needs_namespaces

pytestmark = [needs_namespaces, pytest.mark.alone]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """One bench for all tests of this file, since it takes longer than its cut."""
    return run(tmp_path_factory.mktemp("network"))


def test_the_bench_ends_well(seen: Seen) -> None:
    """Rows are there, the workers ended at the master's word, and nothing is left on any host."""
    assert seen.status == 0, seen.errors
    assert seen.worker_statuses == [0, 0]
    assert seen.left == set()
    assert "Traceback" not in seen.errors


def test_the_delay_shows_in_the_service_time(seen: Seen) -> None:
    """Both ways of the link, and no third: the cable delays by that or, where it waits for a CPU,
    by more."""
    assert 1.99 * DELAY_MS < seen.row["service_time_p50_ms"] < 3 * DELAY_MS, seen.slow_by


def test_the_delay_shows_in_nothing_of_the_server(seen: Seen) -> None:
    """What is read inside the server knows nothing of the network."""
    assert seen.row["handler_time_p50_ms"] < 0.1 * DELAY_MS
    assert seen.row["in_handler_mean_ms"] is None or seen.row["in_handler_mean_ms"] < 0.1 * DELAY_MS
    assert seen.row["server_cpu_utilisation"] is not None
    assert seen.row["cpu_us_per_request"] < 1000 * DELAY_MS
    assert seen.row["loop_delay_p50_ms"] < 0.5 * DELAY_MS


def test_lost_packets_delay_requests_and_fail_none(seen: Seen) -> None:
    """TCP sends them again, later than any undisturbed answer."""
    assert seen.row["failures"] == 0
    assert seen.row["service_time_p999_ms"] > 4 * DELAY_MS


def test_a_link_that_was_cut_is_named(seen: Seen) -> None:
    """The worker was there again: its rows count, and say how long nothing was heard of it."""
    one, two = seen.workers
    if one["longest_gap_s"] > two["longest_gap_s"]:  # who joined first is number 1
        one, two = two, one
    assert two["longest_gap_s"] > CUT_S - 1.5
    assert "worker-silent" in two["warnings"]
    assert "worker-silent" not in (one["warnings"] or "")
    assert one["longest_gap_s"] < CUT_S - 1.5
    assert "worker-silent" in codes(seen.row)
    assert "worker-lost" not in codes(seen.row)
    assert seen.row["requests"] == one["requests"] + two["requests"]
    assert seen.row["service_time_max_ms"] > (CUT_S - 1.0) * 1000


def test_who_has_the_key_needs_no_warning(seen: Seen) -> None:
    """Master and workers share one: nothing is said of a port that anybody may join."""
    assert "authentication" not in seen.errors
