"""Facts repeat exactly, and a change on purpose changes the fact that it is about and no other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.regression import mutants
from loopbench.loadtests.regression.layers import blocking, facts
from loopbench.loadtests.regression.layers.blocking import LoopObservation, SeenLoop
from loopbench.loadtests.regression.measuring import AGAIN
from loopbench.loadtests.regression.mutants import Edit
from loopbench.loadtests.regression.sides.sides import Role, Side, look
from loopbench.results.schema import Dispatch, Row
from loopbench.results.schema.regression import UNKNOWN, most_often
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.routes import ROUTES
from loopbench.servers.supervision.control_pipe import Channel, ControlTimeout
from loopbench.servers.supervision.messages import Json
from tests.conftest import ROOT
from tests.loadtests.regression.trees import CRASHING, STACKS, changed, edited, rows_of

Facts = dict[tuple[str, str], str]

OTHER = "another each time"
"""The value of a fact that had none at most askings."""


def _side(root: Path = ROOT) -> Side:
    return look(Role.BASE, "x", root, Path(sys.executable), STACKS)


def _measured(side: Side, folder: Path, only: Sequence[tuple[str, str]] | None = None) -> Facts:
    rows: list[Row] = rows_of(facts.measure(side, STACKS, folder / "log", Patience(), only))
    assert {(row["side"], row["stack"]) for row in rows} == {("base", "aiohttp")}
    found = {(str(row["subject"]), str(row["fact"])): str(row["value"]) for row in rows}
    assert len(found) == len(rows)
    return found


def _settled(side: Side, folder: Path, expected: Facts) -> Facts:
    """As the check judges a side: what is not as expected is asked again, and most askings count.

    Something else may have kept the loop at one of them: the route `error`, which writes a
    traceback, was told to block at 1 of 8 askings on two CPUs with a load of 22.
    """
    askings = [_measured(side, folder)]
    for _ in range(AGAIN):
        found = _usual(askings)
        other = {key[0] for key in expected.keys() & found.keys() if expected[key] != found[key]}
        if not other:
            break
        askings.append(_measured(side, folder, [("aiohttp", subject) for subject in sorted(other)]))
    return _usual(askings)


def _usual(askings: Sequence[Facts]) -> Facts:
    """Each fact as it was at most askings."""
    keys = {key: None for one in askings for key in one}
    values = {key: most_often([one[key] for one in askings if key in one]) for key in keys}
    return {key: OTHER if value is None else value for key, value in values.items()}


SLOW = frozenset({"sleep-blocking", "burn-async"})
BLOCKED = {(route.name, "blocked"): "yes" if route.name in SLOW else "no" for route in ROUTES}
"""What the contract promises."""


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """The facts of this tree."""
    return _settled(_side(), tmp_path_factory.mktemp("facts"), BLOCKED)


def test_every_case_and_route_has_its_facts(usual: Facts) -> None:
    """What the contract promises is among what is seen."""
    for case in CASES.values():
        assert usual[case.name, "status"] == str(case.expected.status)
        assert usual[case.name, "content-type"] == case.expected.content_type
    for route in ROUTES:
        sync = route.dispatch is Dispatch.SYNC
        assert usual[route.name, "thread"] == (
            "worker thread" if sync else "main thread, loop thread"
        )
    assert {key: usual[key] for key in BLOCKED} == BLOCKED
    assert usual["sync", "loop"] == "no loop"
    assert usual["async", "loop"] == "asyncio.unix_events._UnixSelectorEventLoop"


def test_what_is_asked_again_has_the_same_requests_before_it(usual: Facts, tmp_path: Path) -> None:
    """Some routes tell what was saved before: against a baseline, which is not asked again, an
    answer of another history would be another answer."""
    telling = ("pairs", "db-total")
    again = _measured(_side(), tmp_path, [("aiohttp", one) for one in telling])
    for name in telling:
        assert again[name, "body"] == usual[name, "body"]
    assert '"first":0' not in usual["pairs", "body"]
    assert {subject for subject, _ in again} == {*telling}


def test_what_differs_by_nature_is_left_out(usual: Facts) -> None:
    """No port, no date, no thread's number, no version; a long body is told by its digest."""
    assert usual["sync", "body"] == '{"event_loop":null,"thread":"worker thread"}'
    assert (
        usual["sync", "headers"] == "Content-Length: that of the body | Server: Python/* aiohttp/*"
    )
    assert usual["plain", "headers"] == "Content-Length: 12 | Server: Python/* aiohttp/*"
    assert usual["body-at-the-limit", "body"].startswith("1048585 bytes, sha256 ")


def test_changes_on_purpose_are_seen(usual: Facts, tmp_path: Path) -> None:
    """All of them in one tree: each changes the facts that it is about, and no other."""
    meant = {
        ("sync", "thread"),
        ("sync", "loop"),
        ("sync", "body"),
        ("plain", "blocked"),
        ("fetch", "blocked"),  # it fetches that page
    }
    with changed(*(edit for edit, _, _ in mutants.FACTS.values())) as root:
        same = {key: usual[key] for key in usual if key not in meant and key[1] != "headers"}
        now = _settled(_side(root), tmp_path, same)
    assert usual.keys() == now.keys()
    different = {key for key in usual if usual[key] != now[key]}
    assert {(subject, fact) for _, subject, fact in mutants.FACTS.values()} <= different
    assert {key for key in different if key[1] != "headers"} == meant
    # A stream is not made where the other answers are.
    answers = {name for name, case in CASES.items() if not case.expected.chunked}
    assert {subject for subject, fact in different if fact == "headers"} == answers
    assert (usual["plain", "blocked"], now["plain", "blocked"]) == ("no", "yes")


def test_facts_repeat_and_a_case_of_one_side_is_no_subject_of_the_other(
    usual: Facts, tmp_path: Path
) -> None:
    """Another process says the same, in every row, whether its tree has all Cases or one less."""
    name = "plain-head"
    gone = Edit(
        "servers/contract/cases.py",
        f'    Case("{name}", Request("HEAD", "/plain"), Expected(200, TEXT, b"")),\n',
        "",
    )
    now = _settled(_side(edited(tmp_path, gone)), tmp_path, usual)
    again = _measured(_side(), tmp_path, [("aiohttp", name)])
    assert {subject for subject, _ in now}.isdisjoint({name})
    assert {subject for subject, _ in again} == {name}
    assert {**now, **again} == usual


def test_the_order_of_allowed_methods_is_no_fact(usual: Facts, tmp_path: Path) -> None:
    """Werkzeug writes those of a set, in another order in each process; which there are counts."""
    allow = '        headers["Allow"] = allow\n'
    turned = '        headers["Allow"] = ", ".join(reversed(allow.split(", ")))\n'
    tree = edited(tmp_path, Edit("servers/apps/aiohttp_app.py", allow, turned))
    case = "options"
    now = _measured(_side(tree), tmp_path, [("aiohttp", case)])
    assert now == {key: value for key, value in usual.items() if key[0] == case}
    assert "Allow: GET, HEAD" in now[case, "headers"]


HELD, FREE, NOTHING = (30.0, 0.0), (1.0, 0.0), (30.0, 25.0)
"""Readings of a route without a duration: how long the loop was away, and how long threads waited
for a CPU, in ms."""


@pytest.mark.parametrize(
    ("readings", "said", "enough"),
    [
        ([], UNKNOWN, False),
        ([HELD], UNKNOWN, False),
        ([HELD] * 2 + [NOTHING] * 38, UNKNOWN, True),
        ([HELD] * 2 + [NOTHING] * 37, UNKNOWN, False),
        ([NOTHING] * 37 + [HELD] * 3, "yes", True),
        ([HELD] * 2 + [FREE] * 2, UNKNOWN, False),
        ([FREE] * 2 + [HELD] * 3, "yes", True),
        ([HELD] * 2 + [FREE] * 3, "no", True),
        ([FREE] + [NOTHING] * 39, "no", True),
        ([HELD] + [FREE] * 2, "no", False),
        ([FREE] * 2, "no", False),
        ([FREE] * 3, "no", True),
    ],
)
def test_one_reading_proves_that_a_route_need_not_block_and_none_that_it_does(
    readings: Sequence[tuple[float, float]], said: str, enough: bool
) -> None:
    """Something else may have kept the loop once, so that three have to say so."""
    seen = [
        blocking.Watched(LoopObservation(SeenLoop(int(away * 1e6)), {}), waited)
        for away, waited in readings
    ]
    assert blocking.blocked(seen, blocking.BLOCKED[False]) == said
    assert blocking.enough(seen, blocking.BLOCKED[False]) is enough


@pytest.mark.parametrize(("computed", "said"), [(100.0, [True]), (20.0, [])])
def test_a_loop_that_computed_all_the_while_was_held(computed: float, said: list[bool]) -> None:
    """However long the threads waited for a CPU besides; a route without a duration is held by its
    own milliseconds only."""
    seen = [blocking.Watched(LoopObservation(SeenLoop(1_200_000_000), {}), 1_500.0, computed)]
    assert blocking.decided(seen, blocking.BLOCKED[True]) == said
    assert blocking.decided(seen, blocking.BLOCKED[False]) == []


@pytest.mark.parametrize(
    ("base", "candidate", "again"),
    [
        ("a", "a", False),
        ("a", "b", True),
        ("ab", "bb", True),
        ("aba", "aab", False),
        ("aba", "bbb", True),
        ("ua", "aa", False),
        ("uu", "aa", True),
        ("uu", "uu", False),
    ],
)
def test_both_sides_are_asked_again_until_most_times_agree(
    base: str, candidate: str, again: bool
) -> None:
    """What could not be read, here `u`, does not count beside what could."""
    rows = [
        [
            {"stack": "s", "subject": "t", "fact": "f", "value": UNKNOWN if one == "u" else one}
            for one in side
        ]
        for side in (base, candidate)
    ]
    assert facts.differing(*rows) == ({("s", "t")} if again else set())


def test_a_probe_that_answers_too_late_costs_only_what_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers are as ever; where a route ran is unknown, which decides nothing beside an asking
    that could be read."""
    monkeypatch.setattr(facts, "_BOUND_S", -1.0)
    receive = Channel.receive

    def too_late(channel: Channel, timeout_s: float) -> Json:
        """An answer that has come before anybody looked would be read all the same."""
        if timeout_s < 0:
            raise ControlTimeout("no message in time")
        return receive(channel, timeout_s)

    monkeypatch.setattr(Channel, "receive", too_late)
    found = _measured(_side(), tmp_path, [("aiohttp", "async"), ("aiohttp", "plain")])
    assert found["async", "status"] == found["plain", "status"] == "200"
    for route in ("async", "plain"):
        assert [found[route, fact] for fact in ("thread", "loop", "blocked")] == [UNKNOWN] * 3
    assert most_often([UNKNOWN, "no"]) == "no"


def test_no_answer_is_a_fact(tmp_path: Path) -> None:
    """A server that ends in the middle of a request has not answered it."""
    from loopbench.servers.lifecycle.process import server_process

    root = edited(tmp_path, CRASHING)
    with server_process("aiohttp", root=root) as server:
        found = facts.answer(server, CASES["async"].request)
    assert found == {"status": "no answer: RemoteDisconnected"}
