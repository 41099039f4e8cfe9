"""What of the contract the applications without a framework, and that of Flask, do not keep: names
of Cases and Exchanges, or patterns of them (fnmatch), and why.

They are patterns, and not looked up in the contract, so that a server starts without its tables.
"""

from __future__ import annotations

_BACKING = ("fetch-*", "db-*", "save-both-*", "pairs*", "feed*", "publish*")
BARE_HOLES = {
    **dict.fromkeys(
        _BACKING, "it is there for what a server itself costs, and has neither stores nor a client"
    ),
    "upload-multipart-*": "it has no parser that reads a multipart form in pieces",
    **dict.fromkeys(("ws-push", "ws-feed"), "its WebSockets only echo"),
}
_ELSEWHERE = "Flask runs a coroutine in a thread and on a loop that are new for each request"
FLASK_HOLES = {
    "async": _ELSEWHERE,
    "blocking": _ELSEWHERE,
    "save-task": "Flask ends the loop with the request, and with it the task before it has saved",
    **dict.fromkeys((*_BACKING, "upload-*"), "it is not written for Flask"),
    "ws-*": "Flask has no WebSockets",
}
