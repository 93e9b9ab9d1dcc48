"""CIFAR-10 to 94% on a GPU: ours in some minutes beside the airbench package, and how idle the card is.

    FOVEAL_DATA=... python benchmarks/gpu.py [--minutes 0.5 1]
    pip install airbench==0.1.8      # before, into our own environment; it needs torch alone

Contestants: ours (once for each of --minutes), airbench, kernels (our training's kernels recorded over 100 steps of the
last of --minutes). Seconds are from the start of the process to the line with the accuracy; those of training leave out
imports, reading, planning and the report, and in airbench's case the pass that builds kernels.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import (
    CACHE,
    HERE,
    Contestant,
    arguments,
    gigabytes,
    grouped,
    header,
    logged,
    median,
    peer,
    table,
    turns,
    warn_if_busy,
)

NAME = "gpu"
ALL = ("ours", "airbench", "kernels")
CARD = {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0")}
STEPS = 100


def main() -> None:
    options = arguments(__doc__, ("--minutes", {"type": float, "nargs": "+", "default": [0.5, 1], "help": "of ours"}))
    if options.from_log:
        report(logged(options.from_log, NAME))
        return
    if "FOVEAL_DATA" not in os.environ:
        sys.exit("set FOVEAL_DATA to the folder that holds cifar10.zip (class folders train/ and test/)")
    warn_if_busy()
    os.environ["FOVEAL_CACHE"] = str(CACHE / "foveal")
    folder = CACHE / "cifar10"
    subprocess.run([sys.executable, HERE / "prepare_cifar10.py", folder], check=True)
    chosen = options.only or ALL
    records: list[dict[str, Any]] = []
    trained = [contestant for name in chosen if name != "kernels" for contestant in contestants(name, options, folder)]
    records += turns(NAME, trained, options.seeds, options.log)
    if "kernels" in chosen:
        records += turns(NAME, [kernels(records, folder)], options.seeds[:1], options.log)
    report(records)


def contestants(name: str, options: Any, folder: Path) -> list[Contestant]:
    if name == "ours":
        command = (sys.executable, "-m", "foveal", "train", "cifar10", "--device", "cuda", "--json", "--minutes")
        return [
            Contestant(f"ours, {minutes:g} min", (*command, f"{minutes:g}", "--seed"), CARD)
            for minutes in options.minutes
        ]
    airbench = peer(name, sys.executable, "airbench_94.py", folder)
    return [Contestant(name, airbench.command, CARD)]


def kernels(records: list[dict[str, Any]], folder: Path) -> Contestant:
    """With the recipe of our last run."""
    last = [record["result"]["report"]["recipe"] for record in records if "report" in record.get("result", {})][-1:]
    if not last:
        sys.exit("kernels are recorded with the recipe of a run of ours: add ours to --only")
    from foveal.recipe import Recipe

    path = folder / "recipe.json"
    path.write_text(Recipe.model_validate(last[0]).model_dump_json())
    script = HERE / "peers" / "ours_kernels.py"
    return Contestant("kernels", (sys.executable, str(script), str(path), "cifar10", str(STEPS)), CARD)


def report(records: list[dict[str, Any]]) -> None:
    for record in records:
        if "report" in record.get("result", {}):
            record["result"] = as_a_peer(record["result"]["report"])
    header("CIFAR-10 on a GPU", records)
    groups = {name: group for (name,), group in grouped(records, "contestant").items()}
    trained = [(name, [one for one in group if "accuracy" in one.get("result", {})]) for name, group in groups.items()]
    titles = ("contestant", "runs", "mean accuracy", "lowest to highest", "s of training", "s in all", "peak memory")
    table("Test accuracy and time", titles, (line(name, group) for name, group in trained if group))
    for group in groups.values():
        for record in group:
            if "error" in record:
                print(f"\n{record['contestant']}: {record['error']}")
            elif "idle" in record["result"]:
                found = record["result"]
                kernels, time = round(found["kernels_a_step"]), f"{1000 * found['seconds_a_step']:.1f} ms"
                print(f"\nA step of `{found['net']}`, batch {found['batch']}: {kernels} kernels in {time},")
                print(f"{found['idle']:.0%} of which none ran.")


def as_a_peer(told: dict[str, Any]) -> dict[str, Any]:
    """What `foveal train --json` reports, in the form of a peer's line."""
    versions = {name: told["environment"][name] for name in ("foveal", "torch")}
    training = told["history"][-1]["seconds"]
    return {
        "accuracy": told["scores"]["accuracy"]["value"],
        "training_seconds": training,
        "versions": {**versions, "card": told["environment"]["device_name"]},
    }


def line(name: str, group: list[dict[str, Any]]) -> tuple[str, ...]:
    scores = [record["result"]["accuracy"] for record in group]
    training = statistics.median(record["result"]["training_seconds"] for record in group)
    spread = f"{min(scores):.4f} to {max(scores):.4f}"
    mean, memory = f"{statistics.mean(scores):.4f}", gigabytes(median(group, "memory"))
    return name, str(len(group)), mean, spread, f"{training:.1f}", f"{median(group, 'seconds'):.1f}", memory


if __name__ == "__main__":
    main()
