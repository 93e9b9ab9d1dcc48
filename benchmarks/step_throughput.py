"""Training steps: images a second of the same network, batch and optimizer in ours and its peers, and how much of the
machine's own convolution speed that is.

    python benchmarks/step_throughput.py                               # the worked example, Adam, batches of 64 and 256
    python benchmarks/step_throughput.py --only ours keras-tf --batch 64
    python benchmarks/step_throughput.py --net resnet9 --input 32x32x3 --batch 512 --images 2048 --set optimizer=sgd
    python benchmarks/step_throughput.py --recipe runs/cifar10-1/recipe.json --images 4096

Contestants: ours, ours-fp32, keras-tf, keras-torch (both `fit`, which is faster than train_on_batch), torch (with the
tutorial's DataLoader), torch-indexed (batches indexed from one tensor in memory). With --net or --recipe ours alone.
Random images; the time of a step includes gathering its batch. Nothing but steps is timed: no start, no validation.
"""

import json
import sys
from pathlib import Path
from typing import Any

from common import (
    HERE,
    Contestant,
    Failed,
    arguments,
    gigabytes,
    grouped,
    header,
    keras_python,
    load_shown,
    logged,
    median,
    note,
    peer,
    table,
    torch_python,
    turns,
    warn_if_busy,
)

NAME = "step_throughput"
ALL = ("ours", "ours-fp32", "keras-tf", "keras-torch", "torch", "torch-indexed")
PEAK = "convolution peak"


def main() -> None:
    options = arguments(
        __doc__,
        ("--batch", {"type": int, "nargs": "+", "default": None, "help": "images a step (default 64 256)"}),
        ("--images", {"type": int, "default": 16384, "help": "timed in each run (default 16384)"}),
        ("--net", {"default": "cookbook", "metavar": "LINE", "help": "of ours alone"}),
        ("--input", {"default": "32x32x3", "metavar": "HxWxC", "help": "of --net"}),
        ("--recipe", {"type": Path, "metavar": "FILE", "help": "a run's recipe.json instead of --net, of ours alone"}),
        ("--set", {"nargs": "+", "default": [], "metavar": "FIELD=VALUE", "help": "change the recipe of ours"}),
    )
    if options.from_log:
        report(logged(options.from_log, NAME))
        return
    warn_if_busy()
    alone = options.recipe or options.set or (options.net, options.input) != ("cookbook", "32x32x3")
    chosen = options.only or (("ours",) if alone else ALL)
    sizes = options.batch or ([""] if options.recipe else [64, 256])
    net = str(options.recipe or options.net)
    records: list[dict[str, Any]] = []
    for size in sizes:
        contestants = [peer(PEAK, sys.executable, "convolution_peak.py")] if size == sizes[0] else []
        for name in chosen:
            try:
                contestants.append(contestant(name, options, size))
            except Failed as failure:
                records.append(note({"benchmark": NAME, "contestant": name, "error": str(failure)}, options.log))
        records += turns(NAME, contestants, options.seeds, options.log, net=net, batch=size)
    report(records)


def contestant(name: str, options: Any, size: int | str) -> Contestant:
    work = (options.images, size)
    if name in ("ours", "ours-fp32"):
        settings = [*options.set, *(["precision=fp32"] if name == "ours-fp32" else [])]
        net = options.recipe.absolute() if options.recipe else options.net
        changes = json.dumps(dict(setting(text) for text in settings))
        script = (sys.executable, str(HERE / "peers" / "ours_step.py"))
        return Contestant(name, (*script, *map(str, work), str(net), options.input, changes), {"FOVEAL_CACHE": "cache"})
    if name == "keras-tf":
        return peer(name, keras_python(options.env), "keras_step.py", *work, backend="tensorflow")
    if name == "keras-torch":
        return peer(name, torch_python(options.torch_env), "keras_step.py", *work, backend="torch")
    if name == "torch":
        return peer(name, sys.executable, "torch_step.py", "loader", *work)
    if name == "torch-indexed":
        return peer(name, sys.executable, "torch_step.py", "indexed", *work)
    sys.exit(f"no contestant is called {name}; there are {', '.join(ALL)}")


def setting(text: str) -> tuple[str, Any]:
    """`FIELD=VALUE` with a JSON value; what is no JSON is a string."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def report(records: list[dict[str, Any]]) -> None:
    header("Training steps", records)
    finished = [record for record in records if "result" in record]
    peaks = best([record["result"]["peaks"] for record in finished if record["contestant"] == PEAK])
    titles = ("fastest 3×3 convolution", "GFLOP/s", "images × channels × side × side")
    table("Peak", titles, ((name, f"{peak['gflops']:.0f}", peak["shape"]) for name, peak in peaks.items()))
    measured = [record for record in finished if record["contestant"] != PEAK]
    for (net, size), group in grouped(measured, "net", "batch").items():
        rates = {name: row for (name,), row in grouped(group, "contestant").items()}
        told = next((record["result"] for record in group if "flops" in record["result"]), {})
        net, batch = told.get("net", net), size or told.get("batch")
        cost = f", {told['flops'] / 1e6:.1f} MFLOP an image" if told else ""
        titles = ("contestant", "runs", "precision", "images/s", "ours / its", "GFLOP/s", "of the peak, forward")
        more = ("of the peak, training", "peak memory", "processors busy elsewhere")
        lines = (line(name, row, rates.get("ours"), told.get("flops"), peaks) for name, row in rates.items())
        table(f"`{net}`, batch {batch}{cost}", (*titles, *more), lines)
    for record in records:
        if "error" in record:
            print(f"\n{record['contestant']}: {record['error']}")


def best(found: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The fastest that any of the turns found, for each precision and direction."""
    return {name: max((one[name] for one in found), key=lambda peak: peak["gflops"]) for one in found for name in one}


def line(
    name: str,
    group: list[dict[str, Any]],
    ours: list[dict[str, Any]] | None,
    flops: float | None,
    peaks: dict[str, dict[str, Any]],
) -> tuple[str, ...]:
    rate, precision = rate_of(group), group[0]["result"]["precision"]
    ratio = f"{rate_of(ours) / rate:.2f}×" if ours else "–"
    speed = rate * flops / 1e9 if flops else None
    shares = [share(speed, peaks.get(f"{precision} {way}")) for way in ("forward", "training")]
    shown = f"{speed:.0f}" if speed else "–"
    memory = gigabytes(median(group, "memory"))
    return name, str(len(group)), precision, f"{rate:,.0f}", ratio, shown, *shares, memory, load_shown(group)


def rate_of(group: list[dict[str, Any]]) -> float:
    return median([record["result"] for record in group], "images_per_second")


def share(speed: float | None, peak: dict[str, Any] | None) -> str:
    return f"{speed / peak['gflops']:.0%}" if speed and peak else "–"


if __name__ == "__main__":
    main()
