"""Sampling of CPU time: what `perf script` prints, and real samples where perf may take them."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.scenarios.custom.scenarios import prepare
from loopbench.loadtests.why import command, interpreter, rows, sampling
from loopbench.loadtests.why.attribution.owners import NATIVE, NOBODY, Function
from loopbench.loadtests.why.attribution.perf_map import PerfMap
from loopbench.loadtests.why.attribution.tree import Cost
from loopbench.loadtests.why.measure import Measured, Plan, Profiled, Subject
from loopbench.loadtests.why.sampling import Samples
from loopbench.results.schema import COST_SAMPLES, CostKind, read_table
from loopbench.servers.contract.cases import CASES
from loopbench.servers.stacks import STACKS
from tests.loadtests.why.sample import EVAL, MAP, SITE

SCRIPT = f"""\
            5d10 {EVAL} (/usr/lib/libpython3.12.so.1.0)
            1003 py::serve:{SITE}/shop/server.py (perf-7.map)

ffffffff81a00000 do_syscall_64 ([kernel.kallsyms])
           40100 __send (/usr/lib/libc.so.6 (deleted))
           50010 encode (int) ({SITE}/fast/_speed.cpython-312-x86_64-linux-gnu.so)
            5d10 {EVAL} (/usr/lib/libpython3.12.so.1.0)
            100d [unknown] (perf-7.map)

           60010 [unknown] ({SITE}/rusty/_rusty.abi3.so)

           60020 core::ptr::drop_in_place ({SITE}/rusty/_rusty.abi3.so)
            100d [unknown] (perf-7.map)

            7d10 main (/usr/bin/python3.12)
"""
SERVE = Function(CostKind.PYTHON, "shop", "shop.server", "serve")
ENCODE = Function(CostKind.EXTENSION, "fast", "fast._speed", "encode (int)")
RUST = Function(CostKind.EXTENSION, "rusty", "rusty._rusty", NATIVE)


def test_a_sample_belongs_to_its_innermost_owner() -> None:
    """By the same rule as an instruction; a library of Rust is one row, and one without any owner
    is nobody's. Those that began in the kernel are counted apart."""
    found = sampling.samples(SCRIPT.splitlines(), PerfMap(MAP.splitlines()), True)
    assert found.total == 5
    assert found.functions == {SERVE: 1, ENCODE: 1, RUST: 2, NOBODY: 1}
    assert found.kernel is not None
    assert {one for one, taken in found.kernel.items() if taken} == {ENCODE}


def test_where_perf_may_not_look_into_the_kernel_its_share_is_not_known() -> None:
    """Rather than nought."""
    assert sampling.samples(SCRIPT.splitlines(), PerfMap([]), False).kernel is None


@pytest.mark.parametrize(("script", "what"), [("", "took no sample"), ("perf: oops\n", "oops")])
def test_what_is_no_script_is_refused(script: str, what: str) -> None:
    """Also where perf has taken nothing."""
    with pytest.raises(HarnessError, match=what):
        sampling.samples(script.splitlines(), PerfMap([]), True)


def test_without_perf_there_is_a_remedy_and_no_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, and the counts go on."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command._sampled([], Plan(Path("python"), named=True)) is None
    assert "time is not sampled: perf not found; install it" in capsys.readouterr().err
    assert command._sampled([], Plan(Path("python"), named=False)) is None
    assert "names no functions" in capsys.readouterr().err


def test_where_perf_is_refused_its_reason_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the setting that allows it."""
    script = tmp_path / "perf"
    script.write_text(
        "#!/bin/sh\necho 'Access to performance monitoring is limited.' >&2\nexit 1\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert sampling.missing() == (
        "perf may not look (Access to performance monitoring is limited.); allow it: "
        "sysctl kernel.perf_event_paranoid=1"
    )


def test_samples_are_rows_that_go_with_the_next_counts(tmp_path: Path) -> None:
    """A row a function; a folder that is written anew without samples has none."""
    subject = Subject(STACKS["aiohttp"], {"plain": CASES["plain"]})
    profiled = Profiled(({(SERVE,): Cost(10.0, 1.0)},), (10.0,))
    one = Measured(subject, {}, {"plain": profiled}, {"plain": ()})
    plan, python = (
        Plan(Path("python"), True),
        interpreter.Interpreter(Path("python"), "3.12.1", True),
    )
    taken = Samples(4, {SERVE: 3, ENCODE: 1}, {SERVE: 0, ENCODE: 1})
    rows.write(tmp_path, [one], plan, python, {"aiohttp": {"plain": taken}})
    found = [
        (row["function"], row["samples"], row["share"], row["kernel_share"])
        for row in read_table(tmp_path, COST_SAMPLES)
    ]
    assert found == [("serve", 3, 0.75, 0.0), ("encode (int)", 1, 0.25, 1.0)]
    rows.write(tmp_path, [one], plan, python)
    assert not (tmp_path / COST_SAMPLES.filename).exists()


APPLICATION = """\
async def app(scope, receive, send):
    if scope["type"] == "http":
        work()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})


def work():
    for _ in range(200_000):
        pass
"""


@pytest.mark.timeout(300)
def test_time_is_sampled_where_it_goes(tmp_path: Path) -> None:
    """A loop that is most of the request has most of the samples, and is not the kernel's."""
    lacking = sampling.missing()
    chosen = interpreter.choose(None)
    if lacking is not None or not chosen.named:
        pytest.skip(lacking or interpreter.REMEDY)
    (tmp_path / "sampled_shop.py").write_text(APPLICATION)
    own = prepare("sampled_shop:app", tmp_path, ("/thing",), None, ("hypercorn",))
    (stack,) = own.stacks.values()
    case = next(iter(own.scenarios.values())).loads[0].case
    plan = Plan(interpreter.environment(chosen, False, lambda line: None), True)
    found = sampling.sample(Subject(stack, {case.name: case}), plan, cpu_s=0.2)[case.name]
    assert sum(found.functions.values()) == found.total > 50
    work = next(
        one for one in found.functions if one.module == "sampled_shop" and one.name == "work"
    )
    assert found.functions[work] > found.total / 2
    if found.kernel is not None:
        assert found.kernel[work] < found.functions[work] / 4
