"""Where the suite itself lies, and where its results go unless another place is named."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds `servers`, `loadtests` and `results`: a clone, or the installed package."""

INSTALLED = not (ROOT / "pyproject.toml").is_file()
"""Whether this is an installed package, and not a clone with its history and its own results."""


def how_to(made: str, installed: str) -> str:
    """The command that a remedy names: of a clone, or of an installed package, without `make`."""
    return f"`{installed if INSTALLED else made}`"


def how_to_bench(*, stacks: str = "", scenarios: str = "", duration: str = "") -> str:
    """The command that measures these, as `how_to` has it. Names stand with blanks between them;
    without any, the default ones are measured. duration: of a window, in seconds."""
    chosen = {"STACKS": stacks, "SCENARIOS": scenarios, "DURATION": duration}
    made = (
        f'{name}="{value}"' if " " in value else f"{name}={value}"
        for name, value in chosen.items()
        if value
    )
    options = {"--stack": stacks, "--scenario": scenarios, "--duration": duration}
    installed = (f"{name} {value}" for name, values in options.items() for value in values.split())
    return how_to(" ".join(("make bench", *made)), " ".join(("loopbench bench", *installed)))


IMPORTED_FROM = ROOT.parent if INSTALLED else ROOT
"""The folder on the path that `loopbench` is imported from."""

_RESULTS = Path.cwd() / "loopbench-results" if INSTALLED else ROOT / "results"

RUNS_FOLDER = _RESULTS if INSTALLED else _RESULTS / "runs"
"""Where results folders are written unless another place is named; git-ignored. Of an installed
package: `loopbench-results` where the person stands."""

REGRESSIONS_FOLDER = _RESULTS / "regressions"
"""Where the folders of regression checks are written unless another place is named; git-ignored."""
