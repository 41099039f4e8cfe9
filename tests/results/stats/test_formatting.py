"""How numbers are written."""

from __future__ import annotations

import pytest

from loopbench.results.stats import formatting


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"),
        (0.00012345, "0.000123"),
        (0.9996, "1.00"),
        (9.996, "10.0"),
        (12.34, "12.3"),
        (999.6, "1,000"),
        (21_456.0, "21,500"),
        (-3.14159, "-3.14"),
    ],
)
def test_three_digits(value: float, written: str) -> None:
    """Three significant digits, thousands apart, never an exponent."""
    assert formatting.digits(value) == written


def test_bytes_are_written_as_megabytes() -> None:
    """54,500,000 bytes are 54.5 MB."""
    assert formatting.figure("rss_peak_bytes", 54_500_000.0) == "54.5"
    assert formatting.label("rss_peak_bytes") == "memory MB"


def test_a_column_in_bytes_without_a_short_name_says_its_unit() -> None:
    """Its figure is in MB, so that a name that ends in bytes would be wrong by a million."""
    assert formatting.figure("rss_start_bytes", 43_600_000.0) == "43.6"
    assert formatting.label("rss_start_bytes") == "rss_start MB"
    assert formatting.label("loop_delay_p50_ms") == "loop_delay_p50_ms"
    assert formatting.label("instructions a request") == "instructions a request"


@pytest.mark.parametrize(
    ("metric", "kind", "said"),
    [
        ("throughput_rps", "closed", "requests/s"),
        ("throughput_rps", "echo", "messages/s"),
        ("service_time_p99_ms", "broadcast", "delay p99 ms"),
        ("service_time_p50_ms", "stream", "between events p50 ms"),
        ("cpu_us_per_request", "pushed", "CPU/message µs"),
    ],
)
def test_figures_of_a_kind_of_load_have_its_names(metric: str, kind: str, said: str) -> None:
    """A message of a WebSocket is no request."""
    assert formatting.label_of_kind(metric, kind) == said


@pytest.mark.parametrize(
    ("rps", "said"), [(0.1, "0.1"), (2.5, "2.5"), (10.0, "10"), (412.77, "413"), (50_000, "50,000")]
)
def test_a_chosen_rate_is_told_from_none(rps: float, said: str) -> None:
    """A load may ask for one request in ten seconds."""
    assert formatting.rate(rps) == said


def test_text_from_rows_commands_no_terminal() -> None:
    """Control characters become blanks."""
    assert formatting.plain("a\x1b[31mb\nc") == "a [31mb c"


def test_a_long_list_ends_in_a_count() -> None:
    """Nothing is left out silently."""
    assert formatting.listed("abcdefgh", 3) == "a, b, c and 5 more"


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 users"), (1, "1 user"), (2.0, "2 users"), (1000, "1,000 users")]
)
def test_a_thing_is_counted_in_the_singular(count: float, said: str) -> None:
    """Of one thing alone; no and several things are told in the plural."""
    assert formatting.counted(count, "user") == said
