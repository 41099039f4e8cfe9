"""Where the servers under test run: here, or behind a command such as `ssh bench-host`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import CpuPlan
from loopbench.loadtests.hosts.host_info import HostInfo, source_version
from loopbench.results.schema import ROOT, Code
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import Stack
from loopbench.servers.supervision.messages import from_json

_BOUND_S = 60.0
_DEFAULTS = Settings()
PLAIN = re.compile(r"[\w./@%+=:,~-]+")
"""Words that any shell on the way hands on as they are: ssh joins its arguments to a line."""


@dataclass(frozen=True, slots=True)
class Place:
    """via: the command put in front; it must hand standard input and output through.

    host: the address that the server binds to and that the load goes to.
    python, root: the interpreter, and the folder with the suite, over there.
    cpus: to bind the server to, by their numbers over there; None leaves that alone.
    """

    via: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    python: str = sys.executable
    root: str = str(ROOT)
    cpus: frozenset[int] | None = None

    def to_json(self) -> dict[str, list[str] | str]:
        """What plan.json keeps of it."""
        return {"server_via": list(self.via), "server_host": self.host}

    def server(
        self,
        name: str | Stack,
        *,
        settings: Settings = _DEFAULTS,
        port: int = 0,
        cpus: frozenset[int] | None,
        log: Path | None,
    ) -> AbstractContextManager[ServerProcess]:
        """As `server_process`, over there."""
        return server_process(
            name,
            settings=settings,
            host=self.host,
            port=port,
            cpus=cpus,
            log=log,
            prefix=self._prefix,
            python=Path(self.python),
        )

    @property
    def _prefix(self) -> tuple[str, ...]:
        """The folder by a variable: the command in front may begin in another one."""
        return (*self.via, "env", f"PYTHONPATH={self.root}") if self.via else ()

    def cpus_of(self, plan: CpuPlan) -> CpuPlan:
        """The plan of this machine's CPUs, as far as it holds over there."""
        if not self.via:
            return plan
        codes = plan.codes if self.cpus else (*plan.codes, Code.NOT_PINNED)
        return replace(plan, server=self.cpus, codes=tuple(dict.fromkeys(codes)))

    def facts(self) -> HostInfo:
        """What the host says of itself. Raises HarnessError."""
        command = [*self._prefix, self.python, "-m", "loopbench.loadtests.hosts.host_info"]
        shown = " ".join(self.via) or "this machine"
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_BOUND_S,
            )
        except OSError as error:
            raise HarnessError(f"cannot run {command[0]}: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise HarnessError(f"{shown} did not answer within {_BOUND_S:.0f} s") from None
        if done.returncode:
            words = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise HarnessError(
                f"{shown} does not run the suite: {words}; --server-python and --server-root "
                "name the interpreter and the folder over there"
            )
        try:
            return from_json(HostInfo, json.loads(done.stdout.strip().splitlines()[-1]))
        except (ValueError, IndexError) as error:
            raise HarnessError(
                f"{shown} runs another version of the suite: what it says of itself cannot be "
                f"understood ({error}); bring both to the same state"
            ) from error

    def check(self) -> None:
        """Refuse a host that runs another version of the suite. Raises HarnessError."""
        if not self.via:
            return
        there = self.facts().source
        if there != source_version():
            raise HarnessError(
                f"{' '.join(self.via)} runs another version of the suite: {there} there, "
                f"{source_version()} here; bring both to the same state"
            )


HERE = Place()
