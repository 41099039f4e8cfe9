"""From a dump to functions: every instruction has one owner, and none is lost."""

from __future__ import annotations

import pytest

from loopbench.loadtests.why.attribution.callgrind_file import BadProfile, read
from loopbench.loadtests.why.attribution.owners import NATIVE, NOBODY, Function, Owners, is_rust
from loopbench.loadtests.why.attribution.perf_map import Code, PerfMap
from loopbench.loadtests.why.attribution.tree import (
    Cost,
    Totals,
    Tree,
    by_function,
    mean,
    per_request,
    tree_of,
)
from loopbench.results.schema import ROOT, CostKind
from tests.loadtests.why.sample import DUMP, MAP, SITE

SERVE = Function(CostKind.PYTHON, "shop", "shop.server", "serve")
HANDLE = Function(CostKind.PYTHON, "shop", "shop.views", "Shop.handle")
ENCODE = Function(CostKind.EXTENSION, "fast", "fast._speed", "encode")

PYTHON, SUITE, OWN = CostKind.PYTHON, CostKind.SUITE, CostKind.APPLICATION
LIBRARY = "standard library"
DYNAMIC, SO = "/usr/lib/python3.12/lib-dynload", ".cpython-312-x86_64-linux-gnu.so"


def functions() -> PerfMap:
    return PerfMap(MAP.splitlines())


def sample() -> Tree:
    return tree_of(read(DUMP.splitlines(keepends=True)), functions())


def test_costs_are_those_of_the_functions_themselves() -> None:
    """What a call cost stands in the dump a second time, with the caller, and is left out."""
    profile = read(DUMP.splitlines(keepends=True))
    assert profile.total == 1050
    assert sum(context.own for context in profile.contexts) == 1050
    first = profile.contexts[0]
    assert (first.frames[0], first.own, first.calls) == ("_PyEval_EvalFrameDefault", 120, 0)
    assert first.binary == "/usr/lib/libpython3.12.so.1.0"


@pytest.mark.parametrize(
    ("dump", "what"),
    [
        ("events: Ir Dr\n", "instructions alone"),
        ("events: Ir\nfn=(1) main\n0x1 5\n", "no total"),
        ("0x1 5\n", "a cost of no function"),
        ("fn=(1)\n", "before it is named"),
        ("fn=main\n", "no name as callgrind"),
        ("calls=1 0x1\n", "a call of no function"),
    ],
)
def test_another_file_is_refused(dump: str, what: str) -> None:
    """Rather than counted as far as it goes."""
    with pytest.raises(BadProfile, match=what):
        read(dump.splitlines(keepends=True))


def test_an_address_inside_a_trampoline_finds_its_function() -> None:
    """From its first byte to its last; where memory was used again, the later function."""
    found = functions()
    assert len(found) == 3
    serve = Code("serve", f"{SITE}/shop/server.py")
    assert [found.at(address) for address in (0xFFF, 0x1000, 0x100A)] == [None, serve, serve]
    assert found.at(0x1016) == Code("join", "<frozen posixpath>")
    assert found.at(0x1021) is None


def test_interpreter_and_library_work_for_who_called_them() -> None:
    """The tree of the sample, added up by hand."""
    assert sample() == {
        (SERVE,): Cost(130, 0),
        (SERVE, HANDLE): Cost(490, 6),
        (SERVE, HANDLE, ENCODE): Cost(400, 2),
        (NOBODY,): Cost(30, 0),
    }


def test_functions_add_up_to_the_total() -> None:
    """Inclusive cost counts a function that calls itself once."""
    found = by_function(per_request(sample(), 2))
    assert found == {
        SERVE: Totals(65, 510, 0),
        HANDLE: Totals(245, 445, 3),
        ENCODE: Totals(200, 200, 1),
        NOBODY: Totals(15, 15, 0),
    }
    assert sum(totals.own for totals in found.values()) == 1050 / 2


def test_without_a_map_each_c_function_is_its_own_row() -> None:
    """Interpreter, libraries and extensions are told apart by what holds them."""
    found = by_function(tree_of(read(DUMP.splitlines(keepends=True)), None))
    interpreter = "libpython3.12", "libpython3.12.so.1.0"
    assert (
        found[Function(CostKind.INTERPRETER, *interpreter, "_PyEval_EvalFrameDefault")].own == 610
    )
    assert found[Function(CostKind.INTERPRETER, *interpreter, "take_gil")].own == 30
    assert found[ENCODE].own == 250
    assert sum(totals.own for totals in found.values()) == 1050


def test_the_mean_of_repeats_counts_a_missing_path_as_nothing() -> None:
    """A path that only one of two repeats took cost half of it."""
    with_path: Tree = {(SERVE,): Cost(10, 1), (SERVE, HANDLE): Cost(6, 2)}
    without: Tree = {(SERVE,): Cost(20, 1)}
    assert mean((with_path, without)) == {(SERVE,): Cost(15, 1), (SERVE, HANDLE): Cost(3, 1)}


@pytest.mark.parametrize(
    ("file", "kind", "package", "module"),
    [
        (f"{SITE}/h11/_events.py", PYTHON, "h11", "h11._events"),
        (f"{SITE}/quart/wrappers/__init__.py", PYTHON, "quart", "quart.wrappers"),
        ("/usr/lib/python3.12/json/encoder.py", PYTHON, LIBRARY, "json.encoder"),
        ("/usr/lib/python3.12/asyncio/events.py", PYTHON, "asyncio", "asyncio.events"),
        ("<frozen os>", PYTHON, LIBRARY, "os"),
        ("<werkzeug routing>", PYTHON, "werkzeug", "werkzeug routing"),
        ("<string>", PYTHON, "generated code", "<string>"),
        (f"{ROOT}/loopbench/servers/stacks.py", SUITE, "loopbench", "loopbench.servers.stacks"),
        (f"{SITE}/loopbench/servers/stacks.py", SUITE, "loopbench", "loopbench.servers.stacks"),
        (f"{ROOT}/servers/stacks.py", SUITE, "loopbench", "loopbench.servers.stacks"),
        (f"{ROOT}{SITE}/h11/_util.py", PYTHON, "h11", "h11._util"),
        ("/nowhere/shop.py", OWN, "shop", "shop"),
    ],
)
def test_a_file_says_package_and_module(
    file: str, kind: CostKind, package: str, module: str
) -> None:
    """Of frameworks, the standard library, generated code, the suite and a person's own."""
    owners = Owners(PerfMap([f"10 b py::f:{file}"]), {}, frozenset())
    assert owners.of("0x0000000000000010", "???") == Function(kind, package, module, "f")


@pytest.mark.parametrize(
    ("binary", "package", "module"),
    [
        (f"{SITE}/aiohttp/_http_parser{SO}", "aiohttp", "aiohttp._http_parser"),
        (f"{SITE}/uvloop/loop{SO}", "uvloop", "uvloop.loop"),
        (f"{DYNAMIC}/_asyncio{SO}", "asyncio", "_asyncio"),
        (f"{DYNAMIC}/_json{SO}", LIBRARY, "_json"),
    ],
)
def test_a_library_says_which_extension_it_is(binary: str, package: str, module: str) -> None:
    """By its path; one without symbols, or written in Rust, is one row."""
    owners = Owners(functions(), {}, frozenset())
    assert owners.of("f", binary) == Function(CostKind.EXTENSION, package, module, "f")
    assert owners.of("0x00000000deadbeef", binary) == Function(
        CostKind.EXTENSION, package, module, NATIVE
    )
    native = Owners(functions(), {}, frozenset({binary}))
    assert native.of("f", binary) == Function(CostKind.EXTENSION, package, module, NATIVE)


def test_rust_is_known_by_its_names() -> None:
    """Both manglings, and no C++ of the same beginning."""
    assert is_rust("_ZN5tokio7runtime4task3raw4poll17h0123456789abcdefE")
    assert is_rust("_RNvCs1234_7mycrate3foo")
    assert not is_rust("_ZN4llvm5ValueC2Ev")
    assert not is_rust("_PyEval_EvalFrameDefault")
