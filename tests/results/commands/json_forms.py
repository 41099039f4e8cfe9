"""Whether a document is of its form: every member there, of its type, and none besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from loopbench.results.schema.columns import Column, Kind
from loopbench.results.schema.json_forms import FORMS, Nested

_TYPES: Mapping[Kind, tuple[type, ...]] = {
    Kind.TEXT: (str,),
    Kind.INTEGER: (int,),
    Kind.NUMBER: (int, float),
    Kind.BOOLEAN: (bool,),
}


def faults(document: dict[str, object]) -> list[str]:
    """Where a document is not as its form has it; none where all is well."""
    form = {form.name: form for form in FORMS}[str(document["schema"])]
    rest = {name: value for name, value in document.items() if name != "schema"}
    return list(_of_object(rest, {one.name: one for one in form.members}, ""))


def _members(nested: Nested) -> dict[str, Column | Nested]:
    """Of each object, by name: the columns of its table, and what the form adds or has in place."""
    columns = () if nested.table is None else nested.table.columns
    return {one.name: one for one in (*columns, *nested.members)}


def _of_object(value: object, members: Mapping[str, Column | Nested], where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} is no object"
        return
    for name in members.keys() ^ value.keys():
        yield f"{where}{name} is {'missing' if name in members else 'not described'}"
    for name in members.keys() & value.keys():
        yield from _of_member(value[name], members[name], f"{where}{name}")


def _of_member(value: object, member: Column | Nested, where: str) -> Iterator[str]:
    if isinstance(member, Column):
        yield from _of_value(value, member, where)
    elif not member.listed:
        yield from _of_object(value, _members(member), f"{where}.")
    elif not isinstance(value, list):
        yield f"{where} is no list"
    elif not _members(member):
        yield from (f"{where} holds {one!r}" for one in value if not isinstance(one, str))
    else:
        for one in value:
            yield from _of_object(one, _members(member), f"{where}[].")


def _of_value(value: object, column: Column, where: str) -> Iterator[str]:
    if value is None:
        if column.required:
            yield f"{where} is null"
        return
    wrong = isinstance(value, bool) and column.kind is not Kind.BOOLEAN
    if wrong or not isinstance(value, _TYPES[column.kind]):
        yield f"{where} is {value!r}, and no {column.kind.value}"
    elif column.minimum is not None and isinstance(value, int | float) and value < column.minimum:
        yield f"{where} is {value!r}, below {column.minimum:g}"
