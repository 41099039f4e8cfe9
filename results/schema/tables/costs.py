"""Why a request costs what it costs: instructions by function, and the tree of its calls."""

from __future__ import annotations

import enum

from loopbench.results.schema.columns import count, flag, key, number, table, text


class CostKind(enum.StrEnum):
    """Whose code a function is. The interpreter and the C library work for the Python function
    or the extension that called them, where the interpreter names its functions. What is neither
    installed nor the suite's is an application's own."""

    PYTHON = "Python"
    APPLICATION = "an application's own"
    EXTENSION = "C extension"
    SUITE = "the suite's own"
    INTERPRETER = "interpreter"
    LIBRARY = "library"
    NOBODY = "nobody"


_FUNCTION = (
    key("kind", f"whose code it is: {', '.join(CostKind)}"),
    text("package", "as one installs it; `asyncio` apart from the rest of the standard library"),
    text("module", "dotted name; of a C extension that of its library"),
    text("function", "qualified name, or the name in C; blank for what belongs to nobody"),
)

COST_TOTALS = table(
    "cost_totals",
    "Instructions of a whole request, with and without what names Python's functions: a row a "
    "stack and case. Written by `loadtests why`.",
    key("stack", "what was asked"),
    key("case", "name of the contract's case, or the request to an own application"),
    key("python", "version of the interpreter that served"),
    flag("named", "whether it names its Python functions", required=True),
    count("requests", "requests in one count", required=True),
    count("repeats", "counts, each in a fresh process", required=True),
    number("instructions", "1", "user-space instructions a request, mean, trampolines included"),
    number("spread", "1", "range of the counts, as a share of the least; blank for one"),
    number(
        "plain_instructions",
        "1",
        "the same without trampolines, counted in processes of their own, and without "
        "`plain_searching`, unless that is blank: what gates stay on",
    ),
    number("plain_spread", "1", "their range, likewise"),
    count("plain_repeats", "how often that was counted"),
    number(
        "plain_searching",
        "1",
        "what CPython spent meanwhile on searching classes for names that were not in its cache, "
        "mean; blank: not told apart",
        later=True,
    ),
    text(
        "counterpart",
        "the stack that answers as all do, where this one's application is as its framework's "
        "documentation shows it; blank: no such application",
    ),
    text("versions", "the stack's packages with their versions"),
)

COSTS = table(
    "costs",
    "Instructions of a request by function: a row a stack, case and function. Written by "
    "`loadtests why`.",
    key("stack", "what was asked"),
    key("case", "as in cost_totals.csv"),
    *_FUNCTION,
    number(
        "calls",
        "1",
        "entries a request; a coroutine is entered when it is made and whenever it goes on",
        required=True,
    ),
    number(
        "own_instructions",
        "1",
        "of the function, and of interpreter and C library on its behalf, mean of the repeats",
        required=True,
    ),
    number(
        "inclusive_instructions",
        "1",
        "the same with all that it called, itself counted once where it calls itself",
        required=True,
    ),
    number("share", "1", "own_instructions of the request's instructions", required=True),
    number(
        "spread",
        "1",
        "range of own_instructions over the repeats, as a share of the least; blank where one "
        "repeat had none, or there was one only",
    ),
)

COST_TREE = table(
    "cost_tree",
    "The tree of a request: a row a stack, case and path of calls, parents before their children. "
    "Its own costs add up to the request. Written by `loadtests why`.",
    key("stack", "what was asked"),
    key("case", "as in cost_totals.csv"),
    count("node", "number of the path within its stack and case", required=True),
    count("parent", "node of the path without its last function; blank for an outermost one"),
    *_FUNCTION,
    number("calls", "1", "entries a request by this path", required=True),
    number("own_instructions", "1", "by this path, mean of the repeats", required=True),
)

COST_SAMPLES = table(
    "cost_samples",
    "Where the server's CPU time went while the same requests were sent one after another: samples "
    "of Linux's perf, a row a stack, case and function. Written by `loadtests why --sample`.",
    key("stack", "what was asked"),
    key("case", "as in cost_totals.csv"),
    *_FUNCTION,
    count(
        "samples",
        "taken in the function, or in interpreter, C library and kernel on its behalf",
        required=True,
    ),
    number("share", "1", "of all samples of this stack and case", required=True),
    number(
        "kernel_share",
        "1",
        "samples of the function that were taken in the kernel, as in system calls, of its "
        "samples; blank where perf may not look there",
    ),
)
