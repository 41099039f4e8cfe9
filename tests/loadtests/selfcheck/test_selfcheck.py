"""The checks of the instrument: what they compute, not how fast this machine is."""

from __future__ import annotations

import http.client
import shutil
import struct
from contextlib import closing
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.arrivals import Arrivals
from loopbench.loadtests.selfcheck.checks import observer, omission
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.loadtests.selfcheck.witnesses.capture import (
    Segment,
    capturing,
    segments,
    service_times_ns,
)
from loopbench.results.stats.intervals.blocks import BlockEstimate
from tests.loadtests.generator.counting import counting_server
from tests.servers.processes import ROOT

SERVER, CLIENT, OTHER = 8080, 40_001, 40_002
BASE_NS = 1_700_000_000_999_999_000


def packet(
    at_ns: int,
    source: int,
    target: int,
    payload: int,
    *,
    ip_words: int = 5,
    tcp_words: int = 5,
    kept: int = 128,
    padding: int = 0,
) -> bytes:
    """A captured Ethernet frame with IPv4 and TCP headers of so many words, cut at `kept`."""
    total = ip_words * 4 + tcp_words * 4 + payload
    ip = struct.pack(">BBH", 0x40 | ip_words, 0, total) + b"\0" * (ip_words * 4 - 4)
    tcp = struct.pack(">HHIIB", source, target, 1, 1, tcp_words << 4) + b"\0" * (tcp_words * 4 - 13)
    frame = b"\0" * 14 + ip + tcp + b"x" * payload + b"\0" * padding
    head = struct.pack("<IIII", *divmod(at_ns, 1_000_000_000), min(kept, len(frame)), len(frame))
    return head + frame[:kept]


def capture(file: Path, *packets: bytes, magic: int = 0xA1B23C4D) -> Path:
    file.write_bytes(struct.pack("<IHHiIII", magic, 2, 4, 0, 0, 128, 1) + b"".join(packets))
    return file


def ask(at_us: int, port: int = CLIENT, **more: int) -> bytes:
    return packet(BASE_NS + at_us * 1000, port, SERVER, more.pop("payload", 40), **more)


def answer(at_us: int, port: int = CLIENT, **more: int) -> bytes:
    return packet(BASE_NS + at_us * 1000, SERVER, port, more.pop("payload", 90), **more)


def test_an_exchange_lasts_from_its_request_to_the_last_of_its_answer(tmp_path: Path) -> None:
    """Bare acknowledgements do not count, several segments of an answer do."""
    file = capture(
        tmp_path / "pcap",
        ask(0),
        answer(10, payload=0),
        answer(70),
        answer(85, payload=2000),
        ask(86, payload=0),
        ask(100),
        answer(163),
    )
    times = service_times_ns(segments(file, SERVER))
    assert times == {CLIENT: [(BASE_NS, 85_000), (BASE_NS + 100_000, 63_000)]}


def test_connections_are_told_apart(tmp_path: Path) -> None:
    """Exchanges that overlap in time belong to their client's port."""
    file = capture(
        tmp_path / "pcap", ask(0), ask(5, OTHER), answer(20, OTHER), answer(60), ask(90, OTHER)
    )
    times = service_times_ns(segments(file, SERVER))
    assert times == {OTHER: [(BASE_NS + 5000, 15_000)], CLIENT: [(BASE_NS, 60_000)]}


def test_the_order_of_the_file_is_not_the_order_of_time(tmp_path: Path) -> None:
    """Segments are sorted by their stamps before they are matched."""
    file = capture(tmp_path / "pcap", answer(60), ask(0), answer(150), ask(100))
    times = service_times_ns(segments(file, SERVER))
    assert times == {CLIENT: [(BASE_NS, 60_000), (BASE_NS + 100_000, 50_000)]}


def test_headers_with_options_and_padded_frames_are_read(tmp_path: Path) -> None:
    """Longer headers are no payload, and neither is what fills a short frame."""
    file = capture(
        tmp_path / "pcap",
        ask(0, ip_words=6, tcp_words=8),
        answer(3, payload=0, tcp_words=8, padding=6),
        answer(40, tcp_words=8, payload=60_000),
    )
    assert segments(file, SERVER) == [
        Segment(BASE_NS, True, CLIENT),
        Segment(BASE_NS + 40_000, False, CLIENT),
    ]


def test_what_was_not_asked_or_not_answered_is_no_exchange(tmp_path: Path) -> None:
    """An answer without its request (the capture began later) and a request without an answer."""
    file = capture(tmp_path / "pcap", answer(0), ask(10), answer(20), ask(30))
    assert service_times_ns(segments(file, SERVER)) == {CLIENT: [(BASE_NS + 10_000, 10_000)]}


def test_a_capture_in_microseconds_is_refused(tmp_path: Path) -> None:
    """Its stamps would be read a thousand times too short."""
    file = capture(tmp_path / "pcap", ask(0), answer(1), magic=0xA1B2C3D4)
    with pytest.raises(HarnessError, match="no capture in nanoseconds"):
        segments(file, SERVER)


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="needs the package tcpdump")
def test_a_real_capture_sees_every_request(tmp_path: Path) -> None:
    """Twenty requests on one connection, answered after 5 ms each, are twenty exchanges of at
    least 5 ms."""
    with counting_server() as server:
        try:
            with capturing(server.port, tmp_path / "pcap"):
                connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
                with closing(connection):
                    for _ in range(20):
                        connection.request("GET", "/wait/5")
                        assert connection.getresponse().read() == b"hello"
        except HarnessError as error:
            if "permi" not in str(error):
                raise
            pytest.skip(f"not permitted here: {error}")
        assert server.total == 20
        ((times),) = service_times_ns(segments(tmp_path / "pcap", server.port)).values()
    assert len(times) == 20
    assert min(took for _, took in times) >= 5_000_000
    assert times == sorted(times)


def test_without_tcpdump_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cause and remedy in one line."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HarnessError, match="tcpdump is missing; install"):
        with capturing(1, tmp_path / "pcap"):
            pass


@pytest.mark.alone
def test_a_stall_is_charged_to_all_that_it_delayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The omission check in a shorter load: both demands are met. The freeze is so long, and the
    rate so low, that a busy machine answers what has piled up in less than a tenth of it."""
    monkeypatch.chdir(ROOT)
    for name, value in {
        "WARMUP_S": 0.3,
        "MEASURED_S": 3.5,
        "RATE_RPS": 50.0,
        "FREEZE_AFTER_S": 0.5,
        "FREEZE_S": 2.0,
        "LONG_MS": 1000.0,
    }.items():
        monkeypatch.setattr(omission, name, value)
    said: list[str] = []
    verdicts = omission.check(said.append)
    assert [verdict.met for verdict in verdicts] == [True, True], [v.line() for v in verdicts]
    requests, scheduled = said[0].split(" requests, ")
    assert requests == scheduled.split(" in the schedule")[0]


def test_a_count_at_the_limit_is_within_it() -> None:
    """Whatever the quotient is in binary: 88 / 80 - 1 is more than 0.1."""
    assert omission.near(88, 80)
    assert not omission.near(89, 80)
    assert omission.near(72, 80)
    assert not omission.near(71, 80)


def test_the_arithmetic_of_a_stall() -> None:
    """Each arrival of the window waits until the end of the freeze that it falls into, all others
    not at all."""
    warmup_ns = int(omission.WARMUP_S * 1e9)
    end_ns = warmup_ns + int(omission.MEASURED_S * 1e9)
    drawn = Arrivals(omission.RATE_RPS, end_ns, f"{omission.SEED}/main")
    due = []
    while (at := drawn.take()) is not None:
        due.append(at)
    began = 5_000_000_000
    stopped, continued = (began + warmup_ns + seconds * 1_000_000_000 for seconds in (2, 3))
    waits = omission._expected_ms(began, stopped, continued)
    inside = [at - warmup_ns for at in due if at >= warmup_ns]
    assert len(waits) == len(inside)
    delayed = [3000 - at / 1e6 for at in inside if 2e9 <= at < 3e9]
    assert [wait for wait in waits if wait] == pytest.approx(delayed)
    # A second at 200 a second: some 200 of them, evenly between nothing and a second.
    assert 150 < len(delayed) < 250
    assert 0 < min(delayed) < max(delayed) <= 1000


def test_a_verdict_says_what_was_demanded_and_seen() -> None:
    """A demand that is not met cannot be overlooked."""
    assert Verdict("p50 within 10 us", "3 us", True).line() == "met      p50 within 10 us: 3 us"
    assert Verdict("p50 within 10 us", "30 us", False).line().startswith("NOT MET  ")


def test_the_probe_is_compared_with_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Block of a live server with the probe beside one without gives each figure; one Block has
    no interval, and shows nothing."""
    monkeypatch.setattr(observer, "TURNS", 4)
    verdicts = list(observer._of_stack("aiohttp", lambda line: None, 1))
    assert [verdict.demand.split(", ")[1].split(":")[0] for verdict in verdicts] == [
        *observer.READ_AT
    ]
    for verdict in verdicts:
        assert verdict.outcome.endswith("too few Blocks for an interval")
        assert not verdict.met


@pytest.mark.parametrize(
    ("logarithms", "met"),
    [([0.0, 0.001, -0.001] * 4, True), ([0.03] * 12, False), ([0.2, -0.2] * 6, False)],
    ids=["alike", "apart", "cannot tell"],
)
def test_only_a_whole_interval_near_one_shows_that_the_probe_changes_nothing(
    logarithms: list[float], met: bool
) -> None:
    """An interval that is wide, or elsewhere, does not."""
    estimates = [BlockEstimate(value, 0.001, 12) for value in logarithms]
    assert observer._verdict("aiohttp", "throughput_rps", estimates).met is met
