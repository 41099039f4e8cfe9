"""The Cases of data on its way: large answers, streams, uploads, other servers, the stores."""

from __future__ import annotations

import hashlib
import re

from loopbench.servers.contract.content import (
    BINARY,
    JSON,
)
from loopbench.servers.contract.http import (
    BINARY_TYPE,
    MULTIPART,
    MULTIPART_BODY,
    Case,
    Expected,
    Request,
    error,
    filling,
    get,
    post,
    written,
)
from loopbench.servers.contract.limits import (
    AMOUNT_LIMIT,
    CHUNKS_LIMIT,
    ITEMS_LIMIT,
    PAGES_LIMIT,
    ROWS_LIMIT,
)
from loopbench.servers.contract.payloads import (
    chunk,
    items,
    row_name,
)

FETCHES = ("gather", "sequence", "threads")
"""How `/fetch` gets its pages: all at once or one after another with the asynchronous client, or
each with a synchronous client in a worker thread."""

BOTH_PROTECTIONS = ("none", "shield", "both", "task")
"""How `/save/both` may be asked to protect its two steps: not at all, each behind a shield of
its own, both behind one, or in a task that nobody waits for."""

TOTAL = re.compile(rb'\{"saves":(\d+),"sum":(\d+),"added":(\d+)\}')
"""How often was saved, the sum of the amounts, and what the rows have gained by them."""

PAIRS = re.compile(rb'\{"first":(\d+),"second":(\d+),"half":(\d+)\}')
"""How many saves are in each of the two stores, and how many in one only."""


def _many(route: str, name: str, values: tuple[str, ...]) -> tuple[Case, ...]:
    """A Case for each query that a route must refuse."""
    return tuple(
        Case(f"{name}-wrong-{number}", get(f"{route}?{query}" if query else route), error(400))
        for number, query in enumerate(values, start=1)
    )


def items_request(count: int) -> Request:
    """What `GET /json` is asked."""
    return get(f"/json?items={count}")


def items_answer(count: int) -> Expected:
    """What it then answers."""
    return written(items(count))


def stream_request(chunks: int, size: int) -> Request:
    """What `/stream` is asked."""
    return get(f"/stream?chunks={chunks}&size={size}")


def stream_answer(chunks: int, size: int) -> Expected:
    """What it then answers."""
    body = b"".join(chunk(number, size) for number in range(chunks))
    return Expected(200, BINARY, body, chunked=True)


def upload_case(
    name: str, size: int, digest: str | None = None, *, multipart: bool = False
) -> Case:
    """A Case of `/upload`. digest: SHA-256 of `filling(size)`, where it is known already."""
    head, tail, headers = (
        (_FILE_HEAD, _FILE_TAIL, MULTIPART) if multipart else (b"", b"", BINARY_TYPE)
    )
    if digest is None:  # small enough to be carried about
        digest = hashlib.sha256(filling(size)).hexdigest()
        request = post("/upload", headers, head + filling(size) + tail)
    else:
        request = Request("POST", "/upload", headers, head, size, tail)
    return Case(name, request, written({"bytes": size, "sha256": digest}))


_FILE_HEAD = (
    b'--edge\r\nContent-Disposition: form-data; name="note"\r\n\r\na field\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="some.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
)
_FILE_TAIL = b"\r\n--edge--\r\n"


def _rows(count: int) -> Expected:
    rows = [{"id": number, "name": row_name(number)} for number in range(1, count + 1)]
    return written({"rows": rows})


def fetch_case(how: str, count: int) -> Case:
    """A Case of `/fetch`."""
    fetched = written({"pages": count, "bytes": 12 * count})
    return Case(f"fetch-{how}-{count}", get(f"/fetch?n={count}&how={how}"), fetched)


DATA_CASES: tuple[Case, ...] = (
    *(
        Case(f"items-{count}", items_request(count), items_answer(count))
        for count in (0, 1, 16, 1000)
    ),
    *_many("/json", "items", ("", "items=", "items=-1", "items=x", f"items={ITEMS_LIMIT + 1}")),
    *(
        Case(f"stream-{chunks}x{size}", stream_request(chunks, size), stream_answer(chunks, size))
        for chunks, size in ((0, 1), (1, 0), (1, 1), (3, 5), (16, 65_536))
    ),
    *_many(
        "/stream",
        "stream",
        ("", "chunks=1", "size=1", f"chunks={CHUNKS_LIMIT + 1}&size=1", "chunks=1&size=-1"),
    ),
    *(upload_case(f"upload-{size}", size) for size in (0, 1, 1024, 65_536)),
    *(
        upload_case(f"upload-multipart-{size}", size, multipart=True)
        for size in (0, 1, 1024, 65_536)
    ),
    Case("upload-multipart-without-file", post("/upload", MULTIPART, MULTIPART_BODY), error(400)),
    *(fetch_case(how, count) for how in FETCHES for count in (1, 10)),
    *_many("/fetch", "fetch", ("", "n=1&how=hope", "n=0", f"n={PAGES_LIMIT + 1}", "how=gather")),
    *(
        case
        for kind in ("async", "sync")
        for case in (
            Case(f"db-{kind}", get(f"/db/{kind}"), _rows(1)),
            Case(f"db-{kind}-20", get(f"/db/{kind}?n=20"), _rows(20)),
            *_many(f"/db/{kind}", f"db-{kind}", ("n=", "n=0", f"n={ROWS_LIMIT + 1}")),
        )
    ),
    Case("db-save", post("/db/save?amount=7"), written({"saved": 7})),
    Case("db-save-without-amount", post("/db/save"), error(400)),
    Case("db-save-too-much", post(f"/db/save?amount={AMOUNT_LIMIT + 1}"), error(400)),
    Case("db-total", get("/db/total"), Expected(200, JSON, TOTAL)),
    *(
        Case(
            f"save-both-{protect}",
            post(f"/save/both?protect={protect}"),
            written({"saved": protect}),
        )
        for protect in BOTH_PROTECTIONS
    ),
    Case("save-both-unprotected-by-anything", post("/save/both"), error(400)),
    Case("save-both-unknown", post("/save/both?protect=hope"), error(400)),
    Case("pairs", get("/save/both"), Expected(200, JSON, PAIRS)),
)
