"""Failures that are the load generator's own, and must not be counted as the server's."""

from __future__ import annotations

import errno

from loopbench.loadtests.errors import GeneratorDied, HarnessError
from loopbench.loadtests.messages.reports import Report

_REMEDIES = {
    "EADDRNOTAVAIL": "the client's ports are used up: wait a minute for the kernel to free those "
    "of closed connections, widen net.ipv4.ip_local_port_range, or offer fewer connections",
    "EMFILE": "no more files may be opened: raise the hard limit (ulimit -Hn)",
    "ENFILE": "the machine has no open files left: raise fs.file-max",
    "ENOBUFS": "the kernel has no memory for the generator's connections",
}
"""By errno of a call in the generator's process; no server can cause these at its client."""


def expect_servers_fault(error: Exception) -> None:
    """Raise HarnessError, with the remedy, for an error of this process's own call."""
    number = error.errno if isinstance(error, OSError) else None
    name = errno.errorcode.get(number or 0, "")
    if name in _REMEDIES:
        raise HarnessError(f"cannot ask the server ({name}): {_REMEDIES[name]}") from error


def expect_own_resources(report: Report) -> None:
    """Raise GeneratorDied, with the remedy, where requests failed for want of something that the
    generator itself needs. Such a load says nothing about the server."""
    counts = dict.fromkeys(_REMEDIES, 0)
    for load in report.loads.values():
        watched = () if load.watched is None else load.watched.failures
        for failure in (*load.warmup.failures, *load.measured.failures, *watched):
            name = failure.reason.rpartition(" ")[2]
            if name in counts:
                counts[name] += failure.count
    for name, count in counts.items():
        if count:
            raise GeneratorDied(
                f"{count:,} requests were not sent ({name}), and the load was not the scenario's; "
                f"{_REMEDIES[name]}"
            )
