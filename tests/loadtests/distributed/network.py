"""Hosts as network namespaces, each joined by its own link to one bridge."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

_CABLE = Path(__file__).with_name("cable.py")
_NET = "10.213.77"


def _run(*command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True)


def _must(*command: str) -> None:
    done = _run(*command)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode()}"


def missing() -> str | None:
    """Why there can be no namespaces here; None where there can."""
    if sys.platform != "linux":
        return "on Linux only: network namespaces"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    if shutil.which("ip") is None or shutil.which("tc") is None:
        return "needs the package iproute2"
    name = f"lb-{uuid.uuid4().hex[:6]}"
    done = _run("ip", "netns", "add", name)
    if done.returncode:
        return f"not permitted here: {done.stderr.decode().strip()}"
    delays = _netem(name) or os.path.exists("/dev/net/tun")
    _run("ip", "netns", "del", name)
    return None if delays else "the kernel lacks netem and TUN, to delay packets by"


@dataclass
class Network:
    """hosts: name to address. slow_by: what delays the frames of the slow host."""

    mark: str
    slow: str
    hosts: dict[str, str] = field(default_factory=dict)
    slow_by: str = ""
    cable: IO[bytes] | None = None

    def inside(self, host: str) -> tuple[str, ...]:
        """The command in front that runs another in a host."""
        return ("ip", "netns", "exec", self._name(host))

    def set_link(self, host: str, state: str) -> None:
        """Cut the link of a host (`down`), or restore it (`up`), at the bridge's side."""
        _must("ip", "-n", self._name("hub"), "link", "set", f"to-{host}", state)

    def delay(self, delay_ms: float, loss: float) -> None:
        """From now on each frame from and to the slow host is late, and a share is lost."""
        if self.cable is not None:
            told = {"delay_ms": delay_ms, "loss": loss}
            self.cable.write(json.dumps(told).encode() + b"\n")
            self.cable.flush()
            return
        rule = ("root", "netem", "delay", f"{delay_ms}ms", "loss", f"{loss * 100}%")
        for name, device in ((self.slow, "eth0"), ("hub", f"to-{self.slow}")):
            _must("tc", "-n", self._name(name), "qdisc", "replace", "dev", device, *rule)

    def _name(self, host: str) -> str:
        return f"{self.mark}-{host}"


@contextmanager
def network(hosts: list[str], *, slow: str) -> Iterator[Network]:
    """Namespaces for `hosts`; frames from and to `slow` can be delayed, and lost.

    By `tc netem` where the kernel has it, else by a cable in user space.
    """
    made = Network(f"lb-{uuid.uuid4().hex[:6]}", slow)
    with ExitStack() as cleanup:
        for host in ("hub", *hosts):
            name = made._name(host)
            _must("ip", "netns", "add", name)
            cleanup.callback(_run, "ip", "netns", "del", name)
            _must("ip", "-n", name, "link", "set", "lo", "up")
        hub = made._name("hub")
        _must("ip", "-n", hub, "link", "add", "bridge", "type", "bridge")
        _must("ip", "-n", hub, "link", "set", "bridge", "up")
        for number, host in enumerate(hosts, start=1):
            name = made._name(host)
            port, netem = f"to-{host}", host != slow or _netem(name)
            if netem:
                ends = ("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
                _must("ip", "-n", hub, *ends)
            else:
                made.slow_by = "a cable in user space"
                made.cable = _cable(cleanup, hub, port, name)
            _must("ip", "-n", hub, "link", "set", port, "master", "bridge", "up")
            made.hosts[host] = f"{_NET}.{number}"
            _must("ip", "-n", name, "address", "add", f"{made.hosts[host]}/24", "dev", "eth0")
            _must("ip", "-n", name, "link", "set", "eth0", "up")
            if host == slow and netem:
                made.slow_by = "netem"
        yield made


def _netem(name: str) -> bool:
    """Whether the kernel can delay packets itself."""
    rule = ("root", "netem", "delay", "1ms")
    if _run("tc", "-n", name, "qdisc", "add", "dev", "lo", *rule).returncode:
        return False
    _must("tc", "-n", name, "qdisc", "del", "dev", "lo", "root")
    return True


def _cable(cleanup: ExitStack, hub: str, port: str, name: str) -> IO[bytes]:
    """Join the two namespaces; returns where the cable is told of delay and loss."""
    here, there = (f"lb{uuid.uuid4().hex[:6]}" for _ in range(2))
    process = subprocess.Popen(
        [sys.executable, str(_CABLE), here, there], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    cleanup.callback(process.stdout.close)
    cleanup.callback(process.wait, 10)
    cleanup.callback(process.stdin.close)
    assert process.stdout.readline() == b"made\n"
    _must("ip", "link", "set", here, "netns", hub, "name", port)
    _must("ip", "link", "set", there, "netns", name, "name", "eth0")
    return process.stdin


why_not = missing()
needs_namespaces = pytest.mark.skipif(why_not is not None, reason=str(why_not))
