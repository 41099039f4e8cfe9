"""`python -m loadtests`."""

from __future__ import annotations

import sys

from loopbench.streams import standard_streams


def main() -> None:
    """Entry point. The commands are imported late, so that Ctrl-C is one line then, too."""
    try:
        from loopbench.loadtests import cli
    except KeyboardInterrupt:
        print("interrupted; nothing had been started", file=sys.stderr)
        sys.exit(130)
    with standard_streams():
        cli.main()


if __name__ == "__main__":
    main()
