"""A person's own application: it is imported and made as they do it themselves.

Their code runs in the process that serves it and, to see what it is, in one that does nothing else
(`servers.custom.look`); never in the harness. Both have the person's folder as working folder and
first on the path, and no word of the suite's in `sys.argv`.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from loopbench.results.schema import ROOT
from loopbench.servers.custom import recognition
from loopbench.servers.custom.recognition import Kind
from loopbench.servers.custom.remedies import remedy
from loopbench.servers.custom.target import PACKAGE, Target, parse
from loopbench.servers.custom.traceback_text import named, place
from loopbench.servers.errors import StartupFailed
from loopbench.servers.installed import missing_module
from loopbench.servers.parts import OwnApp

_BEFORE = ("concurrent.futures.thread", "logging.config")
"""What gunicorn, Hypercorn and uvicorn have imported before they come to the application: a
`queue.py` of the person's does not take the standard library's place there, either."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What importing, and where a factory is called, calling it gave.

    app: the application, or an awaitable of it. made: see OwnApp.
    """

    app: Any
    made: bool


_RELATIVE = "attempted relative import"
"""How the error begins of a module that does not know its package, or none so far up."""

_loaded: dict[tuple[str, str], Loaded | StartupFailed] = {}
"""Of this process: a module is imported, and its factory called, once."""


def prepare(own: OwnApp) -> None:
    """Import it and call its factory, while no loop runs, where it does not need a running one.

    What goes wrong is kept, for `application` to raise where the server reports it.
    """
    if not own.in_loop:
        _load(own)


async def application(own: OwnApp) -> Any:
    """The application itself; what a factory has left to be awaited is awaited in this loop.

    Raises StartupFailed with cause and remedy.
    """
    loaded = _load(own)
    if isinstance(loaded, StartupFailed):
        raise loaded
    if loaded.made and inspect.isawaitable(loaded.app):
        try:
            app = await loaded.app
        except (Exception, SystemExit) as error:
            raise _raised(f"{own.target}()", error) from error
        loaded = _loaded[own.target, own.folder] = Loaded(app, made=True)
    return loaded.app


def is_made(own: OwnApp) -> bool:
    """Whether the application that this process has loaded is what its target returned."""
    loaded = _load(own)
    return isinstance(loaded, Loaded) and loaded.made


def kind(own: OwnApp, app: object) -> str:
    """AIOHTTP or ASGI. Raises StartupFailed with the remedy for what is neither."""
    app_kind = Kind(own.kind) if own.kind is not None else recognition.recognise(app)
    if app_kind in (Kind.AIOHTTP, Kind.ASGI):
        return app_kind.value
    raise StartupFailed(_REMEDIES[app_kind].format(target=own.target, type=type(app).__name__))


_NEITHER = (
    "{target} is {type}, neither an aiohttp.web.Application nor an ASGI application (a callable of "
    "scope, receive and send), nor does it make one; name one that is"
)
_REMEDIES = {
    Kind.WSGI: "{target} is a WSGI application, called with environ and start_response; wrap it: "
    "a2wsgi.WSGIMiddleware(app, workers=10) runs requests in so many threads, "
    "asgiref.wsgi.WsgiToAsgi(app) all in one",
    Kind.ASGI2: "{target} takes a scope alone, as ASGI 2 had it; wrap it with "
    "asgiref.compatibility.guarantee_single_callable(app)",
    Kind.MAKER: _NEITHER,
    Kind.OTHER: _NEITHER,
}


def _load(own: OwnApp) -> Loaded | StartupFailed:
    key = own.target, own.folder
    if key not in _loaded:
        try:
            _loaded[key] = _made(own)
        except StartupFailed as error:
            _loaded[key] = error
    return _loaded[key]


def _made(own: OwnApp) -> Loaded:
    target = parse(own.target, Path(own.folder))
    _enter(own, target)
    attribute = _attribute(target, own)
    if own.made is False or not (target.called or _is_maker(own, attribute)):
        return Loaded(attribute, made=False)
    return Loaded(_call(own, target, attribute), made=True)


def _is_maker(own: OwnApp, attribute: object) -> bool:
    if own.made is not None:
        return own.made
    return recognition.recognise(attribute) is Kind.MAKER


def _call(own: OwnApp, target: Target, maker: Any) -> Any:
    """What the factory returns. Raises StartupFailed, with the arguments that it lacks."""
    named = {**target.named, **own.arguments}
    positional = list(target.positional)
    lacking = [
        parameter for parameter in recognition.required(maker) if parameter.name not in named
    ]
    # aiohttp's own command line calls `init_func(argv)`.
    if not positional and [parameter.name for parameter in lacking] == ["argv"]:
        positional, lacking = [[]], []
    lacking = lacking[len(positional) :]
    if [parameter.name for parameter in lacking] == ["request"]:
        raise StartupFailed(
            f"{own.target} answers one request, as a handler does; name the application that has "
            "it, or the function that makes that"
        )
    if lacking and lacking[0].name == "self":
        raise StartupFailed(
            f"{own.target} is a method of a class; name that of an object, as module:site.build, "
            "or a function that makes both"
        )
    if lacking:
        names = ", ".join(parameter.name for parameter in lacking)
        options = " ".join(f"--arg {parameter.name}=…" for parameter in lacking)
        raise StartupFailed(f"{own.target} needs {names}, which nobody gives it; add {options}")
    try:
        inspect.signature(maker, follow_wrapped=False).bind(*positional, **named)
    except TypeError as error:
        raise StartupFailed(f"{own.target}() {error}; correct --arg or the parentheses") from error
    except ValueError:
        pass  # it has no signature that can be read, and says itself what is wrong
    try:
        return maker(*positional, **named)
    except (Exception, SystemExit) as error:
        raise _raised(f"{own.target.removesuffix('()')}()", error) from error


def _enter(own: OwnApp, target: Target) -> None:
    """Be where the person stands when they start it: their folder, its modules, no arguments."""
    for name in _BEFORE:
        importlib.import_module(name)
    try:
        os.chdir(own.folder)
    except OSError as error:
        raise StartupFailed(
            f"cannot work in {own.folder}: {error.strerror}; name another folder by --app-dir"
        ) from error
    sys.argv[:] = [str(target.file or target.module)]
    # The suite's own folder goes last, for the processes that this one starts.
    kept = [path for path in sys.path if path not in ("", str(ROOT), str(target.folder))]
    begin = [str(target.folder)]
    if str(target.folder) != own.folder:
        kept = [path for path in kept if path != own.folder]
        begin.append(own.folder)
    sys.path[:] = [*begin, *kept, str(ROOT)]
    importlib.invalidate_caches()


def _attribute(target: Target, own: OwnApp) -> Any:
    module = _import(target, own)
    value: Any = module
    for part in target.path.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            if value is module and (line := _made_as_main(target, part)) is not None:
                raise StartupFailed(
                    f"module {target.module} has no {part!r}, which it makes under "
                    f'`if __name__ == "__main__":` (line {line}), and an import leaves out; make '
                    "it above that"
                ) from None
            public = [name for name in vars(module) if not name.startswith("_")]
            raise StartupFailed(
                f"module {target.module} has no {target.path!r}; it has "
                f"{', '.join(public) or 'nothing'}"
            ) from None
    return value


def _made_as_main(target: Target, name: str) -> int | None:
    """The line that gives a name its value where the module is started, and not imported."""
    if target.file is None:
        return None
    for branch in ast.parse(target.file.read_bytes()).body:
        if isinstance(branch, ast.If) and any(
            node.id == "__name__" for node in _names(branch.test)
        ):
            for node in _names(branch):
                if node.id == name and isinstance(node.ctx, ast.Store):
                    return node.lineno
    return None


def _names(tree: ast.AST) -> Iterator[ast.Name]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Name))


def _import(target: Target, own: OwnApp) -> ModuleType:
    name = target.module
    try:
        if own.until is not None:
            return _import_until(target, own.until)
        if _is_another(target):
            return _import_file(target)
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (hidden := _hidden(error.name or "", own)) is not None:
            raise StartupFailed(
                f"importing {name} did not find {error.name!r}: {hidden}"
            ) from error
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise StartupFailed(
                f"no module {error.name!r} in the current folder or in --app-dir; "
                f"{_elsewhere(target, own)}"
            ) from error
        if (how := missing_module(error)) is None:  # an import hook's, or raised by hand
            raise _at_import(target, own, error) from error
        raise StartupFailed(f"{name} needs {error.name!r}; {how}") from error
    except SystemExit as error:
        where = place(error, os.getcwd())
        raise StartupFailed(
            f"importing {name} ended its process by {named(error)}{where}; it was "
            f"imported in {own.folder}, and must not serve or exit when it is imported"
        ) from error
    except Exception as error:
        if (hidden := _hidden(_blamed(error), own)) is not None:
            raise StartupFailed(f"importing {name} raised {named(error)}: {hidden}") from error
        raise _at_import(target, own, error) from error


def _at_import(target: Target, own: OwnApp, error: Exception) -> StartupFailed:
    where = place(error, os.getcwd())
    what = remedy(error) or _by_its_package(target, own, error) or "correct that first"
    return StartupFailed(f"importing {target.module} raised {named(error)}{where}; {what}")


def _by_its_package(target: Target, own: OwnApp, error: Exception) -> str | None:
    """Where to name a module that imports by `from . import …` what lies beside it, and was named
    without its package."""
    if not (isinstance(error, ImportError) and str(error).startswith(_RELATIVE)):
        return None
    *_, frame = traceback.walk_tb(error.__traceback__)
    if frame[0].f_code.co_filename != str(target.file):
        return None
    name = f"{target.folder.name}.{target.module}:{own.target.partition(':')[2]}"
    return (
        f"it is a module of a package: name it {name} in the folder above, {target.folder.parent}"
    )


def _blamed(error: BaseException) -> str:
    """The module that lacks what was asked of it; empty where the error is of another kind."""
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        return error.obj.__name__
    return (error.name or "") if isinstance(error, ImportError) else ""


def _hidden(name: str, own: OwnApp) -> str | None:
    """Why a module is not found where the person's folder and Python have one of the same name."""
    top = name.partition(".")[0]
    theirs = Target(Path(own.folder), top, "").file
    if not top or theirs is None or not (whose := _other(top, theirs)):
        return None
    file = os.path.relpath(theirs, own.folder)
    # A module whose import has failed is in sys.modules no more.
    taken = sys.modules.get(top)
    if taken is None or getattr(taken, "__file__", None) == str(theirs):
        return f"{file} stands in the place of {whose}; give it another name"
    if top not in sys.stdlib_module_names:
        return None
    return (
        f"{top} is a module of Python's own that is imported already, and not {file}; give that "
        f"another name, or import what is in it by `from . import …`"
    )


def _other(top: str, theirs: Path) -> str | None:
    """Whose other module has the name of the person's own; None where nobody's.

    A package that is installed is another than their single file of that name. Where both are the
    same, it may be their own that is installed.
    """
    if top in sys.stdlib_module_names:
        return f"Python's own {top}"
    elsewhere = [path for path in sys.path if Path(path).resolve() != theirs.parent.resolve()]
    spec = PathFinder.find_spec(top, elsewhere) if theirs.name != PACKAGE else None
    is_package = spec is not None and spec.origin is not None and spec.origin.endswith(PACKAGE)
    return f"the package {top}" if is_package else None


def _elsewhere(target: Target, own: OwnApp) -> str:
    sources = Path(own.folder) / "src"
    if Target(sources, target.module, target.path).file is not None:
        return f"src holds it: write src/{target.module.replace('.', '/')}:{target.path}"
    return "name the folder that holds it by --app-dir"


def _is_another(target: Target) -> bool:
    """Whether a module or package of that name, not the person's, is there already, as `site`
    and what is built in always are."""
    top = _top(target)
    file, taken = top.file, sys.modules.get(top.module)
    if file is None or taken is None:
        return file is not None and top.module in sys.builtin_module_names  # found before any file
    return getattr(taken, "__file__", None) != str(file)


def _top(target: Target) -> Target:
    """Its outermost package, or the module itself where that is in none."""
    return replace(target, module=target.module.partition(".")[0])


def _import_file(target: Target) -> ModuleType:
    """By a name that nobody else has. What a package imports of itself by `from . import` is its
    own; its own name stands for the other one, as it does wherever the person starts it."""
    top = _top(target)
    spec, module = _new_module(top, f"own_{top.module}")
    assert spec.loader is not None
    spec.loader.exec_module(module)
    return importlib.import_module(f"own_{target.module}")


def _import_until(target: Target, line: int) -> ModuleType:
    """The module as it is before the statement with that line, which starts a server of its own."""
    parent, _, _ = target.module.rpartition(".")
    if parent:
        importlib.import_module(parent)
    _, module = _new_module(target, target.module)
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_bytes(), module.__file__)
    tree.body = [
        statement for statement in tree.body if (statement.end_lineno or statement.lineno) < line
    ]
    exec(compile(tree, module.__file__, "exec", dont_inherit=True), vars(module))
    return module


def _new_module(target: Target, name: str) -> tuple[ModuleSpec, ModuleType]:
    spec = importlib.util.spec_from_file_location(name, target.file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    return spec, module


def needs_loop(error: BaseException | None) -> bool:
    """Whether something failed because no loop ran."""
    while error is not None:
        if isinstance(error, RuntimeError) and "no running event loop" in str(error):
            return True
        error = error.__cause__
    return False


def _raised(what: str, error: BaseException) -> StartupFailed:
    where = place(error, os.getcwd())
    failed = StartupFailed(
        f"{what} raised {named(error)}{where}; {remedy(error) or 'correct that first'}"
    )
    failed.__cause__ = error
    return failed
