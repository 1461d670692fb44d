"""A real browser without a window, driven over a pair of pipes: no driver and no package is needed."""

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--remote-debugging-pipe",
)


class Page:
    """One tab, spoken to in the DevTools protocol."""

    def __init__(self, out: Any, back: Any) -> None:
        self._out, self._back, self._number, self._session = out, back, 0, None
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None and not method.startswith("Browser."):
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def wait_for(self, method: str) -> dict[str, Any]:
        """Return the first event of a kind that has not been waited for yet."""
        while True:
            for position, event in enumerate(self.events):
                if event["method"] == method:
                    return self.events.pop(position)
            self._read()

    def open(self, path: Path) -> None:
        self.ask("Page.navigate", url=path.as_uri())
        self.wait_for("Page.loadEventFired")

    def run(self, script: str) -> Any:
        result = self.ask("Runtime.evaluate", expression=script, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" else "")

    def _read(self) -> dict[str, Any]:
        data = bytearray()
        while not data.endswith(b"\0"):
            byte = self._back.read(1)
            assert byte, "the browser has gone"
            data += byte
        message = json.loads(data[:-1])
        if "method" in message:
            self.events.append(message)
        return message


@contextmanager
def browser() -> Iterator[Page]:
    """Start a browser with a profile of its own; the test is skipped where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser to drive: none of {', '.join(NAMES)} is installed")
    fcntl = pytest.importorskip("fcntl", reason="pipes are handed over as POSIX does it")
    ours_read, theirs_write = os.pipe()
    theirs_read, ours_write = os.pipe()
    # Moved up, so that what becomes 3 does not overwrite what is to become 4.
    high = [fcntl.fcntl(pipe, fcntl.F_DUPFD_CLOEXEC, 10) for pipe in (theirs_read, theirs_write)]
    os.close(theirs_read)
    os.close(theirs_write)

    def connect() -> None:
        """Give the browser the two descriptors that it reads from and writes to."""
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *OPTIONS, f"--user-data-dir={profile}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=connect,
        )
        for pipe in high:
            os.close(pipe)
        alarm = threading.Timer(60, process.kill)  # then reading fails, and the test with it
        alarm.start()
        try:
            with open(ours_write, "wb") as out, open(ours_read, "rb") as back:
                yield Page(out, back)
        finally:
            alarm.cancel()
            process.terminate()
            process.wait(20)
