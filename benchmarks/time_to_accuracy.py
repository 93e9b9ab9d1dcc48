"""How long until there is a trained network and its test accuracy on CIFAR-10: ours beside the tutorials of its peers.

    FOVEAL_DATA=... python benchmarks/time_to_accuracy.py                                # all, about an hour on 2 cores
    FOVEAL_DATA=... python benchmarks/time_to_accuracy.py --only ours keras-tf           # the claim in the README
    FOVEAL_DATA=... python benchmarks/time_to_accuracy.py --only ours --minutes 0.5 1 5 20
    python benchmarks/time_to_accuracy.py --from-log FILE                                # tables of an earlier --log

Contestants: ours (once for each of --minutes), ours-cold (the first of them, with nothing in the cache), ours-cookbook
(the peers' own network and epochs), keras-tf, keras-torch, torch, fastai. Every peer trains the worked example's
network with dropout, batch 64, Adam, --epochs.

Seconds are from the start of the process to the line with the accuracy. The peers read decoded arrays that were
prepared before; ours reads the archive, but finds in its cache what it kept from a first look (not so ours-cold).
"""

import os
import statistics
import subprocess
import sys
from typing import Any

from common import (
    CACHE,
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

NAME = "time_to_accuracy"
REFERENCE = "keras-tf"
ALL = ("ours", "ours-cold", "ours-cookbook", "keras-tf", "keras-torch", "torch", "fastai")


def main() -> None:
    options = arguments(
        __doc__,
        ("--minutes", {"type": float, "nargs": "+", "default": [0.17], "help": "of ours, one contestant each"}),
        ("--epochs", {"type": int, "default": 10, "help": "of the peers (default 10)"}),
    )
    if options.from_log:
        report(logged(options.from_log, NAME))
        return
    if "FOVEAL_DATA" not in os.environ:
        sys.exit("set FOVEAL_DATA to the folder that holds cifar10.zip (class folders train/ and test/)")
    warn_if_busy()
    os.environ["FOVEAL_CACHE"] = str(CACHE / "foveal")
    folder = CACHE / "cifar10"
    subprocess.run([sys.executable, HERE / "prepare_cifar10.py", folder], check=True)
    chosen, absent = [], []
    for name in options.only or ALL:
        try:
            chosen += contestants(name, options, folder)
        except Failed as failure:
            record = {"benchmark": NAME, "contestant": name, "epochs": options.epochs, "error": str(failure)}
            absent.append(note(record, options.log))
    report(turns(NAME, chosen, options.seeds, options.log, epochs=options.epochs) + absent)


def contestants(name: str, options: Any, folder: Any) -> list[Contestant]:
    """The contestants of a name; for `ours`, one for each number of minutes."""
    on_arrays = (folder, options.epochs)
    if name == "ours":
        return [ours(f"ours, {minutes:g} min", "--minutes", f"{minutes:g}") for minutes in options.minutes]
    if name == "ours-cold":
        minutes = f"{options.minutes[0]:g}"
        return [ours(f"ours, {minutes} min, cold cache", "--minutes", minutes, cache="cache")]
    if name == "ours-cookbook":
        return [ours(name, "--recipe", "cookbook-dropout", "--epochs", str(options.epochs))]
    if name == "keras-tf":
        return [peer(name, keras_python(options.env), "keras_train.py", *on_arrays, backend="tensorflow")]
    if name == "keras-torch":
        return [peer(name, torch_python(options.torch_env), "keras_train.py", *on_arrays, backend="torch")]
    if name == "torch":
        return [peer(name, sys.executable, "torch_train.py", *on_arrays)]
    if name == "fastai":
        return [peer(name, torch_python(options.torch_env), "fastai_train.py", *on_arrays)]
    sys.exit(f"no contestant is called {name}; there are {', '.join(ALL)}")


def ours(name: str, *settings: str, cache: str | None = None) -> Contestant:
    """The command line as a user types it; a relative cache folder is new in every run."""
    command = (sys.executable, "-m", "foveal", "train", "cifar10", *settings, "--json", "--seed")
    return Contestant(name, command, {} if cache is None else {"FOVEAL_CACHE": cache})


def report(records: list[dict[str, Any]]) -> None:
    for record in records:
        if "report" in record.get("result", {}):
            record["result"] = as_a_peer(record["result"]["report"])
    header("Time to accuracy on CIFAR-10", records)
    groups = {name: group for (name,), group in grouped(records, "contestant").items()}
    finished = {name: [record for record in group if "result" in record] for name, group in groups.items()}
    reference = finished.get(REFERENCE)
    lines = [line(name, finished[name], reference) if finished[name] else gap(name, groups[name]) for name in groups]
    titles = ("contestant", "runs", "median s", "Keras' s / its s", "mean accuracy", "lowest to highest")
    epochs = ", ".join(dict.fromkeys(str(record["epochs"]) for record in records))
    table(
        f"From process start to test accuracy ({epochs} epochs where no minutes are given)",
        (*titles, "reaches Keras' mean", "peak memory", "processors busy elsewhere"),
        lines,
    )
    dial = {float(name.split()[1]): group for name, group in finished.items() if name.endswith("min") and group}
    if dial:
        titles = ("minutes asked for", "taken (longest)", "taken / asked", "mean accuracy", "runs")
        more = ("network (last run)", "epochs", "batch", "precision")
        table("The dial", (*titles, *more), (promise(minutes, group) for minutes, group in dial.items()))


def as_a_peer(told: dict[str, Any]) -> dict[str, Any]:
    """What `foveal train --json` reports, in the form of a peer's line, with the recipe."""
    versions = {name: told["environment"][name] for name in ("foveal", "torch", "numpy")}
    return {"accuracy": told["scores"]["accuracy"]["value"], "versions": versions, "recipe": told["recipe"]}


def line(name: str, group: list[dict[str, Any]], reference: list[dict[str, Any]] | None) -> tuple[str, ...]:
    scores = [record["result"]["accuracy"] for record in group]
    mean, seconds = statistics.mean(scores), median(group, "seconds")
    ratio = reaches = "–"
    if reference:
        ratio = f"{median(reference, 'seconds') / seconds:.1f}×"
        reaches = "yes" if mean >= mean_accuracy(reference) else "no"
    memory = gigabytes(median(group, "memory"))
    spread = f"{min(scores):.4f} to {max(scores):.4f}"
    return name, str(len(group)), f"{seconds:.1f}", ratio, f"{mean:.4f}", spread, reaches, memory, load_shown(group)


def gap(name: str, group: list[dict[str, Any]]) -> tuple[str, ...]:
    return (name, "0", group[-1]["error"], *("–",) * 6)


def mean_accuracy(group: list[dict[str, Any]]) -> float:
    return statistics.mean(record["result"]["accuracy"] for record in group)


def promise(minutes: float, group: list[dict[str, Any]]) -> tuple[str, ...]:
    """How long the longest run took beside what was asked for, and what was trained in it."""
    taken = max(record["seconds"] for record in group) / 60
    recipe = group[-1]["result"]["recipe"]
    net, *plan = (str(recipe[name]) for name in ("net", "epochs", "batch_size", "precision"))
    score = f"{mean_accuracy(group):.4f}"
    return f"{minutes:g}", f"{taken:.2f}", f"{taken / minutes:.2f}", score, str(len(group)), f"`{net}`", *plan


if __name__ == "__main__":
    main()
