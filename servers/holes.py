"""What of the contract the applications without a framework, and that of Flask, do not keep: the
names of Cases and Exchanges, and why."""

from __future__ import annotations

from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.websockets import EXCHANGES

_NO_BACKING = dict.fromkeys(
    (
        case.name
        for case in CASES.values()
        if case.name.startswith(("fetch-", "db-", "save-both-", "pairs", "feed", "publish"))
    ),
    "it is there for what a server itself costs, and has neither stores nor a client",
)
_NO_FORM_IN_PIECES = dict.fromkeys(
    (name for name in CASES if name.startswith("upload-multipart-")),
    "it has no parser that reads a multipart form in pieces",
)
_ECHO_ONLY = dict.fromkeys(("ws-push", "ws-feed"), "its WebSockets only echo")
BARE_HOLES = _NO_BACKING | _NO_FORM_IN_PIECES | _ECHO_ONLY
_ELSEWHERE = "Flask runs a coroutine in a thread and on a loop that are new for each request"
FLASK_HOLES = {
    "async": _ELSEWHERE,
    "blocking": _ELSEWHERE,
    "save-task": "Flask ends the loop with the request, and with it the task before it has saved",
    **dict.fromkeys(
        (*_NO_BACKING, *(name for name in CASES if name.startswith("upload-"))),
        "it is not written for Flask",
    ),
    **dict.fromkeys(("ws-without-upgrade", *EXCHANGES), "Flask has no WebSockets"),
}
