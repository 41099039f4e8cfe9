"""HOST:PORT as a person types it."""

from __future__ import annotations

import ipaddress
import re

_PORT = re.compile(r"[0-9]{1,5}")
_LONGEST_NAME = 253
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


def parse_address(text: str) -> tuple[str, int]:
    """Host and port; an IPv6 host stands in brackets. Raises ValueError with what is wrong."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not _PORT.fullmatch(port) or int(port) > 65_535:
        raise ValueError(f"{text!r} is not HOST:PORT")
    if host.startswith("[") != host.endswith("]") or (":" in host and not host.startswith("[")):
        raise ValueError(f"{text!r}: an IPv6 host is written in brackets, as in [::1]:5557")
    bare = host.strip("[]")
    if not (":" in bare if host.startswith("[") else bare) or not is_host(bare):
        raise ValueError(f"{text!r} has no host that can be looked up")
    return host, int(port)


def is_host(text: str) -> bool:
    """Whether a text is an IP address, or may be a name as the resolver takes it (RFC 1123)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
