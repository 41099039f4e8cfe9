"""`python -m loadtests`."""

from __future__ import annotations

from loopbench.command_line import imports, interrupted, standard_streams


def main() -> None:
    """Entry point. The commands are imported late, so that Ctrl-C is one line then, too."""
    try:
        with imports():
            from loopbench.loadtests import cli
    except KeyboardInterrupt:
        interrupted("interrupted; nothing had been started")
    with standard_streams():
        cli.main()


if __name__ == "__main__":
    main()
