"""A server as a process: signals, slow clients, workers, what it refuses to begin with."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import BUNDLE, Process, encoded

LIGHT = encoded(200)
HEADERS = {"content-type": "image/png"}
SLOW = ("--header-seconds", "0.3", "--body-seconds", "0.3")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    with Process(BUNDLE, *SLOW, "--connections", "8") as server:
        server.wait_for("listening")
        yield server


def ask(address: tuple[str, int], method: str = "POST", path: str = "/v1/predict") -> tuple[int, dict]:
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request(method, path, LIGHT if method == "POST" else None, HEADERS)
        response = connection.getresponse()
        text = response.read().decode()
        return response.status, json.loads(text) if text.startswith("{") else {"text": text}
    finally:
        connection.close()


def left_over(connection: socket.socket, seconds: float = 5) -> bytes:
    """What comes until the other side closes."""
    connection.settimeout(seconds)
    found = b""
    try:
        while data := connection.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found


def dripped(address: tuple[str, int], first: bytes, drip: bytes) -> tuple[bytes, float]:
    """Send something, then a little every tenth of a second, until the connection is closed: the answer and when."""
    with socket.create_connection(address) as connection:
        connection.sendall(first)
        began, answer = time.monotonic(), b""
        connection.settimeout(0.1)
        while time.monotonic() < began + 8:
            try:
                data = connection.recv(65536)
                if not data:
                    break
                answer += data
            except TimeoutError:
                pass
            except OSError:
                break
            try:
                connection.sendall(drip)
            except OSError:
                break
        return answer, time.monotonic() - began


HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


@pytest.mark.parametrize(
    ("first", "drip", "status"),
    [
        (b"", b"", 408),
        (b"", b"\r\n", 408),
        (b"GET / HTTP/1.1\r\n", b"X: y\r\n", 408),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"x", 408),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 408),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", b"x", 200),
    ],
    ids=["nothing", "empty lines", "headers", "a body", "chunks", "a body that nobody asked for"],
)
def test_slow_clients_are_let_go(server: Process, first: bytes, drip: bytes, status: int) -> None:
    answer, took = dripped(server.address, first, drip)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert took < 4
    if status == 408:
        assert b"application/problem+json" in answer
    assert ask(server.address)[0] == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"X: " + 200_000 * b"y", 431),
        (HEAD + b"\r\n", 422),
        (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
        (HEAD + b"Content-Length: 999999999999\r\n\r\n", 413),
        (HEAD + b"Content-Length: 1000\r\n\r\n" + LIGHT, 408),
    ],
)
def test_requests_that_lie(server: Process, sent: bytes, status: int) -> None:
    with socket.create_connection(server.address) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR) if status in (400, 422) else None
        head, _, body = left_over(connection).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in head.lower()
    assert json.loads(body)["status"] == status


def test_more_connections_than_it_takes(server: Process) -> None:
    opened = [socket.create_connection(server.address) for _ in range(12)]
    try:
        answers = [left_over(connection) for connection in opened]
    finally:
        for connection in opened:
            connection.close()
    assert sum(answer.startswith(b"HTTP/1.1 503 ") for answer in answers) >= 4
    assert ask(server.address)[0] == 200


def test_sigterm_answers_what_is_under_way() -> None:
    with Process(BUNDLE) as server:
        host, port = server.address
        with socket.create_connection((host, port)) as connection:
            connection.sendall(HEAD + f"Content-Length: {len(LIGHT)}\r\n\r\n".encode() + LIGHT[:20])
            time.sleep(0.3)
            server.send(signal.SIGTERM)
            server.wait_for("draining")
            time.sleep(0.3)
            with pytest.raises(ConnectionRefusedError):
                ask((host, port))
            connection.sendall(LIGHT[20:])
            answer = left_over(connection)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b'"label": "light"' in answer
        assert server.process.wait(10) == 0


def test_sighup_reloads_while_it_answers(tmp_path: Path) -> None:
    bundle = shutil.copytree(BUNDLE, tmp_path / "bundle")
    with Process(f"photos={bundle}") as server:
        address, statuses, stop = server.address, [], threading.Event()

        def go_on() -> None:
            while not stop.is_set():
                statuses.append(ask(address)[0])

        thread = threading.Thread(target=go_on)
        thread.start()
        server.send(signal.SIGHUP)
        server.wait_for("reloaded")
        (bundle / "bundle.json").write_text("{")
        server.send(signal.SIGHUP)
        assert "no JSON" in server.wait_for("reload refused")["reason"]
        stop.set()
        thread.join()
        assert set(statuses) == {200}
        assert ask(address)[0] == 200
        server.send(signal.SIGINT)
        assert server.process.wait(10) == 130


def test_workers_share_a_port_and_their_numbers() -> None:
    with Process(BUNDLE, "--workers", "2") as server:
        server.wait_for("listening", 2)
        pids = {line["pid"] for line in server.of("listening")}
        assert len(pids) == 2
        for _ in range(20):
            assert ask(server.address)[0] == 200
        text = ask(server.address, "GET", "/metrics")[1]["text"]
        assert 'foveal_images_total{model="1",outcome="answered"} 20.0' in text.splitlines()
        status, told = ask(server.address, path="/admin/reload")
        assert (status, told["workers"]) == (200, 2)
        server.wait_for("reloaded", 3)  # the one that was asked, and then both
        victim = pids.pop()
        subprocess.run(["kill", "-9", str(victim)], check=True)
        server.wait_for("a worker ended")
        server.wait_for("listening", 3)
        assert ask(server.address)[0] == 200
        server.send(signal.SIGTERM)
        assert server.process.wait(15) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([BUNDLE, "--host", "0.0.0.0"], "Expected a token"),
        ([BUNDLE, "--token-file", "/nowhere"], "cannot be read"),
        ([BUNDLE.parent], "Expected a bundle"),
        ([BUNDLE, BUNDLE], "Two models are called 1"),
        ([BUNDLE, "--images", "300"], "only 256 fit"),
        ([BUNDLE, "--host", "no.such.host.invalid", "--token-file", "TOKEN"], "no address of this machine"),
    ],
)
def test_what_it_does_not_begin_with(
    tmp_path: Path, arguments: list, words: str, capsys: pytest.CaptureFixture
) -> None:
    from foveal.cli import main

    (tmp_path / "token").write_text("0123456789abcdef")
    arguments = [str(tmp_path / "token") if argument == "TOKEN" else str(argument) for argument in arguments]
    with pytest.raises(SystemExit) as ended:
        main(["serve", *arguments])
    assert ended.value.code == 1
    assert words in capsys.readouterr().err


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture) -> None:
    from foveal.cli import main

    with socket.create_server(("127.0.0.1", 0)) as taken:
        arguments = ["serve", str(BUNDLE), "--port", str(taken.getsockname()[1])]
        with pytest.raises(SystemExit) as ended:
            main(arguments)
    assert ended.value.code == 1
    assert "cannot be listened on" in capsys.readouterr().err


def test_the_example_clients(tmp_path: Path) -> None:
    clients = Path(__file__).parents[2] / "examples" / "serving"
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    one.write_bytes(LIGHT)
    two.write_bytes(encoded(30))
    (tmp_path / "token").write_text("0123456789abcdef")
    environment = {**os.environ, "FOVEAL_TOKEN": "0123456789abcdef"}
    with Process(f"photos={BUNDLE}", "--token-file", tmp_path / "token") as server:
        url = "http://{}:{}".format(*server.address)
        commands = [
            ([sys.executable, "client.py", url, one, two], 3),
            (["sh", "client.sh", url, "photos", one, two], 3),
            (["node", "client.mjs", url, one, two], 2),
        ]
        for command, lines in commands:
            if shutil.which(command[0]) and (command[0] != "sh" or shutil.which("curl")):
                done = subprocess.run(
                    command, cwd=clients, env=environment, capture_output=True, text=True, timeout=30, check=False
                )
                assert done.returncode == 0, done.stderr
                assert "light" in done.stdout
                assert "dark" in done.stdout
                assert len(done.stdout.splitlines()) == lines
        del environment["FOVEAL_TOKEN"]
        refused = [sys.executable, "client.py", url, one]
        done = subprocess.run(refused, cwd=clients, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.startswith("401 Unauthorized")) == (1, True)
