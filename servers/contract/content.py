"""What answers are made of: media types, JSON as it must be written, and the bodies of errors."""

from __future__ import annotations

import json
from typing import Any

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
BINARY = "application/octet-stream"

ERROR_PHRASES = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
"""The reason in each JSON error body (RFC 9110), written out because
`http.HTTPStatus` changed its wording for 413 in Python 3.13."""

_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def dumps(value: Any) -> bytes:
    """JSON as every stack must write it: compact, in insertion order, ASCII, no newline."""
    return _ENCODER.encode(value).encode()


def error_body(status: int) -> bytes:
    """The body of an error answer, for a status in ERROR_PHRASES."""
    return dumps({"error": ERROR_PHRASES[status]})
