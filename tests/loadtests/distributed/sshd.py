"""A real sshd on loopback, on a free port, with keys that live as long as the test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.processes import eventually

MISSING = [name for name in ("ssh", "ssh-keygen") if shutil.which(name) is None]
_SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
needs_sshd = pytest.mark.skipif(
    bool(MISSING) or _SSHD is None, reason="needs the packages openssh-server and openssh-client"
)


@contextmanager
def ssh_to_here(folder: Path) -> Iterator[tuple[str, ...]]:
    """The command that logs in to this machine."""
    assert _SSHD is not None
    folder.chmod(0o700)
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    (folder / "allowed").write_bytes((folder / "user.pub").read_bytes())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\n"
        f"HostKey {folder / 'host'}\n"
        f"AuthorizedKeysFile {folder / 'allowed'}\n"
        f"PidFile {folder / 'pid'}\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd asks for it
    log = folder / "log"
    with log.open("wb") as errors:
        daemon = subprocess.Popen(
            [_SSHD, "-D", "-e", "-f", str(folder / "config")],
            stdin=subprocess.DEVNULL,
            stderr=errors,
        )
    try:
        assert eventually(lambda: b"Server listening" in log.read_bytes()), log.read_text()
        options = {
            "IdentityFile": folder / "user",
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": folder / "known",
            "StrictHostKeyChecking": "accept-new",
            "LogLevel": "ERROR",
            "BatchMode": "yes",
        }
        chosen = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        yield ("ssh", "-F", "none", "-p", str(port), *chosen, "127.0.0.1")
    finally:
        daemon.terminate()
        daemon.wait(10)
