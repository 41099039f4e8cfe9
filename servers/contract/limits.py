"""The most that a client may ask of a route; more is refused."""

from __future__ import annotations

WAIT_MS_LIMIT = 60_000
"""The longest wait that a client may ask of a waiting route; more is a 400."""

WORK_MS_LIMIT = 5_000
"""The most work that a client may ask of a `/sleep` or `/burn` route; more is a 400."""

ITEMS_LIMIT = 20_000
"""The most items that a client may ask of `GET /json`."""

CHUNKS_LIMIT = 10_000
CHUNK_BYTES_LIMIT = 1_048_576
STREAM_BYTES_LIMIT = 1 << 30
"""The most chunks of a `/stream`, the largest of them, and the most bytes of all together."""

PAGES_LIMIT = 100
"""The most pages that `/fetch` gets."""

ROWS_LIMIT = 100
AMOUNT_LIMIT = 1_000_000
"""The most rows that `/db/async` and `/db/sync` read, and the most that `/db/save` adds."""

RATE_LIMIT = 100_000.0
"""The most messages a second that a client may ask of `/ws`; more is a 400."""

MESSAGE_LIMIT_BYTES = 1_048_576
"""The longest message that `/ws/echo` takes; a longer one ends the connection."""
