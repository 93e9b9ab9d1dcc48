"""A server as a process, and programs beside it."""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Server:
    """One that listens."""

    name: str
    process: subprocess.Popen
    port: int
    path: str

    def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Status and text."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """The sum of a metric's series."""
        lines = self.get("/metrics")[1].splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def memory(self) -> float:
        """Megabytes of it and those that it started; pages that several share are counted once (PSS)."""
        found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        pairs = [tuple(map(int, line.split())) for line in found.splitlines()]
        return sum(_shared(pid) for pid, parent in pairs if self.process.pid in (pid, parent))


def _shared(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@contextlib.contextmanager
def running(name: str, arguments: Sequence[str], path: str) -> Iterator[Server]:
    """A server of `python ARGUMENTS PORT`, once it listens."""
    with socket.create_server((HOST, 0)) as found:
        port = found.getsockname()[1]
    command = [sys.executable, *arguments, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                socket.create_connection((HOST, port), 0.2).close()
                break
            time.sleep(0.1)
        else:
            raise SystemExit(f"{name} does not listen: {' '.join(command)}")
        yield Server(name, process, port, path)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Program:
    """`load.py` or `slow.py` at work against a server."""

    def __init__(self, script: str, server: Server, **told: Any) -> None:
        told |= {"address": [HOST, server.port], "path": server.path}
        command = [sys.executable, str(HERE / script)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told))
        self._process.stdin.close()

    def seen(self, mark: Callable[[int], None] = lambda count: None) -> dict[str, Any]:
        """What it tells at its end; `mark` is called at every mark on the way."""
        assert self._process.stdout is not None
        last: dict[str, Any] = {}
        for line in self._process.stdout:
            last = json.loads(line)
            if last.keys() == {"mark"}:
                mark(last["mark"])
        if self._process.wait():
            raise SystemExit("the load failed")
        return last
