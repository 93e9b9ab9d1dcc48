"""Requests a second and how long they take: `foveal serve` beside ONNX Runtime behind FastAPI, same model, same images.

Each server is a process of its own, the load another. Closed loop: each of n connections sends its next request when it
has its answer; the best number of connections of a server is its capacity. Overload: requests are sent twice as often
as that, whether answers have come or not, and those that are answered and refused are timed apart. Memory: of the
server, before and after.

    python benchmarks/serve.py BUNDLE [--seconds 20] [--connections 1 8 32] [--image FILE] [--workers 1]
"""

import argparse
import asyncio
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
BOUNDARY = b"foveal-bench"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--image", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--load", nargs=4, metavar=("URL", "RATE", "N", "SECONDS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    image = options.image.read_bytes() if options.image else photograph()
    if options.load:
        url, rate, connections, seconds = options.load
        print(json.dumps(asyncio.run(load(url, image, float(rate), int(connections), float(seconds)))))
        return
    versions = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "fastapi", "uvicorn"))
    print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, {versions}")
    print(f"image of {len(image):,} bytes, {options.seconds:g} s each\n")
    print("| server | load | requests/s | p50 ms | p99 ms | refused/s | p99 ms | failed | memory MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, command in servers(options):
        with running(command) as (process, url):
            before, capacity = memory_of(process), 0.0
            for connections in options.connections:
                found = asked(options, url, 0, connections)
                capacity = max(capacity, found["answered"] / found["seconds"])
                row(name, f"{connections} connections", found, f"{before:.0f} → {memory_of(process):.0f}")
            found = asked(options, url, 2 * capacity, 400)
            row(name, f"{2 * capacity:.0f} a second", found, f"{before:.0f} → {memory_of(process):.0f}")


def photograph() -> bytes:
    """A JPEG as large as a small photograph, drawn here: 640×480."""
    import io

    import numpy as np
    from PIL import Image

    small = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def servers(options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    contract = json.loads((options.bundle / "bundle.json").read_text())["input"]
    port = free_port()
    ours = ["-m", "foveal", "serve", f"bench={options.bundle}", "--workers", str(options.workers)]
    yield "foveal serve", [sys.executable, *ours, "--port", str(port), "/v1/predict"]
    size = [str(contract[key]) for key in ("height", "width", "channels")]
    plain = [str(HERE / "peers" / "serve_plain.py"), str(options.bundle / "model.onnx"), *size]
    yield "plain FastAPI", [sys.executable, *plain, str(free_port()), "/predict"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@contextmanager
def running(command: list[str]) -> Iterator[tuple[subprocess.Popen, str]]:
    """The server, once it listens, and the address of its predictions."""
    *command, path = command
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = ("127.0.0.1", int(command[-1]))
    try:
        for _ in range(300):
            try:
                socket.create_connection(address, 0.2).close()
                break
            except OSError:
                time.sleep(0.1)
        yield process, f"{address[0]}:{address[1]}{path}"
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def memory_of(process: subprocess.Popen) -> float:
    """Resident MB of it and those that it started."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid=,rss="], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, line.split())) for line in found.splitlines()]
    return sum(rss for pid, parent, rss in rows if process.pid in (pid, parent)) / 1024


def asked(options: argparse.Namespace, url: str, rate: float, connections: int) -> dict:
    """The load, from a process of its own."""
    image = ["--image", str(options.image)] if options.image else []
    told = [url, str(rate), str(connections), str(options.seconds)]
    command = [sys.executable, __file__, str(options.bundle), *image, "--load", *told]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


async def load(url: str, image: bytes, rate: float, connections: int, seconds: float) -> dict:
    """Times in seconds by outcome. A rate of 0: as fast as answers come."""
    address, path = url.split("/", 1)
    host, port = address.split(":")
    part = b'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg'
    body = b"--%b\r\n%b\r\n\r\n%b\r\n--%b--\r\n" % (BOUNDARY, part, image, BOUNDARY)
    head = (
        f"POST /{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}\r\n\r\n"
    )
    request = head.encode() + body
    times: dict[str, list[float]] = {"answered": [], "refused": [], "failed": []}
    begin = time.perf_counter() + 0.5
    end = begin + seconds
    turn = 0

    async def client() -> None:
        nonlocal turn
        reader = writer = None
        while time.perf_counter() < end:
            if rate:  # when this request is due, whatever became of the others; late ones count from then
                due, turn = begin + turn / rate, turn + 1
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            else:
                due = time.perf_counter()
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(request)
                await writer.drain()
                status = await asyncio.wait_for(response(reader), 30)
            except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
                status, writer = 0, None
            kind = "answered" if status == 200 else "refused" if status == 503 else "failed"
            times[kind].append(time.perf_counter() - due)

    await asyncio.gather(*(client() for _ in range(connections)))
    took = time.perf_counter() - begin
    told: dict[str, float] = {kind: len(found) for kind, found in times.items()} | {"seconds": took}
    for kind in ("answered", "refused"):
        found = sorted(times[kind]) or [float("nan")]
        told |= {f"{kind}_p50": statistics.median(found), f"{kind}_p99": found[int(0.99 * (len(found) - 1))]}
    return told


async def response(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    size = next(int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-length"))
    await reader.readexactly(size)
    return int(head.split(b" ", 2)[1])


def row(name: str, what: str, found: dict, memory: str) -> None:
    answered, refused = (found[kind] / found["seconds"] for kind in ("answered", "refused"))
    cells = [name, what, f"{answered:.0f}", f"{1e3 * found['answered_p50']:.1f}", f"{1e3 * found['answered_p99']:.1f}"]
    cells += [f"{refused:.0f}", f"{1e3 * found['refused_p99']:.1f}", f"{found['failed']:.0f}", memory]
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
