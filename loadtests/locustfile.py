"""For `locust -f loadtests/locustfile.py --host http://127.0.0.1:8080`.

One user class a Case of the contract that a scenario offers alone; pick among them
with Locust's own `--class-picker`, or name them on its command line.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Locust puts this file's folder on the path, not the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from locust import events
from locust.argument_parser import LocustArgumentParser

from loopbench.loadtests.generator.users.http import ByHandUser
from loopbench.loadtests.scenarios.table import SCENARIOS


def _loopback(parser: LocustArgumentParser) -> None:
    """Locust's page starts loads, and listens on every interface unless it is told otherwise."""
    parser.set_defaults(web_host="127.0.0.1")


events.init_command_line_parser.add_listener(_loopback)  # type: ignore[no-untyped-call]


# Those that are offered alone: users who block the loop on purpose would spoil all the others,
# and by hand everybody is in one load.
_CASES = {
    scenario.loads[0].case.name: scenario.loads[0].case
    for scenario in SCENARIOS.values()
    if len(scenario.loads) == 1
}

for _name, _case in _CASES.items():
    _class = "".join(part.capitalize() for part in _name.split("-")) + "User"
    globals()[_class] = type(_class, (ByHandUser,), {"abstract": False, "case": _case})
