"""A load for a server, run as a process of its own: what to do as JSON on stdin, what was seen as JSON on stdout.

Closed loop (`rate` 0): each connection sends its next request when it has its answer. Open loop: requests are due at
`rate` a second whatever became of the others, and take any connection that is free. Times run from the call that
sends a request to the head of its response, by this program's clock and in its turn: what it is late itself is in them.

    {"address": ["127.0.0.1", 8000], "path": "/v1/predict", "rate": 0, "connections": 32, "seconds": 20}
"""

import asyncio
import gc
import json
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BOUNDARY = b"foveal-bench"
PATIENCE = 30.0  # seconds after which a request has failed


@dataclass
class Seen:
    """What became of the requests."""

    times: dict[str, list[float]] = field(default_factory=lambda: {"answered": [], "refused": []})
    failed: Counter = field(default_factory=Counter)  # by why
    late: list[float] = field(default_factory=list)  # from when a request was due until it was sent
    turned_away: int = 0  # connections refused


class Connection(asyncio.Protocol):
    """One request at a time; `free` is called when there is room for the next."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._began = 0.0
        self._kind = ""  # of the response that comes in
        self._left = -1  # bytes of its body; -1 while the head is not whole
        self._head = b""
        self._closing = False

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._began, self._closing = 0.0, False

    def ask(self) -> None:
        assert self._transport is not None
        self._kind, self._left, self._head = "", -1, b""
        self._began = time.perf_counter()
        self._transport.write(self._load.request)

    @property
    def waits(self) -> float:
        """Since when it has been waiting for a response; 0 where it does not."""
        return self._began

    def give_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head += data
            head, ended, rest = self._head.partition(b"\r\n\r\n")
            if not ended:
                return
            took = time.perf_counter() - self._began
            status, self._left, retry, self._closing = _parsed(head)
            self._left -= len(rest)
            known = {200: "answered", 503: "refused" if retry else "503 without Retry-After"}
            self._kind = known.get(status, str(status))
            if self._kind in self._load.seen.times:
                self._load.seen.times[self._kind].append(took)
            else:
                self._load.seen.failed[self._kind] += 1
        else:
            self._left -= len(data)
        if self._left <= 0:
            self._began = 0.0
            if self._closing and self._transport is not None:
                self._transport.close()
            else:
                self._load.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._began and (self._left < 0 or self._left > 0):
            self._load.seen.failed["reset" if exc else "closed without an answer"] += 1
            if self._kind in self._load.seen.times:
                self._load.seen.times[self._kind].pop()
        self._began, self._transport = 0.0, None
        self._load.lost(self)


class Load:
    """All connections."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told, self.seen = told, Seen()
        self.request = request(told["path"], Path(told["image"]).read_bytes())
        self.sent = 0
        self._marks = frozenset(told.get("marks", ()))  # counts that are told when they are reached
        self._idle: deque[Connection] = deque()
        self._all: list[Connection] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._over = False

    async def run(self) -> dict[str, Any]:
        self._all = [Connection(self) for _ in range(self.told["connections"])]
        await asyncio.gather(*(self._connected(connection, hand_out=False) for connection in self._all))
        began = time.perf_counter()
        end = began + self.told["seconds"]
        self._idle = deque(self._all)
        gc.freeze()
        gc.disable()  # nothing here is cyclic, and a collection would stand in the times
        pace = self._paced(began, end) if self.told["rate"] else self._as_fast_as_answers_come(end)
        await pace
        took = time.perf_counter() - began
        self._over = True
        while any(connection.waits for connection in self._all) and time.perf_counter() < end + PATIENCE:
            await asyncio.sleep(0.01)
        self.seen.failed["no answer"] += sum(bool(connection.waits) for connection in self._all)
        return self._told(took)

    async def _as_fast_as_answers_come(self, end: float) -> None:
        for connection in list(self._idle):
            self._ask(connection)
        while time.perf_counter() < end and self._wanted():
            await asyncio.sleep(0.02)
            if self.seen.turned_away and not any(connection.open for connection in self._all):
                break  # the server is gone

    async def _paced(self, begin: float, end: float) -> None:
        turn = 0
        while (now := time.perf_counter()) < end:
            while begin + turn / self.told["rate"] <= now and self._idle:
                connection = self._idle.popleft()
                if connection.open:
                    self.seen.late.append(now - begin - turn / self.told["rate"])
                    turn += 1
                    self._ask(connection)
            await asyncio.sleep(max(0.0005, begin + turn / self.told["rate"] - now) if self._idle else 0.001)

    def _wanted(self) -> bool:
        most = self.told.get("requests", 0)
        return not most or self.sent < most

    def _ask(self, connection: Connection) -> None:
        if self._wanted() and connection.open:
            self.sent += 1
            if self.sent in self._marks:
                print(json.dumps({"mark": self.sent}), flush=True)
            connection.ask()

    def free(self, connection: Connection) -> None:
        if self._over:
            return
        if self.told["rate"]:
            self._idle.append(connection)
        else:
            self._ask(connection)

    def lost(self, connection: Connection) -> None:
        if not self._over:
            task = asyncio.get_running_loop().create_task(self._connected(connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connected(self, connection: Connection, hand_out: bool = True) -> None:
        host, port = self.told["address"]
        try:
            await asyncio.get_running_loop().create_connection(lambda: connection, host, port)
        except OSError:
            self.seen.turned_away += 1
            return
        if hand_out:
            self.free(connection)

    def _told(self, took: float) -> dict[str, Any]:
        told: dict[str, Any] = {"seconds": took, "sent": self.sent, "turned_away": self.seen.turned_away}
        told["failed"] = {why: count for why, count in self.seen.failed.items() if count}
        for kind, times in {**self.seen.times, "late": self.seen.late}.items():
            found = sorted(times)
            told[kind] = {"n": len(found), **{f"p{at}": _quantile(found, at) for at in (50, 99, 100)}}
        return told


def request(path: str, image: bytes) -> bytes:
    """A form with one file."""
    part = b'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg'
    body = b"--%b\r\n%b\r\n\r\n%b\r\n--%b--\r\n" % (BOUNDARY, part, image, BOUNDARY)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return (head + f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}\r\n\r\n").encode() + body


def _parsed(head: bytes) -> tuple[int, int, bool, bool]:
    """Status, bytes of the body, whether it says when to try again, whether the connection ends."""
    first, *lines = head.lower().split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    closing = headers.get(b"connection") == b"close"
    return int(first[9:12]), int(headers[b"content-length"]), b"retry-after" in headers, closing


def _quantile(ordered: list[float], at: int) -> float | None:
    """In milliseconds; the value at or below which `at` in 100 lie."""
    return 1e3 * ordered[max(0, -(-at * len(ordered) // 100) - 1)] if ordered else None


if __name__ == "__main__":
    print(json.dumps(asyncio.run(Load(json.load(sys.stdin)).run())))
