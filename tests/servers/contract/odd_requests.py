"""The requests of docs/differences.md: bytes on which the frameworks' stacks may differ."""

from __future__ import annotations

from dataclasses import dataclass

_LIMIT = 1_048_576
"""The body limit of Settings in bytes."""


@dataclass(frozen=True, slots=True)
class OddRequest:
    """Bytes to be sent, and how the table speaks of them.

    shows_body: the body of a 200 belongs into the table.
    to_head: the first answer has no body, since the method is HEAD.
    ends: the client closes its sending side after the bytes.
    core: shown of the core stacks only, as it is not the same each time on others.
    """

    group: str
    name: str
    sent: bytes
    shows_body: bool = False
    to_head: bool = False
    ends: bool = False
    core: bool = False


_HOST = b"Host: localhost\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_URLENCODED = b"Content-Type: application/x-www-form-urlencoded\r\n"
_GZIP = b"Content-Encoding: gzip\r\n"
_MULTIPART = b"Content-Type: multipart/form-data; boundary=edge\r\n"
_UPGRADE_TO_FOO = (b"Connection: Upgrade\r\n", b"Upgrade: foo\r\n")
"""Leave to go on in a protocol that no server speaks, which RFC 9110 (7.8) lets it ignore."""


def _request(line: bytes, *headers: bytes, body: bytes = b"", host: bytes = _HOST) -> bytes:
    return line + b"\r\n" + host + b"".join(headers) + b"\r\n" + body


def _get(target: bytes, *headers: bytes, version: bytes = b"1.1", host: bytes = _HOST) -> bytes:
    return _request(b"GET %b HTTP/%b" % (target, version), *headers, host=host)


def _post(target: bytes, body: bytes, *headers: bytes) -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return _request(b"POST %b HTTP/1.1" % target, *headers, length, body=body)


def _post_raw(target: bytes, body: bytes, *headers: bytes) -> bytes:
    """A POST whose headers say themselves how long the body is."""
    return _request(b"POST %b HTTP/1.1" % target, *headers, body=body)


def _chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def _part(name: bytes, value: bytes) -> bytes:
    head = b"--edge\r\nContent-Disposition: form-data" + name
    return head + b"\r\n\r\n" + value + b"\r\n"


_PATHS = "Paths and queries"
_LINE = "The request line"
_HEADERS = "Headers"
_LENGTHS = "How long a body says it is"
_LARGE = "Bodies beyond the limit of 1 MiB"
_FORMS = "Forms"
_CONNECTION = "Other protocols"
ALIKE = "Odd, and yet alike"
"""The group whose rows show no difference; those of all others do."""

ODD_REQUESTS: tuple[OddRequest, ...] = (
    OddRequest(_PATHS, "`GET /hello/a%2Fb`", _get(b"/hello/a%2Fb"), shows_body=True),
    OddRequest(_PATHS, "`GET /hello/%FF`", _get(b"/hello/%FF"), shows_body=True),
    OddRequest(_PATHS, "`GET //plain`", _get(b"//plain")),
    OddRequest(_PATHS, "`GET plain`, without a slash", _get(b"plain")),
    OddRequest(_PATHS, "`GET ?a=1`, without a path", _get(b"?a=1")),
    OddRequest(_PATHS, "`GET /plain#x`, with a fragment", _get(b"/plain#x")),
    OddRequest(_PATHS, "`GET /query?a=%FF`", _get(b"/query?a=%FF"), shows_body=True),
    OddRequest(_LINE, "unknown method `FOO /plain`", _request(b"FOO /plain HTTP/1.1")),
    OddRequest(_LINE, "`get /plain`, in lower case", _request(b"get /plain HTTP/1.1")),
    OddRequest(_LINE, "`GET  /plain`, with two spaces", _request(b"GET  /plain HTTP/1.1")),
    OddRequest(_LINE, "`GET /plain` without a version", _request(b"GET /plain")),
    OddRequest(
        _LINE,
        "HTTP/1.0 with `Connection: keep-alive`",
        _get(b"/plain", b"Connection: keep-alive\r\n", version=b"1.0"),
    ),
    OddRequest(_LINE, "HTTP/1.2", _get(b"/plain", version=b"1.2")),
    OddRequest(_LINE, "HTTP/2.0 in a line of HTTP/1", _get(b"/plain", version=b"2.0")),
    OddRequest(_LINE, "HTTP/9.9", _get(b"/plain", version=b"9.9")),
    OddRequest(_LINE, "an empty line before the request", b"\r\n" + _get(b"/plain")),
    OddRequest(_LINE, "lines that end in LF alone", _get(b"/plain").replace(b"\r\n", b"\n")),
    OddRequest(_LINE, "a target of 9,000 bytes", _get(b"/plain?" + b"x" * 8993)),
    OddRequest(_LINE, "a target of 70,000 bytes", _get(b"/plain?" + b"x" * 69993)),
    OddRequest(
        _HEADERS, "a header of 9,000 bytes", _get(b"/plain", b"X: " + b"x" * 8997 + b"\r\n")
    ),
    OddRequest(
        _HEADERS, "a header of 70,000 bytes", _get(b"/plain", b"X: " + b"x" * 69997 + b"\r\n")
    ),
    OddRequest(_HEADERS, "200 headers", _get(b"/plain", *[b"X: y\r\n"] * 200)),
    OddRequest(_HEADERS, "a folded header", _get(b"/plain", b"X: a\r\n b\r\n")),
    OddRequest(_HEADERS, "a control character in a header", _get(b"/plain", b"X: \x01\r\n")),
    OddRequest(
        _HEADERS, "`Expect: tea`", _post(b"/json", b"[1]", b"Expect: tea\r\n"), shows_body=True
    ),
    OddRequest(
        _LENGTHS,
        "`Content-Length` twice, equal",
        _post_raw(b"/json", b"[1]", *[b"Content-Length: 3\r\n"] * 2),
    ),
    OddRequest(
        _LENGTHS, "`Content-Length: 3, 3`", _post_raw(b"/json", b"[1]", b"Content-Length: 3, 3\r\n")
    ),
    OddRequest(
        _LENGTHS,
        "`Content-Length` beside `Transfer-Encoding: chunked`",
        _post_raw(b"/json", _chunks(b"[1]"), _CHUNKED, b"Content-Length: 3\r\n"),
    ),
    OddRequest(
        _LENGTHS,
        "`Transfer-Encoding: gzip`",
        _post_raw(b"/json", b"[1]", b"Transfer-Encoding: gzip\r\n"),
    ),
    OddRequest(
        _LENGTHS,
        "`Transfer-Encoding: gzip, chunked`",
        _post_raw(b"/json", _chunks(b"[1]"), b"Transfer-Encoding: gzip, chunked\r\n"),
    ),
    OddRequest(
        _LENGTHS,
        "a chunk of 2⁶⁸−1 bytes, of which three come",
        _post_raw(b"/json", b"FFFFFFFFFFFFFFFFF\r\n[1]", _CHUNKED),
    ),
    OddRequest(
        _LARGE,
        "`POST /json`, announced by `Content-Length`, nothing sent yet",
        _post_raw(b"/json", b"", b"Content-Length: 4194304\r\n"),
    ),
    OddRequest(
        _LARGE,
        "the same with `Expect: 100-continue`",
        _post_raw(b"/json", b"", b"Expect: 100-continue\r\n", b"Content-Length: 4194304\r\n"),
        # A thread of granian's may answer before another has sent the 100.
        core=True,
    ),
    OddRequest(_LARGE, "`POST /json`, 4 MiB sent", _post(b"/json", b"x" * 4 * _LIMIT)),
    OddRequest(
        _LARGE,
        "`POST /json`, 4 MiB in one chunk",
        _post_raw(b"/json", _chunks(b"x" * 4 * _LIMIT), _CHUNKED),
    ),
    OddRequest(
        _LARGE,
        "`POST /form`, multipart, 2 MiB in fields of 64 KiB and as many chunks",
        _post_raw(
            b"/form",
            _chunks(*[_part(b'; name="a"', b"x" * 65_536)] * 32, b"--edge--\r\n"),
            _CHUNKED,
            _MULTIPART,
        ),
    ),
    OddRequest(
        _LARGE,
        "`POST /form` of a type that is not read, 4 MiB sent",
        _post(b"/form", b"x" * 4 * _LIMIT),
    ),
    OddRequest(
        _LARGE, "`POST /no/such/path`, 4 MiB sent", _post(b"/no/such/path", b"x" * 4 * _LIMIT)
    ),
    OddRequest(
        _FORMS,
        "URL-encoded, 1,001 fields",
        _post(b"/form", b"&".join([b"a=1"] * 1001), _URLENCODED),
    ),
    OddRequest(
        _FORMS,
        "URL-encoded, white space at the end",
        _post(b"/form", b"a=1 \n", _URLENCODED),
        shows_body=True,
    ),
    OddRequest(
        _FORMS,
        "URL-encoded, `charset=latin-1`, `a=%E9`",
        _post(b"/form", b"a=%E9", _URLENCODED.replace(b"\r", b"; charset=latin-1\r")),
        shows_body=True,
    ),
    OddRequest(
        _FORMS,
        "URL-encoded, an unknown charset",
        _post(b"/form", b"a=1", _URLENCODED.replace(b"\r", b"; charset=none\r")),
        shows_body=True,
    ),
    OddRequest(
        _FORMS,
        "`application/x-url-encoded`",
        _post(b"/form", b"a=1", b"Content-Type: application/x-url-encoded\r\n"),
        shows_body=True,
    ),
    OddRequest(_FORMS, "multipart, empty", _post(b"/form", b"", _MULTIPART), shows_body=True),
    OddRequest(
        _FORMS, "multipart, no boundary in it", _post(b"/form", b"x", _MULTIPART), shows_body=True
    ),
    OddRequest(
        _FORMS,
        "multipart, cut off in a field",
        _post(b"/form", _part(b'; name="a"', b"1"), _MULTIPART),
        shows_body=True,
    ),
    OddRequest(
        _FORMS,
        "multipart, a field without a name",
        _post(b"/form", _part(b"", b"1") + b"--edge--\r\n", _MULTIPART),
        shows_body=True,
    ),
    OddRequest(
        _FORMS,
        "multipart, a field that is not UTF-8",
        _post(b"/form", _part(b'; name="a"', b"\xff") + b"--edge--\r\n", _MULTIPART),
        shows_body=True,
    ),
    OddRequest(
        _CONNECTION,
        "`GET /plain`, then bytes that are no HTTP",
        _get(b"/plain") + b"GARBAGE\r\n\r\n",
    ),
    OddRequest(
        _CONNECTION,
        "`Upgrade: h2c`",
        _get(
            b"/plain",
            b"Connection: Upgrade, HTTP2-Settings\r\n",
            b"Upgrade: h2c\r\n",
            b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
        ),
    ),
    OddRequest(
        _CONNECTION,
        "HTTP/2 without asking first",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    ),
    OddRequest(
        _CONNECTION,
        "`Upgrade: websocket` to `/plain`",
        _get(
            b"/plain",
            b"Connection: Upgrade\r\n",
            b"Upgrade: websocket\r\n",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            b"Sec-WebSocket-Version: 13\r\n",
        ),
    ),
    OddRequest(
        _CONNECTION,
        "`Upgrade: foo`, and the next request in the same segment",
        _get(b"/plain", *_UPGRADE_TO_FOO) + _get(b"/plain"),
    ),
    OddRequest(ALIKE, "`Upgrade: foo`", _get(b"/plain", *_UPGRADE_TO_FOO)),
    OddRequest(
        ALIKE, "`POST /json` with `Upgrade: foo`", _post(b"/json", b"[1]", *_UPGRADE_TO_FOO)
    ),
    OddRequest(ALIKE, "HTTP/1.0", _get(b"/plain", version=b"1.0")),
    OddRequest(ALIKE, "`GET` and nothing more in the line", b"GET\r\n\r\n"),
    OddRequest(ALIKE, "an empty target", _get(b"")),
    OddRequest(ALIKE, "no `Host`", _get(b"/plain", host=b"")),
    OddRequest(ALIKE, "two `Host`", _get(b"/plain", host=_HOST * 2)),
    OddRequest(ALIKE, "NUL in a header", _get(b"/plain", b"X: \x00\r\n")),
    OddRequest(ALIKE, "white space before a colon", _get(b"/plain", b"X : y\r\n")),
    OddRequest(
        ALIKE, "`Content-Length: abc`", _post_raw(b"/json", b"", b"Content-Length: abc\r\n")
    ),
    OddRequest(
        ALIKE,
        "two different `Content-Length`",
        _post_raw(b"/json", b"[1]", b"Content-Length: 3\r\n", b"Content-Length: 4\r\n"),
    ),
    OddRequest(ALIKE, "a chunk size that is none", _post_raw(b"/json", b"zz\r\n[1]\r\n", _CHUNKED)),
    OddRequest(
        ALIKE,
        "chunks with a trailer",
        _post_raw(b"/json", b"3\r\n[1]\r\n0\r\nX: y\r\n\r\n", _CHUNKED),
        shows_body=True,
    ),
    OddRequest(
        ALIKE, "`Expect: 100-continue`", _post(b"/json", b"[1]", b"Expect: 100-continue\r\n")
    ),
    OddRequest(ALIKE, "`GET /plain` twice at once", _get(b"/plain") * 2),
    OddRequest(
        ALIKE, "`GET /plain` with a body", _post(b"/plain", b"[1]").replace(b"POST", b"GET")
    ),
    OddRequest(
        ALIKE, "`HEAD /no/such/path`", _request(b"HEAD /no/such/path HTTP/1.1"), to_head=True
    ),
    OddRequest(ALIKE, "`OPTIONS *`", _request(b"OPTIONS * HTTP/1.1")),
    OddRequest(ALIKE, "`GET http://other/plain`", _get(b"http://other/plain")),
    OddRequest(ALIKE, "`GET /hello//x`", _get(b"/hello//x")),
    OddRequest(ALIKE, "`GET /x/../plain`", _get(b"/x/../plain")),
    OddRequest(ALIKE, "`GET /hello/%00`", _get(b"/hello/%00")),
    OddRequest(ALIKE, "a `Content-Encoding` of gzip", _post(b"/json", b"[1]", _GZIP)),
    OddRequest(
        ALIKE,
        "`GET /?wait_ms=100`, then the client closes its sending side",
        _get(b"/?wait_ms=100"),
        ends=True,
    ),
)
