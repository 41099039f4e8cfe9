"""Layers of a baseline that stay as they are while others are measured anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.sides.sides import Role
from loopbench.results.schema.regression import SIDES_FILE, TABLE_OF, Layer, unlike


def keep(kept: Path, folder: Path, anew: Collection[Layer]) -> None:
    """Put the layers of `kept` into `folder`, where `anew` were measured. Their settings say of
    which commit they are, and when they were measured.

    Raises HarnessError where there are none, or where they are of another interpreter or of other
    packages, and OSError.
    """
    try:
        old, new = (json.loads((path / SIDES_FILE).read_text()) for path in (kept, folder))
        before, now = (document["sides"][str(Role.BASE)] for document in (old, new))
        layers = {Layer(name): state for name, state in old["layers"].items()}
    except (OSError, ValueError, KeyError) as error:
        raise HarnessError(
            f"the layers that are to stay cannot be read: {error}; renew all of them"
        ) from error
    _check(before, now, anew)
    for layer, state in layers.items():
        if layer in anew or not state["run"]:
            continue
        measured = {name: before[name] for name in ("commit", "measured_at")}
        state["bound"].setdefault("measured", measured)
        new["layers"][str(layer)] = state
        table = TABLE_OF[layer].filename
        shutil.copy(kept / table, folder / table)
    (folder / SIDES_FILE).write_text(json.dumps(new, indent=2) + "\n", encoding="utf-8")


def _check(before: Any, now: Any, anew: Collection[Layer]) -> None:
    differ = unlike(before["fingerprint"], now["fingerprint"], before["packages"], now["packages"])
    # Only instructions depend on how they are counted.
    parts = set(differ.parts) - ({"method"} if Layer.INSTRUCTIONS in anew else set())
    if parts or differ.versions:
        raise HarnessError(f"what is to stay {differ.why}; renew all layers")
