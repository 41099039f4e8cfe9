"""The commands of `python -m loadtests`, each where its module has it."""

from __future__ import annotations

PROGRAM = "python -m loadtests"
_JUDGES = {
    name: f"loopbench.loadtests.regression.command:{name.replace('-', '_')}"
    for name in ("regression", "baseline", "regression-selftest")
}
"""Those of which an exit status of 1 means that something got worse."""

COMMANDS = {
    "bench": "loopbench.loadtests.bench_command:bench",
    "init": "loopbench.loadtests.bench.init.initial:init",
    "list": "loopbench.loadtests.scenarios.listing:list_scenarios",
    "services": "loopbench.loadtests.services.command:services",
    "check-hosts": "loopbench.loadtests.distributed.options:check_hosts_command",
    "worker": "loopbench.loadtests.distributed.options:worker",
    "behaviour": "loopbench.loadtests.behaviour.framework.command:behaviour",
    "capacity": "loopbench.loadtests.capacity.command:capacity",
    "why": "loopbench.loadtests.why.command:why",
    "instructions": "loopbench.loadtests.why.instructions.command:instructions",
    "selfcheck": "loopbench.loadtests.selfcheck.command:selfcheck",
    "probe-cost": "loopbench.loadtests.selfcheck.command:probe_cost",
    **_JUDGES,
}
"""By the name of a command, see `loopbench.late_commands`."""

_SMALL = ("init", "list")
"""Commands that measure nothing, and need little memory."""


def needs_memory(name: str | None) -> bool:
    """Whether a command needs what a load or statistics need."""
    return name not in _SMALL


def judges(name: str | None) -> bool:
    """Whether an exit status of 1 means that something got worse."""
    return name in _JUDGES
