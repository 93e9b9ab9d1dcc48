"""Wrong labels planted in CIFAR-10 and in photographs of cats and dogs: how many of them `look --suspects` finds.

    FOVEAL_DATA=... FOVEAL_WEIGHTS=... python benchmarks/suspects.py [--only cifar10 cats_dogs] [--minutes 1]

Needs cifar10.zip and cats_dogs.zip (class folders) in FOVEAL_DATA, and mobilenetv2_100.safetensors in FOVEAL_WEIGHTS.
Of CIFAR-10 500 training images a class are taken, of the photographs all. One label in twenty is exchanged for another,
drawn with the seed. A planted label counts as found when it is among the first tenth of the images, as the findings
rank them. Labels that were wrong before count as false alarms.
"""

import os
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, busy_seconds, grouped, header, load_shown, logged, note, table, warn_if_busy

import foveal
from foveal.api import check_labels
from foveal.measure import wilson
from foveal.types import Dataset

NAME = "suspects"
WRONG = 0.05
LOOKED_AT = 0.1  # of the images, the first of the ranking
PER_LABEL = 500
SETS = ("cifar10", "cats_dogs")


def main() -> None:
    options = arguments(__doc__, ("--minutes", {"type": float, "default": 1.0, "help": "for each check (default 1)"}))
    if options.from_log:
        report(logged(options.from_log, NAME))
        return
    if "FOVEAL_DATA" not in os.environ:
        sys.exit("set FOVEAL_DATA to the folder with cifar10.zip and cats_dogs.zip")
    warn_if_busy()
    chosen = options.only or SETS
    if unknown := set(chosen) - set(SETS):
        sys.exit(f"no set is called {unknown.pop()}; there are {', '.join(SETS)}")
    records = []
    for name in chosen:
        whole = foveal.look(Path(os.environ["FOVEAL_DATA"], f"{name}.zip"))
        for seed in options.seeds:
            records.append(note(checked(name, whole, seed, options.minutes), options.log))
    report(records)


def checked(name: str, whole: Dataset, seed: int, minutes: float) -> dict[str, Any]:
    """One record: plant, check, count."""
    rng = np.random.default_rng(seed)
    dataset, wrong = planted(few(whole, rng) if name == "cifar10" else whole, rng)
    busy, start, own = busy_seconds(), time.monotonic(), time.process_time()
    told = check_labels(dataset, minutes=minutes, seed=seed)
    seconds, after = time.monotonic() - start, busy_seconds()
    others = None if busy is None or after is None else (after - busy - time.process_time() + own) / seconds
    row_of = {file: row for row, file in enumerate(dataset.files)}
    ranked = np.array([row_of[finding.files[0]] for finding in told.findings], np.int64)
    first = ranked[: round(LOOKED_AT * len(dataset))]
    right = sum(
        finding.facts["suggested"] == Path(finding.files[0]).parts[-2]  # the folder: the label as it was
        for finding in told.findings
        if wrong[row_of[finding.files[0]]]
    )
    result = {
        "images": len(dataset),
        "planted": int(wrong.sum()),
        "suspects": len(ranked),
        "found": int(wrong[first].sum()),
        "found_in_all": int(wrong[ranked].sum()),
        "suggested_right": int(right),
        "first": len(first),
        "estimated": told.wrong,
        "accuracy": told.score.value,
        "net": told.net,
        "versions": {name: version(name) for name in ("foveal", "torch")},
    }
    told_time = {"seconds": round(seconds, 1), "others": None if others is None else round(max(0.0, others), 2)}
    return {"benchmark": NAME, "contestant": name, "seed": seed, "minutes": minutes, "result": result, **told_time}


def few(whole: Dataset, rng: np.random.Generator) -> Dataset:
    """500 training images of each label."""
    train = whole.rows("train")
    rows = [rng.permutation(train[whole.targets[train] == k])[:PER_LABEL] for k in range(len(whole.labels))]
    return subset(whole, np.sort(np.concatenate(rows)))


def subset(whole: Dataset, rows: np.ndarray) -> Dataset:
    columns = {name: getattr(whole, name)[rows] for name in ("targets", "strata", "groups", "splits", "sizes")}
    names = {name: tuple(getattr(whole, name)[row] for row in rows) for name in ("files", "cells")}
    return replace(whole, **columns, **names)


def planted(dataset: Dataset, rng: np.random.Generator) -> tuple[Dataset, np.ndarray]:
    """With one label in twenty exchanged for another, and (N,) which."""
    count, labels = len(dataset), len(dataset.labels)
    wrong = np.zeros(count, bool)
    wrong[rng.permutation(count)[: round(WRONG * count)]] = True
    targets = np.where(wrong, (dataset.targets + rng.integers(1, labels, count)) % labels, dataset.targets)
    cells = tuple(dataset.labels[k] for k in targets)
    return replace(dataset, targets=targets, strata=targets, cells=cells), wrong


def report(records: list[dict[str, Any]]) -> None:
    header("Wrong labels that were planted", records)
    lines = []
    for (name, minutes), group in grouped(records, "contestant", "minutes").items():
        for record in group:
            one = record["result"]
            share, precise = wilson(one["found"], one["planted"]), wilson(one["found"], one["first"])
            lines.append(
                (
                    name,
                    str(record["seed"]),
                    f"{one['found']} of {one['planted']}: {shown(share)}",
                    shown(precise),
                    f"{one['found_in_all']} of {one['suspects']}",
                    f"{one['suggested_right']}",
                    f"{one['estimated']:.0f}",
                    f"{one['accuracy']:.3f}",
                    f"{record['seconds']:.0f} of {60 * minutes:.0f}",
                    load_shown([record]),
                )
            )
    titles = ("set", "seed", "found in the first tenth", "right among those", "planted among all suspects")
    more = ("right suggestion", "estimated wrong", "accuracy out of fold", "seconds", "processors busy elsewhere")
    table(f"{WRONG:.0%} of the labels exchanged", (*titles, *more), lines)


def shown(score: Any) -> str:
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"


if __name__ == "__main__":
    main()
