"""Counts the requests of stacks: by function in processes whose Python names its functions, and
plainly in processes of their own, since the trampolines that name them cost instructions too.

Requests are sent as the regression check's are, and so repeat as steadily: see
`loadtests.observe.request_counts`.
"""

from __future__ import annotations

import http.client
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import (
    FIRST_EXCEPTION,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe import raw_request
from loopbench.loadtests.observe.callgrind import Counter, counting
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.observe.request_counts import (
    REQUESTS,
    SETTINGS,
    RequestCount,
    counted,
    taken_of_all,
)
from loopbench.loadtests.why.attribution import callgrind_file, perf_map
from loopbench.loadtests.why.attribution.tree import Tree, per_request, tree_of
from loopbench.loadtests.why.longest_first import LongestFirst
from loopbench.loadtests.why.repeating import agree
from loopbench.results.schema import ROOT
from loopbench.servers.contract.http import Case
from loopbench.servers.lifecycle.facts import Facts
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.scratch import scratch_folder

T = TypeVar("T")

REPEATS = 2
MOST_REPEATS = 3
"""Of a stack whose first ones do not agree, see `loadtests.why.repeating`."""

PLAIN_REPEATS = 2
"""At most so many of the plain count, which repeats to some hundredths of a per cent."""

PLAIN_SHARE = 0.7
"""Of the time that a count by function takes."""

AT_ONCE = 2
"""Processes under callgrind at a time: a count does not depend on what else the machine does."""

_CALLERS = 200
"""More than a request's C stack is deep (129 for Quart on Hypercorn), so that a context holds all
of a function's callers."""

_BY_FUNCTION = (
    f"--separate-callers={_CALLERS}",
    "--separate-recs=1",  # a recursion is no function of its own
    "--dump-instr=yes",  # without it functions that have no symbol have no address either
    "--dump-line=no",
    "--demangle=no",
)
_INTERPRETER = (
    *("_Py*", "PyObject_*", "PyDict_*", "PyList_*", "PyTuple_*", "PyUnicode_*", "PyBytes_*"),
    *("PyLong_*", "PyMem_*", "PyGen_*", "PyIter_*", "PyErr_*", "PyType_*", "PyArg_*"),
    *("PyBool_*", "PyBuffer_*", "PyCMethod_*", "PyDescr_*", "PyException_*", "PyMember_*"),
    *("PyMethod_*", "PyNumber_*", "PySequence_*", "PyThread_*", "PyTraceBack_*"),
    *("PyUnstable_*", "PyVectorcall_*", "BaseException_*", "StopIteration_*", "slot_tp_*"),
    *("py_trampoline_evaluator", "specialize_py_call", "gen_send*", "gen_dealloc"),
    *("method_vectorcall*", "cfunction_vectorcall*", "initialize_locals*", "type_call"),
    *("method_dealloc", "meth_dealloc", "getset_get", "property_descr_get", "analyze_descriptor"),
    *("object_new", "object_init", "object_dealloc", "object_get_class", "subtype_dealloc"),
    *("tuple_alloc*", "tupledealloc*", "list_dealloc", "list_iter", "listiter_dealloc"),
    *("dict_dealloc", "free_keys_object", "insert_to_emptydict", "insertdict", "find_empty_slot"),
    *("unicodekeys_lookup*", "unicode_dealloc", "set_lookkey", "find_name_in_mro"),
    *("memcpy@*", "__mem*_sse2*", "__tls_get_addr*"),
)
"""Functions that work for whoever calls them and are called most, by the names that only CPython
and the C library give; what Cython copies of CPython's inline functions has them, too. Callgrind
adds what they cost to their caller at once, as `owners` would do afterwards: an eighth of the
contexts is left, and a fifteenth of what has to be written and read."""

_SKIPPED = tuple(f"--fn-skip={name}" for name in _INTERPRETER)
TRAMPOLINES = ("PYTHONPERFSUPPORT=1",)
"""The variable with which a Python names its functions (its documentation, `-X perf`)."""

_FACTS_BOUND_S = 60.0


@dataclass(frozen=True, slots=True)
class _Packages:
    """What is needed of a server's facts, which may be another commit's."""

    packages: dict[str, str]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is counted of one stack. cases: by name, in the order in which they are asked.
    counterpart: see `loadtests.why.documented`; None: the stack has none."""

    stack: Stack
    cases: Mapping[str, Case]
    counterpart: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """python: the interpreter of an environment of the suite. named: whether it names its Python
    functions. most: a stack whose repeats do not agree is counted once more, up to so many times
    in all. root: the tree that serves. plain: whether to count without trampolines, too."""

    python: Path
    named: bool
    requests: int = REQUESTS
    repeats: int = REPEATS
    most: int = 0
    root: Path = ROOT
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Profiled:
    """Each repeat of one case: the tree of a request, and the total that callgrind says of it."""

    trees: tuple[Tree, ...]
    totals: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """One stack, by case. plain: instructions of a request without trampolines, each repeat.
    versions: of the stack's packages, as the server itself says."""

    subject: Subject
    versions: Mapping[str, str]
    profiles: Mapping[str, Profiled]
    plain: Mapping[str, tuple[RequestCount, ...]]


def measure(
    subjects: Sequence[Subject],
    plan: Plan,
    say: Callable[[str], None] = lambda line: None,
    within: Patience | None = None,
) -> list[Measured]:
    """Count every subject `plan.repeats` times by function, one whose rows do not agree up to
    `plan.most` times, and plainly PLAIN_REPEATS times at most.

    within: of what this is a part of. Raises HarnessError and ServerError, and BrokenOff where the
    whole was given up.
    """
    plainly = min(plan.repeats, PLAIN_REPEATS) if plan.named and plan.plain else 0
    patience = Patience(within)
    with scratch_folder() as folder, _parsers() as parsers, ThreadPoolExecutor(AT_ONCE) as pool:

        def by_function(subject: Subject) -> _Repeat:
            repeat = _profile(subject, plan, patience, folder, parsers)
            say(f"{subject.stack.name}: counted by function")
            return repeat

        def plain(subject: Subject) -> dict[str, RequestCount]:
            counts = _plain(subject, plan, patience)
            say(f"{subject.stack.name}: counted plainly")
            return counts

        turns = LongestFirst(pool)

        def turn(work: Callable[[Subject], T], subject: Subject, share: float = 1.0) -> Future[T]:
            return turns.submit(partial(work, subject), subject.stack.name, share)

        def each(
            work: Callable[[Subject], T], times: int, share: float = 1.0
        ) -> list[list[Future[T]]]:
            """Of each subject all times; once of every subject comes before twice of any."""
            made = [[turn(work, subject, share) for subject in subjects] for _ in range(times)]
            return [[repeat[place] for repeat in made] for place in range(len(subjects))]

        try:
            list(pool.map(lambda subject: compiled(subject, plan), subjects))
            named = each(by_function, plan.repeats)
            counts = each(plain, plainly, PLAIN_SHARE)
            done, _ = wait(chain.from_iterable(named), return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()  # raises at once what has ended one, whatever the others do
            for _ in range(plan.repeats, plan.most):
                for subject, repeats in zip(subjects, named, strict=True):
                    if not _agree([future.result() for future in repeats]):
                        repeats.append(turn(by_function, subject))
            return [
                _gathered(
                    subject,
                    [future.result() for future in several],
                    [future.result() for future in own],
                )
                for subject, several, own in zip(subjects, named, counts, strict=True)
            ]
        finally:
            patience.end()
            pool.shutdown(cancel_futures=True)


_Parsed = tuple[Tree, float]


@dataclass(frozen=True, slots=True)
class _Repeat:
    """One process: its cases as they will be read, and the versions of its packages."""

    parsing: Mapping[str, Future[_Parsed]]
    versions: Mapping[str, str]


def _agree(repeats: Sequence[_Repeat]) -> bool:
    """Whether the rows of every case repeat."""
    cases = repeats[0].parsing
    return all(agree([repeat.parsing[case].result()[0] for repeat in repeats]) for case in cases)


def compiled(subject: Subject, plan: Plan) -> None:
    """Have the byte code of all modules written that the server imports, by one that is not
    counted. Raises HarnessError and ServerError.

    A process that compiles a module has another heap than one that finds it compiled. Names then
    lie at other addresses, so that other types collide in the interpreter's cache of attributes:
    one function or another takes some 300 instructions a request more, in the first process alone.
    """
    prefix = ("env", "-i", "PYTHONHASHSEED=0")
    with server_process(
        subject.stack, settings=SETTINGS, prefix=prefix, python=plan.python, root=plan.root
    ) as server:
        for name, case in subject.cases.items():
            try:
                with raw_request.connect(server.host, server.port) as connection:
                    raw_request.exchange(connection, case.request, f"{server.host}:{server.port}")
            except (OSError, http.client.HTTPException) as error:
                raise HarnessError(f"{subject.stack.name}, asked for {name}: {error}") from error


def _profile(
    subject: Subject, plan: Plan, patience: Patience, folder: Path, parsers: ProcessPoolExecutor
) -> _Repeat:
    """Every case in one fresh process; its dumps are read while the next ones are counted."""
    parsing = {}
    options: tuple[str, ...] = _BY_FUNCTION
    variables: tuple[str, ...] = ()
    if plan.named:
        options, variables = _BY_FUNCTION + _SKIPPED, TRAMPOLINES
    with counting(
        subject.stack,
        SETTINGS,
        python=plan.python,
        root=plan.root,
        still=True,
        options=options,
        variables=variables,
        patience=patience,
    ) as counter:
        with _symbols(counter, plan) as symbols:
            for name, dump in taken_of_all(
                counter, subject.cases, plan.requests, patience, lambda *of: of[0].dump(*of[1:])
            ):
                kept = Path(tempfile.mkdtemp(dir=folder))
                shutil.move(dump, kept / "dump")
                if symbols is not None:
                    shutil.copy(symbols, kept / "map")
                parsing[name] = parsers.submit(_parse, kept, plan.requests)
            counter.cease()
            versions = counter.server.ask_part(Facts(), _Packages, _FACTS_BOUND_S).packages
    return _Repeat(parsing, versions)


def _symbols(counter: Counter, plan: Plan) -> AbstractContextManager[Path | None]:
    """The server's perf map; None where its Python writes none."""
    return perf_map.of_process(counter.server.pid, plan.python) if plan.named else nullcontext()


def _plain(subject: Subject, plan: Plan, patience: Patience) -> dict[str, RequestCount]:
    with counting(
        *(subject.stack, SETTINGS),
        python=plan.python,
        root=plan.root,
        still=True,
        patience=patience,
    ) as counter:
        values = dict(counted(counter, subject.cases, plan.requests, patience))
        counter.cease()
        return values


def _parse(folder: Path, requests: int) -> _Parsed:
    """The tree of one dump, a request; in a process of its own. Its files go."""
    symbols = folder / "map"
    functions = None
    if symbols.is_file():
        functions = perf_map.PerfMap(symbols.read_text(errors="replace").splitlines())
    with (folder / "dump").open(encoding="utf-8", errors="replace") as lines:
        profile = callgrind_file.read(lines)
    shutil.rmtree(folder)
    return per_request(tree_of(profile, functions), requests), profile.total / requests


@contextmanager
def _parsers() -> Iterator[ProcessPoolExecutor]:
    """Processes, since reading megabytes of text would hold the GIL from those who send."""
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        yield pool


def _gathered(
    subject: Subject,
    repeats: Sequence[_Repeat],
    plain: Sequence[Mapping[str, RequestCount]],
) -> Measured:
    profiles = {}
    for name in subject.cases:
        parsed = [repeat.parsing[name].result() for repeat in repeats]
        profiles[name] = Profiled(
            tuple(tree for tree, _ in parsed), tuple(total for _, total in parsed)
        )
    counts = {name: tuple(of_repeat[name] for of_repeat in plain) for name in subject.cases}
    return Measured(subject, repeats[0].versions, profiles, counts)
