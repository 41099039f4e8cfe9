"""The folder of a check as it is written: sides.json, and a table a layer."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.loadtests.rows.results_folder import cannot_begin, cannot_write
from loopbench.results.schema import (
    REGRESSIONS_FOLDER,
    SCHEMA_VERSION,
    Row,
    Table,
    TableWriter,
)
from loopbench.results.schema.regression import BROKEN_OFF, SIDES_FILE, TABLE_OF, Layer
from loopbench.servers.supervision.messages import Json, to_json

LOG_FILE = "log.txt"


def new_folder() -> Path:
    """A name for a new folder: the time, UTC, and four digits against collisions."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return REGRESSIONS_FOLDER / f"{stamp}-{secrets.token_hex(2)}"


def expect_new(path: Path) -> None:
    """Raises HarnessError where a check was written there: it stays as it is."""
    if (path / SIDES_FILE).exists():
        raise HarnessError(f"{path} holds a check already; name another place with --out")


@dataclass(frozen=True, slots=True)
class LayerState:
    """run: whether there is something to judge. why_not: of a layer that ran, why there is no more
    of it. bound: the settings it ran with."""

    run: bool
    why_not: str | None
    bound: Mapping[str, Any]

    @property
    def whole(self) -> bool:
        """Whether all of it was measured."""
        return self.run and self.why_not is None


@dataclass(slots=True)
class Folder:
    """An open folder. A layer counts as run once as much of it was written as can be judged;
    sides.json says what is lacking, and why. Layers may end in several threads."""

    path: Path
    command: Sequence[str]
    sides: Sequence[Side]
    layers: dict[Layer, LayerState] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @property
    def log(self) -> Path:
        """Where servers and the generator write their standard error."""
        return self.path / LOG_FILE

    def begin(self, asked: Iterable[Layer]) -> None:
        """Create it. Raises HarnessError where it cannot be written or holds a check already."""
        wanted = set(asked)
        for layer in Layer:
            why_not = BROKEN_OFF if layer in wanted else "not asked"
            self.layers[layer] = LayerState(False, why_not, {})
        expect_new(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.log.touch()
        except OSError as error:
            raise cannot_begin(self.path, error) from error
        self._write_sides()

    def append(self, layer: Layer, rows: Iterable[Row]) -> None:
        """Add rows to the layer's table. Raises HarnessError when the disk does not take them."""
        self.append_to(TABLE_OF[layer], rows)

    def append_to(self, table: Table, rows: Iterable[Row]) -> None:
        """Add rows to any table of the check. Raises HarnessError as `append` does."""
        try:
            with TableWriter(self.path, table) as writer:
                writer.append(rows)
        except OSError as error:
            raise cannot_write(self.path, table.filename, error) from error

    def kept(self, layer: Layer, bound: Json) -> None:
        """What has been written of the layer can be judged, should nothing more come."""
        self._change(layer, LayerState(True, BROKEN_OFF, bound))

    def done(self, layer: Layer, bound: Json) -> None:
        """The layer has been measured with these settings."""
        self._change(layer, LayerState(True, None, bound))

    def failed(self, layer: Layer, why_not: str, bound: Json) -> None:
        """The layer could not be measured, or not to its end; what was kept of it stays."""
        before = self.layers[layer]
        bound = dict(before.bound) if before.run else bound
        self._change(layer, LayerState(before.run, why_not, bound))

    def _change(self, layer: Layer, state: LayerState) -> None:
        with self._lock:
            self.layers[layer] = state
            self._write_sides()

    def _write_sides(self) -> None:
        document = {
            "schema_version": SCHEMA_VERSION,
            "command": list(self.command),
            "sides": {str(side.role): side.to_json() for side in self.sides},
            "layers": {str(layer): to_json(state) for layer, state in self.layers.items()},
        }
        path = self.path / SIDES_FILE
        draft = path.with_suffix(".part")
        try:
            draft.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            draft.replace(path)
        except OSError as error:
            raise cannot_write(self.path, SIDES_FILE, error) from error
