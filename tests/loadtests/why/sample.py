"""A dump as callgrind writes it and the perf map beside it, small enough to be added up by hand.

Two requests: `serve` calls `handle`, which calls `encode` of an extension and itself once more; the
interpreter works for both, and once for nobody. What callgrind compresses is compressed here too.
"""

from __future__ import annotations

SITE = "/venv/lib/python3.12/site-packages"
EVAL = "_PyEval_EvalFrameDefault"
SERVE, HANDLE = "0x0000000000001003", "0x000000000000100b"

MAP = f"""\
1000 b py::serve:{SITE}/shop/server.py
100b b py::Shop.handle:{SITE}/shop/views.py
1016 b py::old:/nowhere/gone.py
1016 b py::join:<frozen posixpath>
"""

DUMP = f"""\
# callgrind format
version: 1
creator: callgrind-3.19.0
positions: instr
events: Ir
summary: 999

ob=(1) /usr/lib/libpython3.12.so.1.0
fl=(1) ceval.c
fn=(1) {EVAL}'{SERVE}
0x500 100
+4 20
cfi=(2) ???
cob=(2) ???
cfn=(2) {HANDLE}'{EVAL}'{SERVE}
calls=4 0x100b
+4 5000

ob=(2)
fn=(2)
0x100b 40
+9

fn=(3) 0x0000000000001000'main
0x1000 10

ob=(1)
fn=(4) {EVAL}'{HANDLE}'{EVAL}'{SERVE}
0x500 300
* 60
cob=(3) {SITE}/fast/_speed.cpython-312-x86_64-linux-gnu.so
cfn=(5) encode'{EVAL}'{HANDLE}'{EVAL}'{SERVE}
calls=2 0x10
+4 400
cob=(2)
cfn=(6) {HANDLE}'{EVAL}'{HANDLE}'{EVAL}'{SERVE}
calls=2 0x100b
+4 90

ob=(3)
fn=(5)
0x10 250

ob=(1)
fn=(7) memcpy'encode'{EVAL}'{HANDLE}'{EVAL}'{SERVE}
0x900 150

ob=(2)
fn=(6)
0x100b 90

ob=(1)
fn=(8) take_gil'PyThread_start
0x700 30

totals: 1050
"""
"""Of 1,050: serve 130, Shop.handle 490, encode 400, nobody 30."""
