"""What the benchmarks share: environments, measured processes, turns, a log, Markdown tables.

Standard library only. On Linux and macOS a process' peak memory counts from before it became that program, so the one
that starts the others must stay smaller than any of them.
"""

import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

CACHE = Path(os.environ.get("FOVEAL_BENCH_CACHE", "~/.cache/foveal-bench")).expanduser().absolute()
HERE = Path(__file__).parent.absolute()
KERAS = ("keras==3.15.1", "tensorflow-cpu==2.21.0")
TORCH_PEERS = ("keras==3.15.1", "fastai==2.8.12")  # beside the torch that we run on ourselves
BUSY = 0.25  # of the processors


class Failed(Exception):
    """A contestant could not be installed, or did not finish; the message is the end of what it said."""


@dataclass(frozen=True)
class Contestant:
    """What takes turns with the others.

    Args:
        command: without the seed, which is added as the last argument.
        variables: of the environment, added to the caller's; one of value None is taken away.
    """

    name: str
    command: tuple[str, ...]
    variables: Mapping[str, str | None] = field(default_factory=dict)


def arguments(doc: str | None, *more: tuple[str, dict[str, Any]]) -> argparse.Namespace:
    """What every benchmark understands, and `more` options."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, settings in more:
        parser.add_argument(name, **settings)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these contestants; all of them unless said")
    parser.add_argument("--repeats", type=int, default=3, help="turns, each with another seed (default 3)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--env", type=Path, default=CACHE / "keras", help="of Keras on TensorFlow; made if not there")
    parser.add_argument("--torch-env", type=Path, default=CACHE / "torch", help="of Keras on torch, and of fastai")
    parser.add_argument("--log", type=Path, help="append each finished run to this file, a JSON object a line")
    parser.add_argument("--from-log", type=Path, help="run nothing; print the tables of such a file")
    options = parser.parse_args()
    options.seeds = range(options.first_seed, options.first_seed + options.repeats)
    return options


def environment(folder: Path, packages: Sequence[str]) -> Path:
    """The Python of a virtual environment with these packages, `name==version` each; made unless it is there.

    Raises:
        Failed: pip could not install them.
    """
    python = folder.absolute() / "bin" / "python"
    names = [package.replace("-", "_").replace("==", "-") for package in packages]
    if not all(any(folder.glob(f"lib/python*/site-packages/{name}*.dist-info")) for name in names):
        print(f"installing {' '.join(packages)} into {folder}", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", *packages]
        done = subprocess.run(pip, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"cannot be installed: {last_line(done.stderr)}")
    return python


def keras_python(folder: Path) -> Path:
    return environment(folder, KERAS)


def torch_python(folder: Path) -> Path:
    """Of the peers that run on torch, in our own version of it."""
    return environment(folder, (f"torch=={version('torch').partition('+')[0]}", *TORCH_PEERS))


def peer(name: str, python: Path | str, script: str, *arguments: object, backend: str = "") -> Contestant:
    """A script of `peers/`, run by another Python, which must not see our modules."""
    variables = {"PYTHONPATH": None, "KERAS_BACKEND": backend or None, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return Contestant(name, (str(python), str(HERE / "peers" / script), *map(str, arguments)), variables)


def measure(command: Sequence[str], variables: Mapping[str, str | None] | None = None) -> dict[str, Any]:
    """Run a program in an empty folder, on the processor only, until it exits.

    Returns:
        `result`, the last JSON object that it printed as a line; `seconds` from start to that line; `memory`, its peak
        in bytes (of it or one of its children, whichever is larger); `others`, how many processors were busy
        elsewhere meanwhile (None where the system does not say).

    Raises:
        Failed: it ended with an error, or printed no object.
    """
    wanted = {**os.environ, "CUDA_VISIBLE_DEVICES": "", **(variables or {})}
    if "FOVEAL_DATA" in os.environ:
        wanted["FOVEAL_DATA"] = str(Path(os.environ["FOVEAL_DATA"]).absolute())
    variables = {name: value for name, value in wanted.items() if value is not None}
    text, seconds = "", 0.0
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile("w+") as errors:
        busy, start = busy_seconds(), time.monotonic()
        process = subprocess.Popen(
            command, cwd=scratch, env=variables, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if line.startswith("{"):
                    text, seconds = line, time.monotonic() - start
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        whole, after = time.monotonic() - start, busy_seconds()
        errors.seek(0)
        if process.returncode or not text:
            raise Failed(f"exit code {process.returncode}: {last_line(errors.read())}")
    own = usage.ru_utime + usage.ru_stime
    return {
        "result": json.loads(text),
        "seconds": round(seconds, 2),
        "memory": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "others": None if busy is None or after is None else round(max(0.0, after - busy - own) / whole, 2),
    }


def busy_seconds(stat: Path = Path("/proc/stat")) -> float | None:
    """Seconds that all processors together were busy since the machine started, the host's other guests included."""
    if not stat.is_file():
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, stat.read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def turns(
    benchmark: str, contestants: Sequence[Contestant], seeds: Iterable[int], log: Path | None, **facts: Any
) -> list[dict[str, Any]]:
    """Each contestant with the first seed, then each with the next, and so on. A finished run is told on stderr and
    logged at once; one that fails is logged with its `error`."""
    records = []
    for seed in seeds:
        for contestant in contestants:
            record = {"benchmark": benchmark, "contestant": contestant.name, "seed": seed, **facts}
            try:
                record |= measure((*contestant.command, str(seed)), contestant.variables)
            except Failed as failure:
                record["error"] = str(failure)
            records.append(note(record, log))
    return records


def note(record: dict[str, Any], log: Path | None) -> dict[str, Any]:
    """Tell one record on stderr, and append it to the log."""
    command = f"python benchmarks/{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}".strip()
    at = datetime.datetime.now().isoformat(timespec="seconds")
    told = dict(record)
    told.pop("result", None)
    record |= {"at": at, "machine": machine(), "command": command}
    print(json.dumps(told), file=sys.stderr, flush=True)
    if log:
        with log.open("a") as file:
            file.write(json.dumps(record) + "\n")
    return record


def logged(log: Path, benchmark: str) -> list[dict[str, Any]]:
    """The records of one benchmark in a log."""
    records = map(json.loads, log.read_text().splitlines())
    return [record for record in records if record["benchmark"] == benchmark]


def grouped(records: Iterable[dict[str, Any]], *names: str) -> dict[tuple, list[dict[str, Any]]]:
    """Records that agree in these fields, in the order in which the groups began."""
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(tuple(record.get(name) for name in names), []).append(record)
    return groups


def median(records: Sequence[Mapping[str, Any]], name: str) -> float:
    return statistics.median(record[name] for record in records)


def warn_if_busy() -> None:
    if warning := load_warning(os.getloadavg()[0], processors()):
        print(warning, file=sys.stderr, flush=True)


def load_warning(load: float, count: int) -> str:
    """A sentence where more than a quarter of the processors was busy during the last minute; else nothing."""
    if load <= BUSY * count:
        return ""
    return f"warning: load average {load:.2f} on {count} processors: times will be too long; wait until it is idle"


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    return f"{processor()}, {processors()} processors, {platform.system()}, Python {platform.python_version()}"


def processor() -> str:
    """Name and vector instructions of the processor."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    said_by = {name.strip(): value.strip() for name, value in fields.items()}
    flags = [flag for flag in said_by.get("flags", "").split() if flag.startswith(("avx", "fma", "amx"))]
    return f"{said_by.get('model name', platform.machine())} ({' '.join(flags)})"


def header(title: str, records: Sequence[dict[str, Any]]) -> None:
    """Date, command, machine, and the versions that the contestants told."""
    print(f"# {title}, {' and '.join(dict.fromkeys(record['at'][:10] for record in records))}\n")
    for command in dict.fromkeys(record["command"] for record in records):
        print(f"- Command: `{command}`")
    for where in dict.fromkeys(record["machine"] for record in records):
        print(f"- Machine: {where}")
    for (name,), group in grouped((record for record in records if "result" in record), "contestant").items():
        versions = group[-1]["result"].get("versions", {})
        print(f"- {name}: {', '.join(f'{package} {number}' for package, number in versions.items())}")


def table(title: str, titles: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    print(f"\n## {title}\n")
    print(f"| {' | '.join(titles)} |\n|{' --- |' * len(titles)}")
    for line in lines:
        print(f"| {' | '.join(line)} |")


def gigabytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB"


def load_shown(records: Sequence[Mapping[str, Any]]) -> str:
    """The largest `others` of some runs; unknown where the system did not say."""
    loads = [record["others"] for record in records]
    return "unknown" if None in loads else f"{max(loads):.2f}"


def last_line(text: str) -> str:
    """The last line with words in it: of a traceback, the error; of a framed message, its last line."""
    lines = [line.strip("│╭╮╰╯─| ") for line in text.splitlines()]
    return next((line.replace("|", "/") for line in reversed(lines) if line), "it said nothing")
