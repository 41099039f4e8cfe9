"""datapackage.json: a results folder as a Frictionless Data Package.

It tells other programs what the columns are: types, units, constraints, and
that a blank cell is a missing value. Source: the Data Package and Table Schema
specifications, https://specs.frictionlessdata.io (version 1).
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from loopbench.results import schema
from loopbench.results.schema import Column, Kind, Table
from loopbench.results.schema.files import open_text, write_whole

FILE = "datapackage.json"

_TYPES: dict[Kind, dict[str, object]] = {
    Kind.TEXT: {"type": "string"},
    Kind.INTEGER: {"type": "integer"},
    Kind.NUMBER: {"type": "number"},
    Kind.BOOLEAN: {"type": "boolean", "trueValues": ["true"], "falseValues": ["false"]},
}


def describe(folder: Path) -> dict[str, Any]:
    """The descriptor, as JSON types: one resource for each table whose file is there."""
    tables = (*schema.TABLES, *schema.DERIVED, *schema.EXTRA)
    files = {table: table.file_in(folder) for table in tables}
    return {
        "profile": "tabular-data-package",
        "name": "loopbench-results",
        "title": "Measurements of Python's asynchronous web servers",
        "description": f"A results folder of schema version {schema.SCHEMA_VERSION}.",
        "resources": [_resource(table, file) for table, file in files.items() if file.is_file()],
    }


def write(folder: Path) -> Path:
    """Write datapackage.json whole or not at all; returns its path. Raises OSError."""
    path = folder / FILE
    write_whole(path, json.dumps(describe(folder), indent=2, ensure_ascii=False) + "\n")
    return path


def _resource(table: Table, file: Path) -> dict[str, object]:
    compressed = {"compression": "gz"} if file.suffix == ".gz" else {}
    return {
        "profile": "tabular-data-resource",
        "name": table.name,
        "description": table.meaning,
        "path": file.name,
        "format": "csv",
        **compressed,
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": {
            "fields": [_field(column) for column in _columns(table, file)],
            "missingValues": [""],
        },
    }


def _columns(table: Table, file: Path) -> tuple[Column, ...]:
    """Those that the file has, in its order: an older one lacks some, a newer one has more."""
    with open_text(file, "replace") as handle:
        names = next(csv.reader(handle), [])
    known = {column.name: column for column in table.columns}
    return tuple(
        known.get(name) or Column(name, Kind.TEXT, "", "of another version of the suite", False)
        for name in names
    )


def _field(column: Column) -> dict[str, object]:
    constraints: dict[str, object] = {}
    if column.required:
        constraints["required"] = True
    if column.minimum is not None:
        constraints["minimum"] = column.minimum
    field = {"name": column.name, "description": column.meaning, **_TYPES[column.kind]}
    if column.unit:
        field["unit"] = column.unit
    return {**field, "constraints": constraints} if constraints else field
