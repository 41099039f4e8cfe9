"""What Locust's own clients read of an answer is bounded, on the wire and unpacked.

In a process of its own, since importing Locust replaces the sockets of a process.
"""

from __future__ import annotations

import json
import subprocess
import sys

from tests.conftest import ROOT

SCRIPT = """
import locust
import gc, gzip, json, zlib
import brotli, gevent, gevent.pywsgi
from locust import FastHttpUser, HttpUser
from locust.env import Environment
from loopbench.loadtests.generator.users import bounded_bodies

MIB = bytes(1 << 20)
PLAIN = b"0123456789abcdef" * 4096
TWICE = PLAIN + PLAIN
raw = zlib.compressobj(wbits=-15)
PACKED = {
    "gzip": gzip.compress(TWICE),
    "deflate": raw.compress(TWICE) + raw.flush(),
    "zlib": zlib.compress(TWICE),
    "br": brotli.compress(TWICE),
}
packer = zlib.compressobj(9, zlib.DEFLATED, 31)
BOMBS = {
    "gzip": b"".join([packer.compress(MIB) for _ in range(40)] + [packer.flush()]),
    "br": brotli.compress(bytes(40 << 20), quality=1),
}
open_answers = 0


def endless():
    global open_answers
    open_answers += 1
    try:
        while True:
            yield MIB
    finally:
        open_answers -= 1


def app(environ, start_response):
    _, kind, *encoding = environ["PATH_INFO"].split("/")
    headers = [("Content-Type", "text/plain")]
    if encoding:
        headers.append(("Content-Encoding", encoding[0].replace("zlib", "deflate")))
    if kind == "said":
        headers.append(("Content-Length", str(10 << 30)))
    start_response("200 OK", headers)
    if kind in ("said", "unsaid"):
        return endless()
    table = {"packed": PACKED, "bomb": BOMBS}.get(kind)
    return [table[encoding[0]] if table else TWICE]


server = gevent.pywsgi.WSGIServer(("127.0.0.1", 0), app, log=None)
server.start()
base = f"http://127.0.0.1:{server.server_port}"
bounded_bodies.bound_bodies()
found, most_held = {}, bounded_bodies.MOST_HELD_BYTES


class Problem:
    last = None


def in_frames(error):
    # The longest body that is kept with an error, by the frames of its traceback.
    frame, longest = error and error.__traceback__, 0
    while frame is not None:
        values = frame.tb_frame.f_locals.values()
        longest = max([longest, *(len(one) for one in values if isinstance(one, bytearray))])
        frame = frame.tb_next
    return longest


environment = Environment()


@environment.events.request.add_listener
def note(exception, **_):
    Problem.last = exception


class Slow(HttpUser):
    host = base


class Fast(FastHttpUser):
    host = base


for client, kind in (("requests", Slow), ("fast", Fast)):
    session, kept = kind(environment).client, 0
    session.trust_env = False
    for path in ("plain", *(f"packed/{one}" for one in PACKED), "said", "unsaid",
                 *(f"bomb/{one}" for one in BOMBS), "plain"):
        answer = session.get("/" + path)
        last, Problem.last = Problem.last, None
        said = None if last is None else [type(last).__name__, str(last)]
        found.setdefault(f"{client} {path}", []).append(said or bytes(answer.content) == TWICE)
        kept = max(kept, in_frames(last))
        del answer, last
    with session.get("/unsaid", stream=True, catch_response=True) as answer:
        try:
            answer.content
        except bounded_bodies.TooLarge as error:
            found[f"{client} streamed"] = [str(error)]
        answer.success()
    del answer
    found[f"{client} kept"] = [kept]
    keep = [session.get("/plain").content for _ in range(3)]
    held = bounded_bodies._held.bytes
    del keep
    gc.collect()
    found[f"{client} held"] = [held >= 3 * len(TWICE), bounded_bodies._held.bytes]
    bounded_bodies.MOST_HELD_BYTES = len(TWICE)
    first = session.get("/plain").content
    session.get("/plain")
    found[f"{client} together"] = [str(Problem.last)]
    bounded_bodies.MOST_HELD_BYTES = most_held
    Problem.last = None
    del first
    gc.collect()
for _ in range(600):  # the server sees by its next write that the client has left
    if open_answers:
        gevent.sleep(0.05)
print(json.dumps({"found": found, "open": open_answers}))
"""

TOO_LARGE = ["TooLarge", "an answer of more than 16,777,216 bytes"]


def test_whole_bodies_are_bounded_in_both_clients() -> None:
    """One of 10 GB, whether it says so or not, and one that unpacks to too much, is a failed
    request; any other is read as before. What users hold at the same time is bounded in sum."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    right = ("packed/gzip", "packed/deflate", "packed/zlib", "packed/br")
    large = ("said", "unsaid", "bomb/gzip", "bomb/br")
    for client in ("requests", "fast"):
        expected = {
            f"{client} plain": [True, True],
            **{f"{client} {path}": [True] for path in right},
            **{f"{client} {path}": [TOO_LARGE] for path in large},
            f"{client} streamed": [TOO_LARGE[1]],
            f"{client} held": [True, 0],
            f"{client} kept": [0],
            f"{client} together": ["answers of more than 131,072 bytes at the same time"],
        }
        assert {name: one for name, one in told["found"].items() if name in expected} == expected
    assert told["open"] == 0
