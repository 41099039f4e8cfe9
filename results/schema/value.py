"""What a cell holds once it is read."""

from __future__ import annotations

Value = str | int | float | bool | None
"""None is a blank cell: it was not measured."""
