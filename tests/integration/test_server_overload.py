"""A server that has too much to do, slow clients, and its end: as a process, over sockets."""

import asyncio
import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

import httptools
import numpy as np
import pytest
import uvicorn

from foveal.bundle import Outputs
from foveal.server.application import application
from foveal.server.protocol import DROPPED, bounded_protocol
from foveal.server.service import Service
from serving import BUNDLE, Process, encoded, service_of

LIGHT = encoded(200)
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(LIGHT) + LIGHT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


class Held:
    """A server in a thread of this process, whose network answers when `go` is set."""

    def __init__(self, service: Service) -> None:
        self.service, self.go, self.running = service, threading.Event(), threading.Event()
        predictor = service.shelf.find(None).batcher.predictor
        observe = predictor.observe
        assert observe is not None

        def held(pixels: np.ndarray) -> Outputs:
            self.running.set()
            assert self.go.wait(10)
            return observe(pixels)

        object.__setattr__(predictor, "observe", held)
        http = bounded_protocol(service.settings.limits, service.admission)
        config = uvicorn.Config(application(service), http=http, ws="none", lifespan="off", log_config=None)
        self.server = uvicorn.Server(config)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve([self.listener])))

    def connection(self) -> socket.socket:
        found = socket.create_connection(self.listener.getsockname())
        found.settimeout(5)
        return found


@contextlib.contextmanager
def full() -> Iterator[Held]:
    """A server that works on the one request that it takes at one time."""
    held = Held(service_of(requests=1))
    held.thread.start()
    try:
        with held.connection() as first:
            first.sendall(WHOLE)
            assert held.running.wait(10)
            yield held
            held.go.set()
            assert answer(first)[0] == 200
    finally:
        held.go.set()
        held.server.should_exit = True
        held.thread.join(10)


class Response:
    """What httptools reads of a response."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_message_complete(self) -> None:
        self.whole = True


def answer(connection: socket.socket) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers of the next response; its body is read."""
    told = Response()
    parser = httptools.HttpResponseParser(told)
    while not told.whole:
        data = connection.recv(1 << 16)
        assert data, "closed before the response was whole"
        parser.feed_data(data)
    return parser.get_status_code(), told.headers


def test_a_refusal_comes_before_the_body_and_the_connection_goes_on() -> None:
    with full() as held, held.connection() as connection:
        for _ in range(3):
            connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
            status, headers = answer(connection)
            assert (status, headers[b"retry-after"]) == (503, b"1")
            assert headers[b"content-type"] == b"application/problem+json"
            assert b"connection" not in headers
            connection.sendall(1000 * b"x")  # the body, which is no part of the next request
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer(connection)[0] == 200
        assert held.service.memory.held == len(LIGHT)
        held.go.set()
        while held.service.admission.working:
            time.sleep(0.01)
        connection.sendall(WHOLE)
        assert answer(connection)[0] == 200


@pytest.mark.parametrize(
    "more",
    [
        b"Content-Length: %d\r\n\r\n" % (DROPPED + 1),
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
        b"Content-Length: 10\r\nConnection: close\r\n\r\n",
    ],
    ids=["large", "chunked", "expected", "last"],
)
def test_a_body_that_is_not_read_ends_the_connection(more: bytes) -> None:
    with full() as held, held.connection() as connection:
        connection.sendall(HEAD + more + 9 * b"x")
        status, headers = answer(connection)
        assert (status, headers[b"connection"]) == (503, b"close")
        connection.sendall(100 * b"x")  # is taken in, and does not reset what may not have been read yet
        assert connection.recv(1) == b""


def test_a_response_is_not_lost_when_the_body_is_too_large() -> None:
    held = Held(service_of(body=1 << 16))
    held.thread.start()
    try:
        with held.connection() as connection:
            connection.sendall(HEAD + b"Connection: close\r\nContent-Length: 4000000\r\n\r\n")
            time.sleep(0.2)  # the response is on its way
            connection.sendall(bytes(4_000_000))
            assert answer(connection)[0] == 413
    finally:
        held.server.should_exit = True
        held.thread.join(10)


def test_slow_bodies_take_nobodys_place() -> None:
    with Process(BUNDLE, "--requests", "2", "--body-seconds", "1", "--header-seconds", "1") as server:
        slow = [socket.create_connection(server.address) for _ in range(40)]
        began = time.monotonic()
        try:
            for k, connection in enumerate(slow):
                connection.sendall(HEAD + (b"Content-Length: 1000\r\n\r\nx" if k % 2 else b"X-A: "))
            with socket.create_connection(server.address) as connection:
                connection.settimeout(5)
                for _ in range(20):
                    connection.sendall(WHOLE)
                    assert answer(connection)[0] == 200
            for connection in slow:
                connection.settimeout(5)
                assert answer(connection)[0] == 408
                assert connection.recv(1) == b""
        finally:
            for connection in slow:
                connection.close()
        assert time.monotonic() - began < 5


def test_the_queue_is_bounded_and_the_log_is_short() -> None:
    with Process(BUNDLE, "--requests", "1", "--images", "1", "--queue", "1") as server:
        connections = [socket.create_connection(server.address) for _ in range(20)]
        statuses: list[int] = []
        try:
            for _ in range(20):
                for connection in connections:
                    connection.sendall(WHOLE)
                for connection in connections:
                    connection.settimeout(5)
                    statuses.append(answer(connection)[0])
        finally:
            for connection in connections:
                connection.close()
        assert set(statuses) == {200, 503}
        server.send(signal.SIGTERM)
        assert server.process.wait(10) == 0
        server.wait_for("stopped")
        requests = [line["status"] for line in server.of("request")]
        refused = sum(line.get("busy", 0) + line.get("queue-full", 0) for line in server.of("refused"))
        assert requests.count(200) == statuses.count(200)
        assert requests.count(503) + refused == statuses.count(503)


def test_sigterm_loses_no_request_of_open_connections() -> None:
    with Process(BUNDLE) as server:
        address, statuses, ended = server.address, [], []

        def ask() -> None:
            with socket.create_connection(address) as connection:
                connection.settimeout(10)
                while True:
                    connection.sendall(WHOLE)
                    status, headers = answer(connection)
                    statuses.append(status)
                    if headers.get(b"connection") == b"close":
                        ended.append(connection.recv(1))
                        return

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        server.send(signal.SIGTERM)
        for thread in threads:
            thread.join(10)
        assert ended == [b""] * len(threads)
        assert set(statuses) == {200}
        assert server.process.wait(10) == 0
