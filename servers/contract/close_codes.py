"""Why a WebSocket is closed."""

from __future__ import annotations

import enum


class Close(enum.IntEnum):
    """Codes of a closing frame (RFC 6455, 7.4.1, and 1013 of the registry)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    NOT_UTF8 = 1007
    TOO_LONG = 1009
    TRY_AGAIN_LATER = 1013
