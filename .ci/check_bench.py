"""Check that a short bench left a row for every cell of the default suite, each with requests.

usage: python .ci/check_bench.py FOLDER
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

from loadtests.cli import DEFAULT_SCENARIOS, DEFAULT_STACKS
from results.schema import RUNS, Value, read_table


def main(folder: Path) -> int:
    """0 where every cell has at least one row and every row counted requests; 1 otherwise."""
    requests: dict[tuple[Value, Value], list[Value]] = {}
    for row in read_table(folder, RUNS):
        requests.setdefault((row["stack"], row["scenario"]), []).append(row["requests"])
    wrong = [
        f"{stack}/{scenario}"
        for stack, scenario in product(DEFAULT_STACKS, DEFAULT_SCENARIOS)
        if not all(requests.get((stack, scenario), [None]))
    ]
    if wrong:
        print(f"The short bench measured nothing for: {', '.join(wrong)}", file=sys.stderr)
        return 1
    print(f"The short bench wrote rows for all {len(requests)} cells.")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
