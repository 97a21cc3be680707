"""A page in headless Chromium, driven through the DevTools protocol on a pair of pipes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # containers run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-extensions",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
    "--remote-debugging-pipe",
)
# The browser reads commands from descriptor 3 and answers on 4.
_START = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
_SECONDS = 60.0
_KEYS = {"Enter": (13, "\r"), " ": (32, " "), "Tab": (9, ""), "ArrowRight": (39, ""), "ArrowLeft": (37, "")}
_KEYS |= {"Home": (36, ""), "End": (35, "")}


def find_chromium() -> str | None:
    """The browser's program, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Chromium:
    """One browser with one page at a time. Used as a context.

    Attributes:
        console: warnings and errors of the page and of the browser about the page, since :meth:`open`.
        requests: addresses that the page asked for, since :meth:`open`.
    """

    def __init__(self) -> None:
        self.console: list[str] = []
        self.requests: list[str] = []
        self._held = b""
        self._number = 0
        self._session: str | None = None
        self._target = ""

    def __enter__(self) -> Chromium:
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        here, theirs = os.pipe(), os.pipe()
        program = find_chromium() or "chromium"
        arguments = [program, *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(here[0]), str(theirs[1]), *arguments],
            pass_fds=(here[0], theirs[1]),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(here[0])
        os.close(theirs[1])
        self._write, self._read = here[1], theirs[0]
        os.set_blocking(self._read, False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._write)
        os.close(self._read)
        self._profile.cleanup()

    def open(self, path: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a file and wait until it is complete."""
        if self._session is not None:
            self.call("Target.closeTarget", browser=True, targetId=self._target)
        self._target = self.call("Target.createTarget", browser=True, url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", browser=True, targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        self.console, self.requests = [], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """The value of an expression, awaited where it is a promise."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until an expression is true."""
        end = time.monotonic() + _SECONDS
        while not self.evaluate(condition):
            if time.monotonic() > end:
                raise AssertionError(f"never true: {condition}")
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """Type a key of :data:`_KEYS` into whatever has the focus."""
        number, text = _KEYS[key]
        about = {
            "key": key,
            "code": "Space" if key == " " else key,
            "windowsVirtualKeyCode": number,
            "text": text,
        }
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **{**about, "text": ""})

    def call(self, method: str, browser: bool = False, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come first are noted."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if not browser:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            answer = self._next()
            if answer is None:
                time.sleep(0.005)
            elif answer.get("id") == self._number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            else:
                self._note(answer)
        raise AssertionError(f"{method} was never answered")

    def _next(self) -> dict[str, Any] | None:
        while b"\0" not in self._held:
            try:
                part = os.read(self._read, 1 << 16)
            except BlockingIOError:
                return None
            if not part:
                raise AssertionError("Chromium has ended")
            self._held += part
        message, _, self._held = self._held.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        about = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            self.console.append(str(about["exceptionDetails"]))
        elif event["method"] == "Runtime.consoleAPICalled" and about["type"] in (
            "error",
            "warning",
            "assert",
        ):
            self.console.append(str(about["args"]))
        elif event["method"] == "Log.entryAdded":
            self.console.append(str(about["entry"]))
        elif event["method"] == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
