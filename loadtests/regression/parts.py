"""Parts of a layer: what is measured of a side in one go, and kept once all sides have it.

A layer that is interrupted, or breaks, keeps the parts that were whole. The others are named, so
that what was never asked is not taken for what is gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.folder import Folder
from loopbench.loadtests.regression.sides.sides import Role, Side
from loopbench.results.schema import Row
from loopbench.results.schema.regression import NOT_REACHED, Layer
from loopbench.servers.supervision.messages import Json

Name = tuple[str, str]
"""Stack, and what of it."""


@dataclass(frozen=True, slots=True)
class Part:
    """What was measured of one side's stack. what: as a person is told of it."""

    stack: str
    what: str
    rows: Sequence[Row]

    @property
    def name(self) -> Name:
        """The same on each side."""
        return self.stack, self.what


@dataclass(slots=True)
class Parts:
    """What the sides have measured so far. Each side is added to by one thread.

    planned: what is to be named where it is not reached.
    """

    sides: Sequence[Side]
    planned: Sequence[Name]
    _measured: dict[Role, dict[Name, list[Row]]] = field(
        default_factory=lambda: {role: defaultdict(list) for role in Role}
    )

    def add(self, side: Side, part: Part) -> None:
        """A part of this side is there."""
        self._measured[side.role][part.name].extend(part.rows)

    def names(self, side: Side) -> list[Name]:
        """What there is of this side."""
        return list(self._measured[side.role])

    def rows(self) -> list[list[Row]]:
        """All of each side, in their order."""
        return [_joined(self._measured[side.role]) for side in self.sides]

    def whole(self) -> list[list[Row]]:
        """Of each side what all of them have."""
        known = self._known()
        return [
            _joined(
                {name: rows for name, rows in self._measured[side.role].items() if name in known}
            )
            for side in self.sides
        ]

    def lacking(self) -> list[Name]:
        """What was planned, and not all of the sides have."""
        known = self._known()
        return [name for name in self.planned if name not in known]

    def _known(self) -> Collection[Name]:
        return set.intersection(*(set(self._measured[side.role]) for side in self.sides))


def _joined(rows_by_name: dict[Name, list[Row]]) -> list[Row]:
    return [row for rows in rows_by_name.values() for row in rows]


@contextmanager
def keeping(layer: Layer, folder: Folder, planned: Sequence[Name], bound: Json) -> Iterator[Parts]:
    """Parts that are written at the end, however it comes: all of them, or those that all sides
    have, with the names of the others.

    bound: the layer's settings. Raises HarnessError where the folder does not take them.
    """
    parts = Parts(folder.sides, planned)
    try:
        yield parts
    except BaseException:
        with suppress(HarnessError):  # what broke the layer off is told, and not this
            _write(layer, folder, parts.whole(), bound | not_reached(parts.lacking()))
        raise
    _write(layer, folder, parts.rows(), bound)


def _write(layer: Layer, folder: Folder, rows: Sequence[Sequence[Row]], bound: Json) -> None:
    if not any(rows):
        return
    for of_part in rows:
        folder.append(layer, of_part)
    folder.kept(layer, bound)


def not_reached(names: Sequence[Name]) -> Json:
    """As sides.json has it; nothing where nothing is lacking."""
    return {NOT_REACHED: [list(name) for name in names]} if names else {}
