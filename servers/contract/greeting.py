"""What a server is asked first, to see that it serves."""

from __future__ import annotations

from loopbench.servers.contract.content import TEXT
from loopbench.servers.contract.http import Case, Expected, get

GREETING = Case("plain", get("/plain"), Expected(200, TEXT, b"Hello, world"))
"""One of CASES, which stands apart since every server's process needs it, and none of the rest."""
