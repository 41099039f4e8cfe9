"""`python -m servers list`: the stacks, and whether they can run here."""

from __future__ import annotations

import click

from loopbench.results.schema.json_forms import AS_JSON, json_text
from loopbench.results.schema.json_forms import STACKS as FORM
from loopbench.servers import installed
from loopbench.servers.promises import holes
from loopbench.servers.stacks import STACKS, Stack


@click.command("list")
@click.option("--wide", is_flag=True, help="Say what each is, and name the cases that it lacks.")
@AS_JSON
def list_command(wide: bool, as_json: bool) -> None:
    """Print every stack: what it is made of, and whether it can run here."""
    if as_json:
        rows = [_as_json(stack) for stack in STACKS.values()]
        click.echo(json_text({"schema": FORM.name, "stacks": rows}))
        return
    header = [
        "STACK",
        "FRAMEWORK",
        "SERVER",
        "LOOP",
        *(["WHAT IT IS"] if wide else []),
        "RUNS HERE",
    ]
    lines = [header]
    for s in STACKS.values():
        what = [s.summary] if wide else []
        lines.append([s.name, s.framework, s.server, s.loop, *what, _runs_here(s, wide=wide)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for row in lines:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _as_json(stack: Stack) -> dict[str, object]:
    obstacle = installed.available(stack)
    return {
        "name": stack.name,
        "framework": stack.framework,
        "server": stack.server,
        "loop": stack.loop,
        "summary": stack.summary,
        "core": stack.core,
        "runs_here": obstacle is None,
        "obstacle": obstacle,
        "lacks": list(holes(stack)),
    }


def _runs_here(stack: Stack, *, wide: bool) -> str:
    obstacle = installed.available(stack)
    if obstacle is not None:
        return f"no: {obstacle}"
    lacks = holes(stack)
    if wide and lacks:
        return f"yes, but for {', '.join(lacks)}"
    count = len(lacks)
    return f"yes, but for {count} case{'s' if count != 1 else ''}" if count else "yes"
