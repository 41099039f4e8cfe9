"""Who a frame of machine code works for: a Python function, an extension, or nobody by itself.

The interpreter and the C library work on behalf of whoever called them, so that their frames have
no owner here; the nearest frame outwards that has one pays for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from loopbench.loadtests.why.attribution.perf_map import Code, PerfMap
from loopbench.results.schema import ROOT, CostKind

STANDARD_LIBRARY = "standard library"
GENERATED = "generated code"
NATIVE = "(native code)"
"""The one row of a library that is not written in C, or whose functions have no names."""

_SUITE = "loopbench"
_SITE = "/site-packages/"
_LIBRARY = re.compile(r".*/lib(?:64)?/python3\.\d+t?/")
_PACKAGES_OF_THEIR_OWN = frozenset({"asyncio"})
"""Of the standard library: what one wants to see beside frameworks and servers."""

_RUST = re.compile(r"_ZN.*17h[0-9a-f]{16}E(?:\..*)?|_R[A-Za-z].*")
_ADDRESS = re.compile(r"0x[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Function:
    """A row of costs.csv by its name. package: as one installs it, as far as its folder says."""

    kind: CostKind
    package: str
    module: str
    name: str


NOBODY = Function(CostKind.NOBODY, "", "", "")
"""The owner of what was done under no frame that has one."""


class Owners:
    """Finds the owner of a frame.

    functions: None where the interpreter names no Python function; each C function of interpreter
    and libraries then owns itself. binaries: the object that holds a symbol, of those that only
    one object holds. native: the objects that are one row each.
    """

    def __init__(
        self, functions: PerfMap | None, binaries: Mapping[str, str], native: frozenset[str]
    ) -> None:
        self._functions = functions
        self._binaries = binaries
        self._native = native
        self._outer: dict[str, Function | None] = {}

    def of_caller(self, frame: str) -> Function | None:
        """The owner of a frame further out, of which only the name is known."""
        if frame not in self._outer:
            self._outer[frame] = self.of(frame, self._binaries.get(frame, "???"))
        return self._outer[frame]

    def of(self, frame: str, binary: str) -> Function | None:
        """The owner of a frame in an object; None where it works for its caller."""
        if self._functions is not None and _ADDRESS.fullmatch(frame):
            code = self._functions.at(int(frame, 16))
            if code is not None:
                return python_function(code)
        extension = _extension(binary)
        if extension is not None:
            package, module = extension
            name = NATIVE if binary in self._native or _ADDRESS.fullmatch(frame) else frame
            return Function(CostKind.EXTENSION, package, module, name)
        if self._functions is None and binary != "???":
            file = PurePosixPath(binary).name
            interpreter = file.startswith(("libpython", "python"))
            kind = CostKind.INTERPRETER if interpreter else CostKind.LIBRARY
            return Function(kind, file.partition(".so")[0], file, frame)
        return None


def is_rust(symbol: str) -> bool:
    """Whether a compiler of Rust made this name (both of its manglings)."""
    return _RUST.fullmatch(symbol) is not None


@cache
def python_function(code: Code) -> Function:
    """The row of a Python function."""
    kind, package, module = _module(code.file)
    return Function(kind, package, module, code.qualname)


def _module(file: str) -> tuple[CostKind, str, str]:
    """Kind, package and module of a source file, or of what stands in its place."""
    if file.startswith("<"):
        return CostKind.PYTHON, *_without_file(file.strip("<>"))
    if _SITE in file:
        module = _dotted(file.rpartition(_SITE)[2])
        package = module.partition(".")[0]
        return CostKind.SUITE if package == _SUITE else CostKind.PYTHON, package, module
    if file.startswith(f"{ROOT}/"):
        inside = file.removeprefix(f"{ROOT}/").removeprefix(f"{_SUITE}/")
        return CostKind.SUITE, _SUITE, _dotted(f"{_SUITE}/{inside}")
    library = _LIBRARY.match(file)
    if library is not None:
        module = _dotted(file[library.end() :])
        top = module.partition(".")[0]
        package = top if top in _PACKAGES_OF_THEIR_OWN else STANDARD_LIBRARY
        return CostKind.PYTHON, package, module
    return CostKind.APPLICATION, *_elsewhere(Path(file))


def _without_file(name: str) -> tuple[str, str]:
    """`<frozen os>` is of the standard library; `<werkzeug routing>` says who made it."""
    first, _, rest = name.partition(" ")
    if first == "frozen":
        return STANDARD_LIBRARY, rest
    if rest:
        return first, name
    return GENERATED, f"<{name}>"


def _elsewhere(file: Path) -> tuple[str, str]:
    """A person's own module: dotted up to the first folder that is no package."""
    names = [file.stem]
    for folder in file.parents:
        if not (folder / "__init__.py").is_file():
            break
        names.insert(0, folder.name)
    module = ".".join(names).removesuffix(".__init__")
    return names[0], module


def _dotted(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


@cache
def _extension(binary: str) -> tuple[str, str] | None:
    """Package and module of an extension's library; None for any other object."""
    if _SITE in binary:
        place = PurePosixPath(binary.rpartition(_SITE)[2])
        package = place.parts[0].partition(".")[0]
        return package, _dotted(str(place.with_name(place.name.partition(".")[0])))
    if "/lib-dynload/" in binary:
        module = PurePosixPath(binary).name.partition(".")[0]
        own = module.lstrip("_")
        return (own if own in _PACKAGES_OF_THEIR_OWN else STANDARD_LIBRARY), module
    return None
