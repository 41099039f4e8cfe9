"""Loads as JSON types, for the control pipe."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from loopbench.loadtests.scenarios.models import MODELS, Load
from loopbench.results.schema import Role, Work
from loopbench.servers.contract.cases import Case, Expected, Request


def load_to_json(load: Load) -> dict[str, Any]:
    """A Load as JSON types, for the control pipe. Bytes travel as latin-1 text."""
    request, expected = load.case.request, load.case.expected
    pattern = isinstance(expected.body, re.Pattern)
    body = expected.body.pattern if isinstance(expected.body, re.Pattern) else expected.body
    return {
        "name": load.name,
        "case": load.case.name,
        "method": request.method,
        "target": request.target,
        "headers": [list(pair) for pair in request.headers],
        "body": request.body.decode("latin-1"),
        "filling_bytes": request.filling_bytes,
        "tail": request.tail.decode("latin-1"),
        "status": expected.status,
        "content_type": expected.content_type,
        "answer": body.decode("latin-1"),
        "answer_is_pattern": pattern,
        "allow": expected.allow,
        "chunked": expected.chunked,
        "role": load.role,
        "work": load.work,
        "work_ms": load.work_ms,
        "model": {"kind": load.model.kind, **asdict(load.model)},
    }


def load_from_json(values: dict[str, Any]) -> Load:
    """The inverse of `load_to_json`."""
    answer = values["answer"].encode("latin-1")
    request = Request(
        values["method"],
        values["target"],
        tuple((name, value) for name, value in values["headers"]),
        values["body"].encode("latin-1"),
        values["filling_bytes"],
        values["tail"].encode("latin-1"),
    )
    expected = Expected(
        values["status"],
        values["content_type"],
        re.compile(answer) if values["answer_is_pattern"] else answer,
        values["allow"],
        values["chunked"],
    )
    model = dict(values["model"])
    kind = MODELS[model.pop("kind")]
    return Load(
        values["name"],
        Case(values["case"], request, expected),
        kind(**model),
        role=Role(values["role"]),
        work=None if values["work"] is None else Work(values["work"]),
        work_ms=values["work_ms"],
    )
