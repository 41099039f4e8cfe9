"""The rows of the table of stacks, as they come out of its columns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from loopbench.servers.custom.look import Looks
from loopbench.servers.custom.stacks import HOSTS, rows
from loopbench.servers.managers.table import MANAGERS, WITHOUT
from loopbench.servers.parts import AIOHTTP, ASGI, OwnApp
from loopbench.servers.promises import holes
from loopbench.servers.stacks import (
    ASYNCIO,
    CORE,
    DEFAULT,
    FLASK_APP,
    HYPERCORN,
    STACKS,
    YARDSTICKS,
    Stack,
    combine,
)
from tests.servers.processes import ROOT

GOLDEN = Path(__file__).with_name("stacks.golden.json")


def _described(stack: Stack) -> dict[str, Any]:
    return {
        "framework": stack.framework,
        "server": stack.server,
        "loop": stack.loop,
        "summary": stack.summary,
        "packages": stack.packages,
        "yardstick": stack.yardstick,
        "optional": stack.optional,
        "holes": _by_reason(holes(stack)),
        "differs": dict(sorted(stack.differs.items())),
    }


def _by_reason(lacks: Mapping[str, str]) -> dict[str, list[str]]:
    """The names that share a reason, as one entry."""
    return {
        reason: sorted(name for name in lacks if lacks[name] == reason)
        for reason in sorted(set(lacks.values()))
    }


def _own() -> dict[str, Stack]:
    """A row of a person's own application on every server that can run it."""
    found: dict[str, Stack] = {}
    for kind in (AIOHTTP, ASGI):
        looks = Looks(kind, "shop", ("shop",))
        names = tuple(name for name, host in HOSTS.items() if host[0].interface == kind)
        found |= rows(OwnApp("shop:app", ".", "/"), looks, names)
    return found


def test_every_row_comes_out_of_the_columns_as_it_is_published(
    generated: Callable[[Path, str], None],
) -> None:
    """Names, order, packages, holes and differences are those of the golden file."""
    found = {
        "stacks": {name: _described(stack) for name, stack in STACKS.items()},
        "own": dict(sorted((name, _described(stack)) for name, stack in _own().items())),
        "managers": {
            server: {
                "name": manager.name,
                "packages": manager.packages,
                "differs": dict(manager.differs),
            }
            for server, manager in sorted(MANAGERS.items())
        },
        "without": dict(sorted(WITHOUT.items())),
    }
    generated(GOLDEN, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def test_the_sets_of_stacks_are_those_of_the_documents() -> None:
    """Two are compared, one is the yardstick, and a bench takes all three."""
    assert CORE == ("aiohttp", "quart-hypercorn")
    assert YARDSTICKS == ("asyncio",)
    assert (*CORE, *YARDSTICKS) == DEFAULT


def test_make_knows_the_stacks_of_the_smallest_set_up() -> None:
    """The Makefile's own list, which decides what is installed, is the default set; each of them
    runs with what `make setup` alone brings."""
    (line,) = re.findall(r"^CORE := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert tuple(line.split()) == DEFAULT
    assert [name for name in DEFAULT if STACKS[name].optional is not None] == []


def test_a_server_is_given_only_what_it_runs() -> None:
    """A row of an application on a server of another kind is refused when the table is made."""
    with pytest.raises(ValueError, match="odd: Hypercorn does not run WSGI"):
        combine("odd", FLASK_APP, HYPERCORN, ASYNCIO, "cannot be")
