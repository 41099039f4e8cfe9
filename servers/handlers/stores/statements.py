"""What every store is told: its tables, the rows in them, and the statements.

They are the same everywhere, but for how a parameter is written. Setting them up again changes
nothing. They are imported with a store, which no server opens before it is asked about data.
"""

from __future__ import annotations

from loopbench.servers.contract.payloads import STORED_ROWS, row_name

TABLES = (
    "CREATE TABLE IF NOT EXISTS loopbench_rows (id INTEGER PRIMARY KEY, name TEXT, added BIGINT)",
    "CREATE TABLE IF NOT EXISTS loopbench_saves (amount BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS loopbench_pairs (pair TEXT PRIMARY KEY)",
)
ROWS = [(number, row_name(number)) for number in range(1, STORED_ROWS + 1)]

INSERT_ROW = "INSERT INTO loopbench_rows VALUES ({0}, {1}, 0) ON CONFLICT DO NOTHING"
SELECT_ROW = "SELECT id, name FROM loopbench_rows WHERE id = {0}"
INSERT_SAVE = "INSERT INTO loopbench_saves VALUES ({0})"
UPDATE_ROW = "UPDATE loopbench_rows SET added = added + {0} WHERE id = {1}"
INSERT_PAIR = "INSERT INTO loopbench_pairs VALUES ({0})"
SELECT_PAIRS = "SELECT pair FROM loopbench_pairs WHERE pair LIKE {0}"
SELECT_TOTAL = (
    "SELECT (SELECT count(*) FROM loopbench_saves), "
    "(SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM loopbench_saves), "
    "(SELECT CAST(coalesce(sum(added), 0) AS BIGINT) FROM loopbench_rows)"
)

STATEMENTS = (SELECT_ROW, INSERT_SAVE, UPDATE_ROW, INSERT_PAIR, SELECT_PAIRS, INSERT_ROW)
"""Those with parameters, for a store to write in its own way."""
