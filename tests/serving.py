"""Servers for tests: an application in this process, or a process of its own."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from foveal.server.application import application
from foveal.server.metrics import Metrics
from foveal.server.service import Service
from foveal.server.settings import Limits, Settings
from foveal.server.shelf import Shelf

__all__ = ["BUNDLE", "DARK", "LIGHT", "Process", "client_of", "encoded", "problem_of", "service_of", "text"]

BUNDLE = Path(__file__).parent / "fixtures" / "bundles" / "1"


def encoded(level: int = 200, form: str = "PNG", side: int = 12) -> bytes:
    """A gray image that is as bright all over."""
    file = io.BytesIO()
    Image.fromarray(np.full((side, side), level, np.uint8)).save(file, form)
    return file.getvalue()


LIGHT, DARK = encoded(200), encoded(30)


def service_of(places: Mapping[str, Path] | None = None, token: str = "", **limits: Any) -> Service:
    settings, metrics = Settings(token=token, threads=1, limits=Limits(**limits)), Metrics()
    return Service(settings, metrics, Shelf(places or {"photos": BUNDLE}, settings, metrics))


@contextmanager
def client_of(service: Service) -> Iterator[TestClient]:
    """A client whose requests share one event loop."""
    app = application(service)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def text(data: bytes) -> str:
    """In base64."""
    return base64.b64encode(data).decode()


def problem_of(response: Any, status: int) -> dict[str, Any]:
    """The problem, once it is seen to be one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert {"type", "title", "status", "detail", "request"} <= told.keys()
    assert told["status"] == status
    assert told["type"].startswith("urn:foveal:problem:")
    assert told["detail"]
    assert told["request"] == response.headers["x-request-id"]
    return told


class Process:
    """`foveal serve` in a process of its own; `lines` are what it has logged."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [sys.executable, "-m", "foveal", "serve", *map(str, arguments), "--port", "0"]
        self.process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
        )
        self.lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self.lines.append(json.loads(line) if line.startswith("{") else {"event": "text", "text": line})
                self._changed.notify_all()
        with self._changed:
            self.lines.append({"event": "end"})
            self._changed.notify_all()

    def wait_for(self, event: str, count: int = 1, seconds: float = 30) -> dict[str, Any]:
        """The line of that event, the `count`-th of them."""

        def there() -> bool:
            return len(self.of(event)) >= count or bool(self.of("end"))

        with self._changed:
            assert self._changed.wait_for(there, seconds), self.lines
        found = self.of(event)
        assert len(found) >= count, self.lines
        return found[count - 1]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.wait_for("listening")["url"].removeprefix("http://").split(":")
        return host, int(port)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
