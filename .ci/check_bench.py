"""Check that a short bench left a row for every cell of the default suite, each with requests.

usage: python .ci/check_bench.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from loopbench.loadtests.scenarios.table import DEFAULT_SCENARIOS
from loopbench.results.schema import PLAN_FILE, RUNS, Value, read_table
from loopbench.servers.stacks import DEFAULT


def main(folder: Path) -> int:
    """0 where the plan is the default suite's and every cell of it has at least one row, each
    with requests; 1 otherwise."""
    plan = json.loads((folder / PLAN_FILE).read_text(encoding="utf-8"))
    cells = [(stack, scenario) for stack, scenario in plan["cells"]]
    if {stack for stack, _ in cells} != set(DEFAULT):
        print("The short bench did not plan the default stacks.", file=sys.stderr)
        return 1
    if {scenario for _, scenario in cells} != set(DEFAULT_SCENARIOS):
        print("The short bench did not plan the default scenarios.", file=sys.stderr)
        return 1
    requests: dict[tuple[Value, Value], list[Value]] = {}
    for row in read_table(folder, RUNS):
        requests.setdefault((row["stack"], row["scenario"]), []).append(row["requests"])
    wrong = [
        f"{stack}/{scenario}"
        for stack, scenario in cells
        if not all(requests.get((stack, scenario), [None]))
    ]
    if wrong:
        print(f"The short bench measured nothing for: {', '.join(wrong)}", file=sys.stderr)
        return 1
    print(f"The short bench wrote rows for all {len(requests)} cells.")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
