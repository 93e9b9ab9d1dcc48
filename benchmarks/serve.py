"""What a server does under load: `foveal serve` beside ONNX Runtime behind FastAPI, same model, same images.

Each server is a process of its own, the load another (serving/load.py), on the same machine. Parts:

load      requests a second and their times: each of n connections sends its next request when it has its answer; the
          last number of connections for `--minutes`
overload  requests come twice as fast as it answers, whether answers have come or not
memory    of the process and its children (PSS) at request 1,000, 10,000 and 50,000, during `load`
slow      8 ordinary connections alone and beside 500 that send a byte a second; Foveal only, as all that follow
reload    SIGHUP and /admin/reload while it answers
stop      SIGTERM while it answers

    python benchmarks/serve.py BUNDLE --check
    python benchmarks/serve.py BUNDLE --parts overload --only foveal --seconds 10
"""

import argparse
import io
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

from serving.process import running

from serving import parts

HERE = Path(__file__).parent
PARTS = ("load", "overload", "memory", "slow", "reload", "stop")
OURS, PLAIN = "foveal", "plain"
TITLES = ("server", "load", "answered/s", "p50 ms", "p99 ms", "refused/s", "p50 ms", "p99 ms", "failed", "beside")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--only", choices=(OURS, PLAIN), help="one of the servers")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement but the long one (default 20)")
    parser.add_argument("--minutes", type=float, default=5, help="of the last number of connections (default 5)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--image", type=Path, help="to send; a photograph of 640×480, drawn here, unless said")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bar is not reached")
    options = parser.parse_args()
    versions = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "fastapi", "uvicorn"))
    print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, {versions}\n")
    print("| " + " | ".join(TITLES) + " |\n|" + " --- |" * len(TITLES), flush=True)
    missed: list[str] = []
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(options.image.read_bytes() if options.image else photograph())
        file.flush()
        for name in (OURS, PLAIN):
            if options.only in (None, name):
                for row in rows(options, name, file.name):
                    print(line(name, row), flush=True)
                    missed += [f"{name}, {row.load}: {bar}" for bar, reached in row.bars.items() if not reached]
    print("\n" + "\n".join(f"- NOT reached: {bar}" for bar in missed or ()) if missed else "\nAll bars are reached.")
    if options.check and missed:
        sys.exit(1)


def rows(options: argparse.Namespace, name: str, image: str) -> Iterator[parts.Row]:
    """What is asked for of one server."""
    ours, wanted = name == OURS, set(options.parts)
    start = partial(running, name, *arguments(options, name))
    with start() as server:
        capacity = 0.0
        if "load" in wanted:
            for connections in options.connections:
                last = connections == options.connections[-1]
                seconds = 60 * options.minutes if last else options.seconds
                row = parts.steady(server, image, connections, seconds, ours)
                capacity = max(capacity, row.rate)
                yield row
        elif "memory" in wanted:
            yield parts.steady(server, image, options.connections[-1], 600, ours, parts.MARKS[-1])
        if "overload" in wanted:
            capacity = capacity or parts.steady(server, image, 32, min(10, options.seconds), ours).rate
            yield parts.overload(server, image, capacity, options.seconds, ours)
        if ours and "slow" in wanted:
            yield from parts.slow(server, image, options.seconds)
        if ours and "reload" in wanted:
            yield parts.reload(server, image, options.seconds)
    if ours and "stop" in wanted:
        yield parts.stop(start, image)


def arguments(options: argparse.Namespace, name: str) -> tuple[list[str], str]:
    """What Python is given to start the server, but for the port, and the path of its predictions."""
    if name == OURS:
        return ["-m", "foveal", "serve", f"bench={options.bundle}", "--workers", str(options.workers), "--port"], (
            "/v1/predict"
        )
    contract = json.loads((options.bundle / "bundle.json").read_text())["input"]
    size = [str(contract[key]) for key in ("height", "width", "channels")]
    return [str(HERE / "peers" / "serve_plain.py"), str(options.bundle / "model.onnx"), *size], "/predict"


def photograph() -> bytes:
    """A JPEG as large as a small photograph, drawn here: 640×480."""
    import numpy as np
    from PIL import Image

    small = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def line(name: str, row: parts.Row) -> str:
    """Of the table."""
    seen = row.seen
    cells = [name, row.load]
    for kind in ("answered", "refused"):
        found = seen[kind]
        times = [f"{found[at]:.1f}" if found["n"] else "–" for at in ("p50", "p99")]
        cells += [f"{found['n'] / seen['seconds']:.0f}", *times]
    failed = ", ".join(f"{count} {why}" for why, count in seen["failed"].items()) or "0"
    return "| " + " | ".join([*cells, failed, row.note]) + " |"


if __name__ == "__main__":
    main()
