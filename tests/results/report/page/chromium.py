"""A headless Chromium, spoken to over its debugging pipe with the standard library alone.

Protocol: https://chromedevtools.github.io/devtools-protocol/, JSON messages that
end in a zero byte, on descriptors 3 and 4 of the browser.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
BOUND_S = 60.0

_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
    "about:blank",
)


_LAUNCH = """
import fcntl, os, sys
orders, answers = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(orders, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Puts the pipe's ends where Chromium looks for them, and becomes Chromium."""


def installed() -> str | None:
    """The path of a Chromium, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Page:
    """One page. events: what the browser told so far, beside answers."""

    orders: int
    answers: int
    session: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    _number: int = 0
    _read: bytes = b""

    def order(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result. Raises RuntimeError where it fails."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.orders, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']}")
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def wait_for(self, event: str) -> None:
        """Return when the browser has told of it."""
        while not any(told.get("method") == event for told in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + BOUND_S
        while b"\0" not in self._read:
            ready, _, _ = select([self.answers], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self.answers, 1 << 20) if ready else b""
            if not chunk:
                raise RuntimeError("Chromium ended, or said nothing in time")
            self._read += chunk
        message, _, self._read = self._read.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told

    def open(
        self, file: Path, width: int = 1280, *, dark: bool = False, fragment: str = ""
    ) -> None:
        """Open a file from disk anew, as wide as that, and wait until it is loaded."""
        self.order(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=844,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.order("Emulation.setEmulatedMedia", features=[scheme])
        # An address that differs in its fragment alone would load nothing.
        for url in ("about:blank", file.resolve().as_uri() + fragment):
            self.events.clear()
            self.order("Page.navigate", url=url)
            self.wait_for("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to, as JSON types."""
        result = self.order(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def press(self, key: str, text: str = "") -> None:
        """One key, down and up, where the focus is. text: what it writes, such as a blank."""
        code = {" ": "Space"}.get(key, key)
        number = {"Enter": 13, "Tab": 9, " ": 32, "Escape": 27}[key]
        for kind in ("keyDown", "keyUp"):
            told = {"text": text} if text and kind == "keyDown" else {}
            self.order(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=code,
                windowsVirtualKeyCode=number,
                **told,
            )

    def write(self, text: str) -> None:
        """Text, where the focus is."""
        self.order("Input.insertText", text=text)

    def point(self, x: float, y: float) -> None:
        """Move the pointer there, in pixels of the window."""
        self.order("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def told(self, *methods: str) -> list[dict[str, Any]]:
        """Parameters of the events of these names since the page was opened."""
        return [told["params"] for told in self.events if told.get("method") in methods]

    def picture(self, file: Path) -> None:
        """The whole page as PNG."""
        shot = self.order("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        file.write_bytes(base64.b64decode(shot["data"]))

    def printed(self, file: Path) -> None:
        """The page as it is printed, as PDF."""
        pages = self.order("Page.printToPDF", printBackground=False)
        file.write_bytes(base64.b64decode(pages["data"]))


@contextmanager
def browser() -> Iterator[Page]:
    """A Chromium with one blank page, which tells of its console and of what it fetches."""
    program = installed()
    assert program is not None
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        read_orders, orders = os.pipe()
        answers, write_answers = os.pipe()
        command = [program, f"--user-data-dir={profile}", *_OPTIONS]
        child = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(read_orders), str(write_answers), *command],
            pass_fds=(read_orders, write_answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_orders)
        os.close(write_answers)
        try:
            page = Page(orders, answers)
            target = page.order("Target.createTarget", url="about:blank")["targetId"]
            attached = page.order("Target.attachToTarget", targetId=target, flatten=True)
            page.session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                page.order(f"{domain}.enable")
            yield page
            page.session = ""
            page.order("Browser.close")
            child.wait(BOUND_S)
        finally:
            os.close(orders)
            os.close(answers)
            child.kill()
            child.wait()
