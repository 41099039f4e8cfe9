"""The door for `locust -f loadtests/locustfile.py --host http://127.0.0.1:8080`.

One user class a Case of the contract that the scenarios use; pick among them
with Locust's own `--class-picker`, or name them on its command line.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Locust puts this file's folder on the path, not the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtests.scenarios import SCENARIOS
from loadtests.users import ByHandUser

_CASES = {load.case.name: load.case for one in SCENARIOS.values() for load in one.loads}

for _name, _case in _CASES.items():
    _class = "".join(part.capitalize() for part in _name.split("-")) + "User"
    globals()[_class] = type(_class, (ByHandUser,), {"abstract": False, "case": _case})
