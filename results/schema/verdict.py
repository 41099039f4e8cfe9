"""Exit statuses of the regression check, which its measuring half hands on from its judging half.

Not among the names of `results.schema`, which servers import too: they need no command line.
"""

from __future__ import annotations

import sys
import traceback
from typing import Any, NoReturn

import click

BROKEN = 3
"""Exit status where nothing could be judged. 0, 1 and 2 are verdicts."""

INTERRUPTED = 130
"""Exit status of every command that was ended by Ctrl-C: 128 and the number of SIGINT."""


def judging(*expected: type[Exception]) -> type[click.Command]:
    """The class of a command whose exit status is a verdict: nothing else may look like one.

    expected: errors whose message is one line with cause and remedy.
    """

    class Judging(click.Command):
        def make_context(self, *arguments: Any, **options: Any) -> click.Context:
            """Wrong usage is exit status 3, since 2 says that the check cannot tell."""
            try:
                return super().make_context(*arguments, **options)
            except click.UsageError as error:
                _end(error.format_message())

        def invoke(self, ctx: click.Context) -> Any:
            """Whatever goes wrong is exit status 3; a traceback's would be 1, a regression."""
            try:
                return super().invoke(ctx)
            except expected as error:
                _end(str(error))
            except click.UsageError as error:  # of options that only make sense together
                _end(error.format_message())
            except (KeyboardInterrupt, click.Abort):
                click.echo("interrupted", err=True)
                sys.exit(INTERRUPTED)
            except Exception:
                traceback.print_exc()
                _end("this is an error of the check itself")

    return Judging


def _end(line: str) -> NoReturn:
    click.echo(f"error: {' '.join(line.split())}", err=True)
    sys.exit(BROKEN)
