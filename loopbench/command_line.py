"""What every command line shares: its standard streams, and its end at Ctrl-C."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import click

READER_LEFT = 0
"""Exit status where the reader of the output, such as `head`, has seen enough."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 128 and the number of SIGINT."""

ADDRESS_SPACE_MIB = 512
"""With half of it, NumPy and SciPy fail in ways of their own, or never end."""

_NO_THREAD = "can't start new thread"
"""How Python says it; there is no exception of its own for it."""

NO_THREAD_REMEDY = (
    "the system starts no more threads: raise the limit of processes (ulimit -u, or pids.max of "
    "the control group) or that of memory"
)

_CANNOT_WRITE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF})


@contextmanager
def imports() -> Iterator[None]:
    """Import in it what a program consists of: nothing of that is ever garbage.

    The collector looks for none meanwhile, nor later among what was imported, which it would go
    through at the program's end, too: of the CPU time of a start and an end that is a fifth.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def standard_streams() -> Iterator[None]:
    """Carry out a command in it. What it prints is written by its end.

    A stream that was closed (`>&-`) takes nothing and gives nothing; without that its number would
    go to the next file that is opened. Ends the process where the output cannot be written.
    """
    _open_closed()
    output = sys.stdout
    try:
        yield
        sys.stdout.flush()
    except SystemExit as end:
        # At EPIPE click puts another stream in its place, and ends with 1 whatever the command.
        if sys.stdout is not output:
            _give_up_output(READER_LEFT)
        _flush_before(end)
        raise
    except KeyboardInterrupt:
        interrupted("interrupted")
    except RuntimeError as error:
        if str(error) != _NO_THREAD:
            raise
        fail(NO_THREAD_REMEDY)
    except BrokenPipeError:
        _give_up_output(READER_LEFT)
    except OSError as error:
        if error.filename is not None or error.errno not in _CANNOT_WRITE:
            raise
        print(f"error: cannot write the output: {error.strerror}", file=sys.stderr)
        _give_up_output(1)


def carry_out(
    group: click.Group,
    program: str,
    known: Mapping[type[Exception], int],
    plain: Callable[[str], str] = str,
) -> None:
    """Run the command that the process was given; whatever goes wrong is one line.

    Ends with 2 for wrong usage, with 130 at Ctrl-C, and with the status of the first of `known`
    that was raised. plain: takes out of a message of click's what nobody is to read.
    """
    import click

    # At its end the interpreter looks for garbage among all that was imported.
    atexit.register(gc.freeze)
    try:
        group.main(prog_name=program, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
    except click.ClickException as error:
        fail(plain(error.format_message()), error.exit_code)
    except tuple(known) as error:
        fail(str(error), next(status for kind, status in known.items() if isinstance(error, kind)))
    except (click.Abort, KeyboardInterrupt):
        interrupted("interrupted")


def fail(line: str, status: int = 1) -> NoReturn:
    """Say what went wrong, and end."""
    print(f"error: {line}", file=sys.stderr)
    sys.exit(status)


def interrupted(line: str) -> NoReturn:
    """Print a line and end. Whoever presses Ctrl-C once more meets neither traceback nor another
    exit status."""
    while True:
        try:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            break
        except KeyboardInterrupt:  # one that came before it was ignored
            continue
    print(line, file=sys.stderr, flush=True)
    sys.exit(INTERRUPTED)


def expect_address_space(status: int = 1) -> None:
    """End with one line where a limit leaves too little for statistics and for a load.

    To be called before these are begun; what only reads text needs far less. status: to end with.
    """
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < ADDRESS_SPACE_MIB << 20:
        line = f"{ADDRESS_SPACE_MIB} MiB of address space are needed in one process, and the limit"
        fail(f"{line} is {limit >> 20} MiB: raise it (ulimit -v)", status)


def _open_closed() -> None:
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="replace"))  # noqa: SIM115


def _flush_before(end: SystemExit) -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up_output(end.code if isinstance(end.code, int) else 1)
    except OSError as error:
        print(f"error: cannot write the output: {error.strerror}", file=sys.stderr)
        _give_up_output(1)


def _give_up_output(status: int) -> NoReturn:
    """End; what is still buffered goes nowhere, so that the interpreter does not fail with it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(status)
