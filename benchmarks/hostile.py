"""Files that are made to break decoders, and files that are no images: to a server, to the predictor and to `look`.

Every file of the folders goes to `foveal serve` twice, as a raw body and as a form, to the function behind `foveal
predict` in a process of its own, and all of them together to `foveal look`. Each must be answered or refused with a
reason, never by a 5xx, a dead process or a traceback. Times are of one request alone, on the clock and of the
processor; memory is the most that the process held while it was at that file (Linux).

    python benchmarks/hostile.py BUNDLE FOLDER... [--log FILE] [--seconds 2] [--megabytes 1000]
"""

import argparse
import http.client
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from serving.process import HOST, Server, running

BOUNDARY = "foveal-hostile"
PATIENCE = 60.0  # seconds; what takes longer hangs
PATH = "/v1/predict"
WAYS = ("raw", "form", "predict")
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--log", type=Path, help="one JSON object a file and way")
    parser.add_argument("--seconds", type=float, default=2.0, help="of the processor, for one file")
    parser.add_argument("--megabytes", type=float, default=1000.0)
    parser.add_argument("--child", choices=("predict", "look"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        {"predict": predict, "look": look}[options.child](options)
        return
    files = sorted(path for folder in options.folders for path in folder.rglob("*") if path.is_file())
    names = ("pillow", "onnxruntime", "fastapi", "uvicorn", "python-multipart")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, {versions}")
    print(f"{len(files):,} files, {sum(path.stat().st_size for path in files) / 1e6:,.0f} MB\n")
    rows = [*served(options.bundle, files), *predicted(options.bundle, files)]
    if options.log:
        options.log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tell(rows, options)
    looked(options.bundle, files)


def served(bundle: Path, files: Sequence[Path]) -> Iterator[Row]:
    """Each file to a server; one that dies is counted, and begun again."""
    for way in ("raw", "form"):
        waiting = list(files)
        while waiting:
            with running("foveal serve", ["-m", "foveal", "serve", f"hostile={bundle}", "--port"], PATH) as server:
                while waiting and server.process.poll() is None:
                    path = waiting.pop(0)
                    yield {"way": way, "file": str(path), **measured(server.process.pid, sent, server, way, path)}


def sent(server: Server, way: str, path: Path) -> Row:
    """How one file was answered."""
    data, kind = path.read_bytes(), "application/octet-stream"
    if way == "form":
        name = path.name.encode().replace(b'"', b"%22")
        head = b'--%b\r\nContent-Disposition: form-data; name="image"; filename="%b"\r\n\r\n' % (
            BOUNDARY.encode(),
            name,
        )
        data = head + data + b"\r\n--%b--\r\n" % BOUNDARY.encode()
        kind = f"multipart/form-data; boundary={BOUNDARY}"
    connection = http.client.HTTPConnection(HOST, server.port, timeout=PATIENCE)
    try:
        connection.request("POST", server.path, data, {"Content-Type": kind})
        response = connection.getresponse()
        told = json.loads(response.read())
        if response.status == 200:
            return {"status": 200, "answer": {**told["predictions"][0], "file": None}}
        shaped = response.headers["content-type"] == "application/problem+json" and told["status"] == response.status
        return {"status": response.status if shaped else 599, "reason": told["detail"]}
    except (OSError, http.client.HTTPException, ValueError) as error:
        return {"status": 0, "reason": f"{type(error).__name__}: {error}"}
    finally:
        connection.close()


def predicted(bundle: Path, files: Sequence[Path]) -> Iterator[Row]:
    """Each file to the predictor; a process that dies is counted, and begun again."""
    waiting = list(files)
    while waiting:
        with child("predict", bundle) as process:
            while waiting and process.poll() is None:
                path = waiting.pop(0)
                yield {"way": "predict", "file": str(path), **measured(process.pid, told, process, path)}


def told(process: subprocess.Popen, path: Path) -> Row:
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps(str(path)) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    return json.loads(line) if line else {"status": 0, "reason": f"the process ended: {process.wait()}"}


@contextmanager
def child(what: str, bundle: Path) -> Iterator[subprocess.Popen]:
    command = [sys.executable, __file__, str(bundle), "--child", what]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()


def predict(options: argparse.Namespace) -> None:
    """In the child: what `foveal predict` answers for each path of stdin."""
    import foveal

    predictor = foveal.load(options.bundle)
    print("ready", flush=True)
    for line in sys.stdin:
        signal.alarm(int(PATIENCE))  # ends the process
        try:
            row = {"status": 200, "answer": {**predictor(json.loads(line)).as_dict(), "file": None}}
        except foveal.FovealError as error:
            row = {"status": 422, "reason": error.message}
        except Exception as error:
            row = {"status": 599, "reason": f"{type(error).__name__}: {error}"}
        signal.alarm(0)
        print(json.dumps(row), flush=True)


def look(options: argparse.Namespace) -> None:
    """In the child: all that `foveal look` says of a folder, and of which files."""
    import foveal

    print("ready", flush=True)
    dataset = foveal.look(json.loads(sys.stdin.readline()))
    findings = [(finding.kind, list(finding.files), finding.message) for finding in dataset.findings]
    print(json.dumps({"files": list(dataset.files), "findings": findings}), flush=True)


def measured(pid: int, act: Callable[..., Row], *arguments: Any) -> Row:
    """What it gives, with the seconds that it took and what the process used meanwhile."""
    forget_peak(pid)
    began, used = time.perf_counter(), processor(pid)
    row = act(*arguments)
    seconds = time.perf_counter() - began
    return {**row, "seconds": seconds, "processor": processor(pid) - used, "megabytes": peak(pid)}


def forget_peak(pid: int) -> None:
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(pid: int) -> float:
    try:
        return int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) / 1024
    except (OSError, IndexError):
        return float("nan")


def processor(pid: int) -> float:
    """Seconds of all its threads."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return float("nan")


def tell(rows: Sequence[Row], options: argparse.Namespace) -> None:
    print("| way | files | answered | refused (4xx) | 5xx or died | slowest, s | of the processor, s | peak MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for way in WAYS:
        mine = [row for row in rows if row["way"] == way]
        good, refused = (sum(row["status"] // 100 == k for row in mine) for k in (2, 4))
        most = [max(row[key] for row in mine) for key in ("seconds", "processor", "megabytes")]
        print(f"| {way} | {len(mine)} | {good} | {refused} | {len(mine) - good - refused} | ", end="")
        print(f"{most[0]:.2f} | {most[1]:.2f} | {most[2]:.0f} |")
    print("\n| refused | raw | form | predict |\n| --- | --- | --- | --- |")
    counts = Counter((kind_of(row), row["way"]) for row in rows if row["status"] != 200)
    for kind in sorted({kind for kind, _ in counts}, key=lambda kind: -counts[kind, "raw"]):
        print(f"| {kind} | " + " | ".join(str(counts[kind, way]) for way in WAYS) + " |")
    print("\n| slowest | way | s | of the processor, s | peak MB | answer |\n| --- | --- | --- | --- | --- | --- |")
    for row in sorted(rows, key=lambda row: -row["processor"])[:8]:
        print(named(row))
    print("\n| most memory | way | s | of the processor, s | peak MB | answer |\n| --- | --- | --- | --- | --- | --- |")
    for row in sorted(rows, key=lambda row: -row["megabytes"])[:8]:
        print(named(row))
    print()
    for row in rows:
        if row["status"] // 100 not in (2, 4):
            print(f"FAILED {row['way']} {row['file']}: {row['status']} {row['reason']}")
        elif row["processor"] > options.seconds or row["megabytes"] > options.megabytes:
            print(f"COSTLY {row['way']} {row['file']}: {row['processor']:.2f} s, {row['megabytes']:.0f} MB")
    for file in sorted({row["file"] for row in rows}):
        answers = {row["way"]: row for row in rows if row["file"] == file}
        if len({json.dumps(rounded(row.get("answer")), sort_keys=True) for row in answers.values()}) > 1:
            print(f"DIFFER {file}: " + "; ".join(f"{way} {row.get('reason', 200)}" for way, row in answers.items()))


def named(row: Row) -> str:
    answer = "answered" if row["status"] == 200 else row["reason"][:90]
    numbers = f"{row['seconds']:.2f} | {row['processor']:.2f} | {row['megabytes']:.0f}"
    return f"| {Path(row['file']).name} | {row['way']} | {numbers} | {answer} |"


def kind_of(row: Row) -> str:
    """The part of a reason that is the same for all files of that kind."""
    reason = row["reason"].removeprefix("The image cannot be decoded: ")
    return (
        f"{row['status']} " + re.split(r"[:;]", reason)[0][:60] if row["status"] != 422 else reason.split(":")[0][:60]
    )


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def looked(bundle: Path, files: Sequence[Path]) -> None:
    """All files as a source of two classes, each with an image that can be read."""
    with tempfile.TemporaryDirectory() as folder:
        source, there = Path(folder) / "source", set()
        for k, path in enumerate(files):
            place = source / "ab"[k % 2] / f"{k:05d}-{path.name}"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            there.add(str(place.relative_to(source)))
        for folder_of_class in "ab":
            (source / folder_of_class).mkdir(parents=True, exist_ok=True)
            (source / folder_of_class / "good.pgm").write_bytes(b"P5 2 2 255\n" + folder_of_class.encode() * 4)
        os.environ["XDG_CACHE_HOME"] = folder  # nothing is recalled
        with child("look", bundle) as process:
            row = measured(process.pid, told, process, source)
        if "files" not in row:
            print(f"FAILED look: {row['reason']}")
            return
        used, about = set(row["files"]), {file for _, named, _ in row["findings"] for file in named}
        unread = {file for kind, named, _ in row["findings"] if kind == "unreadable" for file in named}
        print(f"look: {len(there)} files in {row['seconds']:.1f} s, ", end="")
        print(
            f"{row['processor']:.1f} s of the processor, {row['megabytes']:.0f} MB: {len(used & there)} used, ", end=""
        )
        print(
            f"{len(unread)} unreadable, {len(there - used - about)} neither used nor named, {len(used & unread)} both"
        )
        for file in sorted(there - used - about):
            print(f"SKIPPED look {file}")


if __name__ == "__main__":
    main()
