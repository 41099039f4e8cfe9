"""What goes over the wire: a request, and the answer that is expected."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from loopbench.servers.contract.content import BINARY, JSON, dumps, error_body

URLENCODED = (("Content-Type", "application/x-www-form-urlencoded"),)
JSON_TYPE = (("Content-Type", JSON),)
BINARY_TYPE = (("Content-Type", BINARY),)
MULTIPART = (("Content-Type", "multipart/form-data; boundary=edge"),)
MULTIPART_BODY = (
    b"".join(
        b'--edge\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % part
        for part in ((b"a", b"1"), (b"b", b"two"), (b"a", b"3"))
    )
    + b"--edge--\r\n"
)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP/1.1 request. `target` is sent as written, already percent-encoded.

    filling_bytes: so many bytes of `filling`, and after them `tail`, follow `body`: a large
    body is made where it is sent, and never carried about.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    filling_bytes: int = 0
    tail: bytes = b""

    def encode(self, host: str) -> bytes:
        """The bytes on the wire; adds Host where its headers have none, and Content-Length where
        there is a body."""
        body = self.body
        if self.filling_bytes:
            body = b"".join((body, filling(self.filling_bytes), self.tail))
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        if all(name.lower() != "host" for name, _ in self.headers):
            lines.append(f"Host: {host}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        if body or self.method in {"POST", "PUT", "PATCH"}:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    @property
    def body_bytes(self) -> int:
        """The length of the body."""
        return len(self.body) + (self.filling_bytes and self.filling_bytes + len(self.tail))


_PERIOD = bytes(range(256)) + bytes(range(250, -1, -1))
"""Of an odd length, so that no piece of a usual size is like the one before it."""


def filling(size: int) -> bytes:
    """The first `size` bytes of what uploads are made of."""
    return (_PERIOD * (size // len(_PERIOD) + 1))[:size]


_REASON = re.compile(rb'"reason":"([^"]{1,80})"')
"""Where the body of a 502 or 503 says what is away."""


_BOUNDARY = re.compile(r'; *boundary=("[^"]*"|[^;]*)', re.IGNORECASE)


def comparable_type(content_type: str | None) -> str:
    """A content type without the boundary of its parts, which is drawn anew for each answer."""
    return _BOUNDARY.sub("", str(content_type))


def comparable_allow(allow: str | None) -> str:
    """The methods of an Allow header in one order, which means nothing (RFC 9110, 10.2.1)."""
    return ", ".join(sorted(word.strip() for word in str(allow).split(",")))


@dataclass(frozen=True, slots=True)
class Expected:
    """The answer that a Case demands.

    `body` is the exact bytes, or a pattern (matched against the whole body)
    where the answer names a loop or a thread. `allow` is the exact Allow
    header of a 405. `chunked`: the body comes in chunks, without a Content-Length.
    `endless`: the body need not end, and the head alone is asked for before a load.
    `learned`: it is what an application was seen to answer, so that the boundary of a multipart
    body and the order of an Allow header may be others.
    """

    status: int
    content_type: str | None
    body: bytes | re.Pattern[bytes]
    allow: str | None = None
    chunked: bool = False
    endless: bool = False
    learned: bool = False

    def check_headers(self, content_type: str | None, allow: str | None) -> str | None:
        """Why the headers that a Case can demand are wrong, or None."""
        type_of = comparable_type if self.learned else str
        methods_of = comparable_allow if self.learned else str
        if type_of(content_type) != type_of(self.content_type):
            return f"Content-Type {content_type!r} instead of {self.content_type!r}"
        if methods_of(allow) != methods_of(self.allow):
            return f"Allow {allow!r} instead of {self.allow!r}"
        return None

    @property
    def body_bytes(self) -> int | None:
        """The length of the body; None where that may vary."""
        return len(self.body) if isinstance(self.body, bytes) else None

    @property
    def any_body(self) -> bool:
        """Whether any bytes will do: an application was seen to answer with others each time."""
        return self.learned and isinstance(self.body, re.Pattern)

    def check(self, status: int, body: bytes) -> str | None:
        """Why this answer is wrong, or None."""
        if isinstance(self.body, bytes):
            right = body == self.body
        else:
            right = self.any_body or self.body.fullmatch(body) is not None
        return self.judge(status, body, len(body), right)

    def judge(self, status: int, begin: bytes, length: int, right: bool) -> str | None:
        """`check` of an answer whose body was compared as it came, as under load.

        begin: of the body, where an error says its reason. length: of the body, in bytes.
        right: whether it is the body that is demanded.
        """
        if status != self.status:
            match = _REASON.search(begin)
            reason = f": {match[1].decode(errors='replace')}" if match else ""
            return f"status {status} instead of {self.status}{reason}"
        if right:
            return None
        if not isinstance(self.body, bytes):
            return "body does not match the contract's pattern"
        if length != len(self.body):
            return f"body of {length} bytes instead of {len(self.body)}"
        return "body differs from the contract"


@dataclass(frozen=True, slots=True)
class Case:
    """One request with the answer that the contract demands of every stack."""

    name: str
    request: Request
    expected: Expected


def error(status: int, allow: str | None = None) -> Expected:
    """A JSON error."""
    return Expected(status, JSON, error_body(status), allow)


def written(value: Any) -> Expected:
    """The value as JSON."""
    return Expected(200, JSON, dumps(value))


def get(target: str) -> Request:
    """`GET target`."""
    return Request("GET", target)


def post(target: str, headers: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> Request:
    """`POST target`."""
    return Request("POST", target, headers, body)
