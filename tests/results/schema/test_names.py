"""The names of the schema: each is imported with its own module alone."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys

from loopbench.results import schema
from tests.conftest import ROOT

_ROOT = schema.__name__


def _declared() -> dict[str, str]:
    """Name to module, as type checkers see them."""
    tree = ast.parse((ROOT / "results/schema/__init__.py").read_text())
    return {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(_ROOT)
        for alias in node.names
    }


def _loaded(statement: str) -> set[str]:
    """The modules of the schema that a process has after it."""
    script = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    return {name for name in json.loads(done.stdout) if name.startswith(f"{_ROOT}.")}


def test_what_type_checkers_see_is_what_there_is() -> None:
    """Name by name, the same object as in the module that holds it; and no other name is there."""
    declared = _declared()
    assert len(declared) > 40
    for name, module in declared.items():
        assert getattr(schema, name) is getattr(importlib.import_module(module), name)
    held = {
        name: f"{_ROOT}.{module}"
        for module, names in schema._MODULES.items()
        for name in names.split()
    }
    assert held == declared
    assert not hasattr(schema, "COLUMNS")


def test_a_name_comes_with_its_own_module_alone() -> None:
    """The package alone loads none of its modules, and a name no more than the module needs."""
    assert _loaded(f"import {_ROOT}") == set()
    assert _loaded(f"from {_ROOT} import Value") == {f"{_ROOT}.value"}
    assert _loaded(f"from {_ROOT} import Dispatch, ROOT") == {
        f"{_ROOT}.dispatch",
        f"{_ROOT}.paths",
    }
