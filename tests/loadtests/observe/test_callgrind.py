"""Instructions are counted for real, and repeat."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe import callgrind_dump, raw_request
from loopbench.loadtests.observe.callgrind import counting, missing
from loopbench.loadtests.observe.callgrind_dump import TYPE_LOOKUP, below, total
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.observe.request_counts import SETTINGS, Count, Sender
from loopbench.loadtests.selfcheck.probe_cost import RequestCost
from loopbench.servers.contract.cases import CASES
from loopbench.servers.settings import Settings


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_counts_repeat_and_tell_a_cheap_route_from_a_dear_one() -> None:
    """The same route costs the same within a few per cent, also over few requests; a larger
    answer to parse and write costs more."""
    with counting("asyncio", Settings()) as counter:
        first = counter.per_request(CASES["plain"], 200)
        second = counter.per_request(CASES["plain"], 200)
        form = counter.per_request(CASES["form"], 200)
        counter.cease()
    assert second == pytest.approx(first, rel=0.05)
    assert form > 2 * first > 0


@pytest.fixture(scope="module")
def counts() -> list[Count]:
    """Of a server: two windows of twenty requests, after sixty that were not counted, and one more
    for which its interpreter is taken for one without the function that searches."""
    with counting("asyncio", SETTINGS, still=True) as counter:
        sender = Sender(counter, CASES["plain"], Patience())
        with raw_request.connect(counter.server.host, counter.server.port) as connection:
            sender.send(connection, 60)
            found = [sender.count(connection, 20) for _ in range(2)]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(callgrind_dump, "has_search", lambda interpreter: False)
                found.append(sender.count(connection, 2))
        counter.cease()
    return found


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_window_holds_nothing_of_what_was_before_it(counts: list[Count]) -> None:
    """Twenty requests cost the same after sixty that were not counted and after twenty that were,
    within a third of one request."""
    first, second, _ = counts
    assert first.instructions == pytest.approx(second.instructions, rel=1 / 60)


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_searches_that_are_inlined_are_not_known(counts: list[Count]) -> None:
    """Of the interpreter that serves they are told apart; of one without the function, they are
    left among the instructions, and are no zero."""
    *known, unknown = counts
    assert all(one.searching is not None for one in known)
    assert unknown.searching is None


SEARCHING = """
import sys
class Plain:
    pass
names = [f"name_{number}" for number in range(20_000)]
wanted = names if sys.argv[1] == "many" else names[:1] * len(names)
for name in wanted:
    hasattr(Plain, name)
"""
"""Looks for as many names as CPython's cache has places for several times over, or for one."""


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_searches_of_classes_are_told_from_names_that_the_cache_holds(tmp_path: Path) -> None:
    """Looking for many names takes at least a hundred instructions of search a name more than
    looking for one as often; all the rest differs by less than half of that."""
    many, one = (_counted_python(tmp_path, how) for how in ("many", "one"))
    searched = many.searching - one.searching
    assert searched > 20_000 * 100
    assert many.instructions - one.instructions == pytest.approx(searched, rel=0.5)


def test_an_interpreter_has_the_function_that_searches_or_not(tmp_path: Path) -> None:
    """By its symbols: that of the tests has it, in its executable or its library."""
    for symbols, found in ((b"\0find_name_in_mro\0", True), (b"\0_PyType_Lookup\0", False)):
        file = tmp_path / str(found)
        file.write_bytes(symbols)
        assert callgrind_dump.has_search(file) is found


def _counted_python(folder: Path, how: str) -> RequestCost:
    """An interpreter that runs SEARCHING, from its start to its end. Its names are hashed alike in
    every run: hashes drawn anew cost up to a quarter of the search, more or less."""
    out = folder / how
    tool = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}")
    python = str(Path(sys.executable).resolve())
    run = (*tool, python, "-s", "-S", "-c", SEARCHING, how)
    same_hashes = os.environ | {"PYTHONHASHSEED": "0"}
    subprocess.run(run, check=True, capture_output=True, timeout=600, env=same_hashes)
    dump = out.read_text()
    return RequestCost(total(dump), below(dump, TYPE_LOOKUP))


def test_what_functions_call_is_counted_with_all_that_was_called_in_turn() -> None:
    """Of one function, whichever place it has in a cycle; not its own cost, nor what it calls of
    the others that are asked for."""
    assert below(DUMP, ("look", "look_up")) == 70 + 5
    assert below(DUMP, ("look",)) == 70 + 9 + 5


def test_a_function_that_did_not_run_is_no_zero() -> None:
    """It is an error, since it may have been inlined."""
    with pytest.raises(HarnessError, match="callgrind names none of elsewhere"):
        below(DUMP, ("elsewhere",))


DUMP = """\
fn=(1) main
1 10
cfn=(2) look
calls=3 1
* 105

fn=(2)
1 21
cob=(4) libc
cfn=(3) search
calls=1 1
+3 70
cfn=(5) look_up
calls=2 1
* 9

fn=(6) look'2
1 4
cfn=(3)
calls=1 1
* 5
totals: 119
"""


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_variable_replaces_the_one_that_counting_sets() -> None:
    """The C library of a server then takes the processor for what it is, and the seed stays."""
    with counting("asyncio", SETTINGS, variables=("GLIBC_TUNABLES=",), begun=False) as counter:
        environment = Path(f"/proc/{counter.server.pid}/environ").read_bytes().split(b"\0")
    assert b"GLIBC_TUNABLES=" in environment
    assert not any(one.startswith(b"GLIBC_TUNABLES=glibc") for one in environment)
    assert b"PYTHONHASHSEED=0" in environment
