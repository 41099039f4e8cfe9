"""Where a person says that their application is: `shop:app`, `src/shop.py:create_app("dev")`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopbench.servers.errors import StartupFailed

PACKAGE = "__init__.py"
"""The file that a package is found by."""


@dataclass(frozen=True, slots=True)
class Target:
    """A target taken apart.

    folder: where the module's import begins. module: its dotted name. path: the attribute in it,
    dotted. called: whether parentheses follow, with `positional` and `named` inside them.
    """

    folder: Path
    module: str
    path: str
    called: bool = False
    positional: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def file(self) -> Path | None:
        """The file that `folder` holds for the module; None where the module is installed."""
        base = self.folder.joinpath(*self.module.split("."))
        candidates = (base.with_name(f"{base.name}.py"), base / PACKAGE)
        return next((path for path in candidates if path.is_file()), None)


def parse(text: str, folder: Path) -> Target:
    """Take a target apart; `folder` is where a relative path in it begins.

    Raises StartupFailed for what names no attribute of a module.
    """
    place, colon, attribute = text.partition(":")
    if not (place and colon and attribute):
        raise StartupFailed(
            f"{text!r} does not name an application; write module:attribute, "
            "as in shop.web:make_app"
        )
    start, module = _module(place, folder)
    try:
        tree = ast.parse(attribute, mode="eval").body
    except SyntaxError:
        raise _not_an_attribute(text, attribute) from None
    if not isinstance(tree, ast.Call):
        return Target(start, module, _dotted(tree, text, attribute))
    try:
        positional = tuple(ast.literal_eval(value) for value in tree.args)
        named = {word.arg: ast.literal_eval(word.value) for word in tree.keywords if word.arg}
    except ValueError:
        raise StartupFailed(
            f"{text!r}: only numbers, texts, True, False, None and lists of them can stand in "
            "the parentheses; write a function without arguments beside the application"
        ) from None
    return Target(start, module, _dotted(tree.func, text, attribute), True, positional, named)


def _module(place: str, folder: Path) -> tuple[Path, str]:
    """Where the import begins, and the module's dotted name: a path counts up through packages."""
    path = folder / place
    if not ("/" in place or (place.endswith(".py") and path.is_file())):
        return folder, place
    if path.suffix == ".py":
        path = path.with_suffix("")
    names, start = [path.name], path.parent
    while (start / PACKAGE).is_file() and start != start.parent:
        names.insert(0, start.name)
        start = start.parent
    return start, ".".join(names)


def _dotted(tree: ast.expr, text: str, attribute: str) -> str:
    names: list[str] = []
    while isinstance(tree, ast.Attribute):
        names.insert(0, tree.attr)
        tree = tree.value
    if not isinstance(tree, ast.Name):
        raise _not_an_attribute(text, attribute)
    return ".".join([tree.id, *names])


def _not_an_attribute(text: str, attribute: str) -> StartupFailed:
    return StartupFailed(
        f"{text!r}: {attribute!r} is no name of an application; write module:attribute or "
        "module:make_app()"
    )
