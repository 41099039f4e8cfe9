"""sides.json: which two sides were measured, and which layers ran."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from loopbench.results import schema
from loopbench.results.errors import ResultsError
from loopbench.results.grouping import grouped
from loopbench.results.schema.regression import NOT_REACHED, SIDES_FILE, Layer

BASE, CANDIDATE, YARDSTICK = "base", "candidate", "yardstick"
BASELINE = "baseline"
"""The name of a side that was measured on another occasion, and committed."""

_NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Side:
    """One side. commit: None where it is not known; changed: whether its tree had changes that
    are not in the commit. fingerprint: of the environment it ran in, blank where not known."""

    name: str
    commit: str | None = None
    changed: bool | None = None
    measured_at: str = ""
    fingerprint: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    packages: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def python(self) -> str:
        """Version of the interpreter; blank where it is not known."""
        return (self.fingerprint.get("python") or "").partition(" ")[0]

    @property
    def title(self) -> str:
        """The name, the commit, and whether there were changes beside it."""
        facts = [self.commit[:10]] if self.commit else []
        facts += ["with uncommitted changes"] if self.changed else []
        return f"{self.name} ({', '.join(facts)})" if facts else self.name


@dataclass(frozen=True, slots=True)
class LayerState:
    """run: whether there is something to judge. why_not: why there is nothing, or, of a layer that
    ran, why there is no more. bound: the settings it ran with. known: whether the check that wrote
    the folder had this layer at all."""

    run: bool
    why_not: str | None = None
    bound: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    known: bool = True

    @property
    def asked(self) -> bool:
        """Whether the layer was to run."""
        return self.run or not (self.why_not is None or self.why_not.startswith(_NOT_ASKED))

    @property
    def whole(self) -> bool:
        """Whether all of it was measured."""
        return self.run and self.why_not is None

    @property
    def not_reached(self) -> Mapping[str, Sequence[str]]:
        """By stack: what was to be measured of a layer that was broken off, and was not."""
        value = self.bound.get(NOT_REACHED)
        return grouped(
            (str(pair[0]), str(pair[1]))
            for pair in (value if isinstance(value, list) else ())
            if isinstance(pair, list) and len(pair) == 2
        )

    @property
    def rounds(self) -> int | None:
        """Rounds that were planned."""
        value = self.bound.get("rounds")
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def stacks(self) -> frozenset[str] | None:
        """Stacks that were asked for; None where that is not known."""
        value = self.bound.get("stacks")
        return frozenset(map(str, value)) if isinstance(value, list) else None

    @property
    def questions(self) -> tuple[str, ...]:
        """Names and patterns of the questions about behaviour that were asked; blank: all."""
        value = self.bound.get("questions")
        return tuple(map(str, value)) if isinstance(value, list) else ()

    @property
    def lacking(self) -> Mapping[tuple[str, str], str]:
        """By stack and subject of facts: the package that one of the sides lacks for it, so that
        neither was asked."""
        value = self.bound.get("lacking")
        if not isinstance(value, list):
            return MappingProxyType({})
        return MappingProxyType(
            {
                (str(entry[0]), str(entry[1])): str(entry[2])
                for entry in value
                if isinstance(entry, list) and len(entry) == 3
            }
        )

    @property
    def other_requests(self) -> tuple[str, ...]:
        """Names of cases for which the sides' contracts have different requests, so that their
        answers and costs say nothing of each other."""
        value = self.bound.get("other_requests")
        return tuple(map(str, value)) if isinstance(value, list) else ()

    @property
    def cells(self) -> frozenset[tuple[str, str]]:
        """Stack and case of what was planned; empty where that is not known."""
        value = self.bound.get("cells")
        if not isinstance(value, list):
            return frozenset()
        return frozenset(
            (str(cell[0]), str(cell[1]))
            for cell in value
            if isinstance(cell, list) and len(cell) >= 2
        )


@dataclass(frozen=True, slots=True)
class Sides:
    """The whole file."""

    sides: Mapping[str, Side]
    layers: Mapping[Layer, LayerState]


def read(folder: Path) -> Sides:
    """Raises ResultsError, one line, for a file that is missing, foreign or edited."""
    path = folder / SIDES_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ResultsError(
            f"{folder} is no folder of the regression check: it has no {SIDES_FILE}"
        ) from None
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path} is not JSON: {error}") from error
    whole = _object(document, path, "the file")
    version = whole.get("schema_version")
    if version != schema.SCHEMA_VERSION:
        raise ResultsError(
            f"{path} was written with schema version {version}, and this program reads "
            f"{schema.SCHEMA_VERSION}; measure that folder again (a baseline: `make baseline`)"
        )
    sides = {
        name: _side(_object(value, path, f"side {name!r}"), path)
        for name, value in _object(whole.get("sides"), path, "`sides`").items()
    }
    if not sides or not sides.keys() <= {BASE, CANDIDATE}:
        named = ", ".join(sides) or "none"
        raise ResultsError(f"{path}: sides are {BASE} and {CANDIDATE}; it has {named}")
    given = _object(whole.get("layers"), path, "`layers`")
    unknown = given.keys() - set(Layer)
    if unknown:
        raise ResultsError(f"{path}: unknown layer {', '.join(sorted(unknown))}")
    layers = {
        layer: _layer(_object(given[layer], path, f"layer {layer}"), path)
        if layer in given
        else LayerState(False, known=False)
        for layer in Layer
    }
    return Sides(MappingProxyType(sides), MappingProxyType(layers))


def _object(value: object, path: Path, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ResultsError(f"{path}: {what} is no JSON object")
    return value


def _side(raw: Mapping[str, object], path: Path) -> Side:
    name, commit, changed = raw.get("name"), raw.get("commit"), raw.get("changed")
    if not isinstance(name, str):
        raise ResultsError(f"{path}: a side has no name")
    fingerprint = _object(raw.get("fingerprint") or {}, path, "a fingerprint")
    packages = _object(raw.get("packages") or {}, path, "a list of packages")
    return Side(
        name,
        commit if isinstance(commit, str) else None,
        changed if isinstance(changed, bool) else None,
        str(raw.get("measured_at") or ""),
        {key: None if value is None else str(value) for key, value in fingerprint.items()},
        {key: str(value) for key, value in packages.items()},
    )


def _layer(raw: Mapping[str, object], path: Path) -> LayerState:
    run, why_not = raw.get("run"), raw.get("why_not")
    if not isinstance(run, bool) or not (why_not is None or isinstance(why_not, str)):
        raise ResultsError(f"{path}: a layer needs `run`, true or false, and `why_not`, a text")
    return LayerState(run, why_not, _object(raw.get("bound") or {}, path, "a layer's `bound`"))
