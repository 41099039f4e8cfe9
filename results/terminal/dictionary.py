"""The data dictionary of results/README.md, from the schema's tables and forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loopbench.results import schema
from loopbench.results.errors import ResultsError
from loopbench.results.schema import ROOT, Column, Table
from loopbench.results.schema.json_forms import FORMS, Form, Nested
from loopbench.results.schema.warnings import WORDING

README = ROOT / "results" / "README.md"
BEGIN = "<!-- dictionary: begin; `python -m results dictionary --write` makes what follows -->"
END = "<!-- dictionary: end -->"


def dictionary() -> str:
    """Every table with every column, every Warning, and every form of JSON, as Markdown."""
    tables = (*schema.TABLES, *schema.DERIVED, *schema.EXTRA)
    lines = [line for table in tables for line in _table(table)]
    return "\n".join([*lines, *_warnings(), *(line for form in FORMS for line in _form(form))])


def _table(table: Table) -> Iterator[str]:
    yield from (f"### {table.filename}", "", table.meaning, "")
    yield "| column | type | unit | blank | meaning |"
    yield "| --- | --- | --- | --- | --- |"
    yield from (_column(column) for column in table.columns)
    yield ""


def _column(column: Column) -> str:
    blank = "never" if column.required else "not measured"
    unit = column.unit or "–"
    return f"| `{column.name}` | {column.kind.value} | {unit} | {blank} | {_cell(column.meaning)} |"


def _warnings() -> Iterator[str]:
    yield from ("### Codes of the column `warnings`", "")
    yield "| code | what happened | what it means | what to do |"
    yield "| --- | --- | --- | --- |"
    for code, words in WORDING.items():
        cells = (words.happened, words.means, words.do)
        yield f"| `{code}` | {' | '.join(_cell(cell) for cell in cells)} |"


def _form(form: Form) -> Iterator[str]:
    yield from ("", f"### {form.name}", "", f"`{form.command} --json`. {form.meaning}", "")
    yield "| member | type | unit | null | meaning |"
    yield "| --- | --- | --- | --- | --- |"
    yield f"| `schema` | text | – | never | `{form.name}` |"
    yield from _members(form.members, "")


def _members(members: tuple[Column | Nested, ...], outer: str) -> Iterator[str]:
    for member in members:
        name = f"{outer}{member.name}"
        if isinstance(member, Column):
            yield _column(replace(member, name=name))
            continue
        of = "object" if member.members or member.table else "text"
        kind = f"list of {of}s" if member.listed else of
        yield f"| `{name}` | {kind} | – | never | {_cell(member.meaning)} |"
        yield from _members(member.members, f"{name}[]." if member.listed else f"{name}.")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def renewed(text: str) -> str:
    """A README's text with the dictionary as it is now. Raises ResultsError without the two
    marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ResultsError(f"{README.name} lacks the marks of the dictionary: {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{dictionary()}\n\n{END}{after}"
