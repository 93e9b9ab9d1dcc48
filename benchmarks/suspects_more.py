"""Wrong yes and no planted among several labels at once, and exchanged ages: how many of them `look --suspects` finds.

    FOVEAL_DATA=... FOVEAL_WEIGHTS=... python benchmarks/suspects_more.py [--only mosaics ages] [--minutes 5]

Needs cifar10.zip and utkface.zip in FOVEAL_DATA, and mobilenetv2_100.safetensors in FOVEAL_WEIGHTS. `mosaics`: 3,000
images of 64×64 with two to four CIFAR-10 images in their quarters, as in labels_at_once.py; one in twenty of their yes
and no is turned round. `ages`: UTKFace; one image in twenty has the age of another one of these, drawn with the seed.
Found is what is among the first tenth, in number of yes and no, or of ages, as the findings rank them.
"""

import os
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from age import PATTERN
from common import arguments, busy_seconds, grouped, header, load_shown, logged, note, table, warn_if_busy
from labels_at_once import mosaics
from suspects import shown

import foveal
from foveal.api import check_labels
from foveal.measure import wilson
from foveal.tasks import named_task
from foveal.types import Dataset, Reading

NAME = "suspects_more"
WRONG, LOOKED_AT = 0.05, 0.1
IMAGES = 3_000
SETS = ("mosaics", "ages")


def main() -> None:
    options = arguments(__doc__, ("--minutes", {"type": float, "default": 5.0, "help": "for each check (default 5)"}))
    if options.from_log:
        report(logged(options.from_log, NAME))
        return
    if "FOVEAL_DATA" not in os.environ:
        sys.exit("set FOVEAL_DATA to the folder with cifar10.zip and utkface.zip")
    warn_if_busy()
    chosen, data, records = options.only or SETS, Path(os.environ["FOVEAL_DATA"]), []
    if unknown := set(chosen) - set(SETS):
        sys.exit(f"no set is called {unknown.pop()}; there are {', '.join(SETS)}")
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            if name == "mosaics":
                whole = foveal.look(mosaics(data, Path(folder), IMAGES))
            else:
                whole = foveal.look(data / "utkface.zip", reading=Reading(pattern=PATTERN))
            records += [note(checked(name, whole, seed, options.minutes), options.log) for seed in options.seeds]
    report(records)


def planted(dataset: Dataset, seed: int) -> tuple[Dataset, np.ndarray]:
    """With one target in twenty wrong, and (N, K) which are."""
    answer, rng, targets = named_task(dataset.task).answer, np.random.default_rng(seed), dataset.targets.copy()
    if dataset.task == "multilabel":
        cells = rng.permutation(targets.size)[: round(WRONG * targets.size)]
        targets.flat[cells] = 1 - targets.flat[cells]
    else:
        rows = rng.permutation(len(targets))[: round(WRONG * len(targets))]
        targets[rows] = np.roll(targets[rows], 1, axis=0)
    return replace(dataset, targets=targets, strata=answer.strata(targets)), targets != dataset.targets


def checked(name: str, whole: Dataset, seed: int, minutes: float) -> dict[str, Any]:
    """One record: plant, check, count."""
    dataset, wrong = planted(whole, seed)
    busy, start, own = busy_seconds(), time.monotonic(), time.process_time()
    told = check_labels(dataset, minutes=minutes, seed=seed)
    seconds, after = time.monotonic() - start, busy_seconds()
    others = None if busy is None or after is None else (after - busy - time.process_time() + own) / seconds
    place = {file: row for row, file in enumerate(dataset.files)}, {label: k for k, label in enumerate(dataset.labels)}
    hit = np.array([wrong[place[0][one.files[0]], place[1][one.facts["name"]]] for one in told.findings], bool)
    tenth = round(LOOKED_AT * wrong.size)
    result = {
        "targets": wrong.size,
        "planted": int(wrong.sum()),
        "suspects": len(hit),
        "found": int(hit[:tenth].sum()),
        "first": min(tenth, len(hit)),
        "found_in_all": int(hit.sum()),
        "found_in_tenth_of_suspects": int(hit[: len(hit) // 10].sum()),
        "estimated": told.wrong,
        "measured": f"{told.measured} {told.score}",
        "net": told.net,
        "versions": {name: version(name) for name in ("foveal", "torch")},
    }
    told_time = {"seconds": round(seconds, 1), "others": None if others is None else round(max(0.0, others), 2)}
    return {"benchmark": NAME, "contestant": name, "seed": seed, "minutes": minutes, "result": result, **told_time}


def report(records: list[dict[str, Any]]) -> None:
    header("Wrong yes and no, and wrong ages, that were planted", records)
    lines = []
    for (name, _), group in grouped(records, "contestant", "minutes").items():
        for record in group:
            one = record["result"]
            share = wilson(one["found"], one["planted"])
            suspects = max(1, one["suspects"] // 10)
            lines.append(
                (
                    name,
                    str(record["seed"]),
                    f"{one['found']} of {one['planted']}: {shown(share)}",
                    f"{one['found']} of {one['first']}",
                    f"{one['found_in_tenth_of_suspects']} of {suspects}",
                    f"{one['found_in_all']} of {one['suspects']}",
                    "–" if one["estimated"] is None else f"{one['estimated']:.0f}",
                    one["measured"],
                    f"{record['seconds']:.0f}",
                    load_shown([record]),
                )
            )
    titles = (
        "set",
        "seed",
        "found in the first tenth of all",
        "right among those",
        "right in the first tenth of suspects",
    )
    more = (
        "planted among all suspects",
        "estimated wrong",
        "score out of fold",
        "seconds",
        "processors busy elsewhere",
    )
    table(f"{WRONG:.0%} planted", (*titles, *more), lines)


if __name__ == "__main__":
    main()
