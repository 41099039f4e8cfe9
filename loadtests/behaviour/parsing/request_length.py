"""Requests that contradict themselves about their length, as in request smuggling."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Question
from loopbench.loadtests.behaviour.parsing.exchanging import both, head, outcome

CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"
REQUESTS = {
    "Content-Length twice, equal": head("POST", "/", "Content-Length: 3", "Content-Length: 3")
    + b"abc",
    "Content-Length: 3, 3": head("POST", "/", "Content-Length: 3, 3") + b"abc",
    "Content-Length twice, different": head("POST", "/", "Content-Length: 3", "Content-Length: 4")
    + b"abcd",
    "Content-Length and chunked": head(
        "POST", "/", "Content-Length: 3", "Transfer-Encoding: chunked"
    )
    + CHUNKS,
    "Content-Length: +3": head("POST", "/", "Content-Length: +3") + b"abc",
    "Transfer-Encoding: gzip, chunked": head("POST", "/", "Transfer-Encoding: gzip, chunked")
    + CHUNKS,
    "a blank before the colon": head("POST", "/", "Content-Length : 3") + b"abc",
}

QUESTION = Question(
    asks="What becomes of a request that contradicts itself about its length?",
    experiments=tuple(
        experiment
        for setting, data in REQUESTS.items()
        for experiment in both(setting, outcome, data)
    ),
    follows={
        "200*": "It is taken. A proxy in front that reads such a request in another way may be "
        "led to take its end for a request of its own; let it refuse them.",
    },
)
