"""Several labels at once: mean average precision, ours beside the same network, batches and epochs in a plain PyTorch
loop.

    FOVEAL_DATA=... python benchmarks/labels_at_once.py [--sets mosaics faces] [--epochs 10]

`mosaics`: 6,000 images of 64×64 with two to four CIFAR-10 images in their quarters; test mosaics are made of test
images alone. `faces`: UTKFace at 64×64, five labels from age and sex in the names of the files; copies of a photograph
are in one split. Both contestants read the same PNG files and table, and learn at the same rate, each from its own
initial weights. Contestants: ours, torch.
"""

import csv
import hashlib
import io
import os
import re
import statistics
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from common import Contestant, arguments, grouped, header, load_shown, logged, median, peer, table, turns, warn_if_busy
from PIL import Image

NAME = "labels_at_once"
NET = "32c3same:none-bn:relu-mp2-64c3same:none-bn:relu-mp2-128c3same:none-bn:relu-mp2-128c3same:none-bn:relu-gmp"
UNDER, OVER_40, OVER_60 = "under 18", "over 40", "over 60"
SPLITS = {"train": 0.7, "validation": 0.1, "test": 0.2}


def main() -> None:
    options = arguments(
        __doc__,
        (
            "--sets",
            {"nargs": "+", "choices": list(SETS), "default": list(SETS), "help": "both unless said"},
        ),
        ("--epochs", {"type": int, "default": 10, "help": "of both (default 10)"}),
    )
    if options.from_log:
        report(logged(options.from_log, NAME))
        return
    if "FOVEAL_DATA" not in os.environ:
        sys.exit(
            "set FOVEAL_DATA to the folder that holds cifar10.zip (class folders train/ and test/) and utkface.zip"
        )
    warn_if_busy()
    records = []
    for name in options.sets:
        with tempfile.TemporaryDirectory() as scratch:
            made = SETS[name](Path(os.environ["FOVEAL_DATA"]), Path(scratch))
            everyone = contestants(made, options.epochs)
            chosen = [everyone[one] for one in options.only or everyone]
            records += turns(NAME, chosen, options.seeds, options.log, set=name)
    report(records)


def contestants(made: Path, epochs: int) -> dict[str, Contestant]:
    settings = ("--set", "batch_size=64", "--set", "learning_rate=0.002", "--epochs", str(epochs))
    command = (sys.executable, "-m", "foveal", "train", str(made), "--net", NET, *settings, "--json", "--seed")
    return {
        "ours": Contestant("ours", command),
        "torch": peer("torch", sys.executable, "labels_torch.py", made, epochs),
    }


def mosaics(data: Path, folder: Path, count: int = 6000) -> Path:
    """Of CIFAR-10, and the table `labels.csv` with the columns path, target (labels joined by |) and split."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(data / "cifar10.zip") as files:
        names = [name for name in files.namelist() if name.endswith((".webp", ".png"))]
        pools = {split: sorted(name for name in names if f"{split}/" in name) for split in ("train", "test")}
        rows = []
        for number in range(count):
            split = str(rng.choice(list(SPLITS), p=list(SPLITS.values())))
            pool = pools["test" if split == "test" else "train"]
            parts = [pool[k] for k in rng.choice(len(pool), rng.integers(2, 5), replace=False)]
            mosaic = Image.new("RGB", (64, 64), tuple(rng.integers(0, 256, 3).tolist()))
            for place, part in zip(rng.permutation(4), parts):
                with Image.open(io.BytesIO(files.read(part))) as image:
                    mosaic.paste(image.convert("RGB"), (32 * (place % 2), 32 * (place // 2)))
            path = folder / f"{number:05}.png"
            mosaic.save(path)
            rows.append((path.name, "|".join(sorted({Path(part).parent.name for part in parts})), split))
    return table_of(folder, rows)


def faces(data: Path, folder: Path) -> Path:
    """Of UTKFace, whose names are AGE_SEX_…; names that say neither are left out."""
    rows = []
    with zipfile.ZipFile(data / "utkface.zip") as files:
        for name in sorted(files.namelist()):
            told = re.match(r"([0-9]{1,3})_([01])_", Path(name).name)
            if not told:
                continue
            age, content = int(told[1]), files.read(name)
            bands = [label for label, inside in ((UNDER, age < 18), (OVER_40, age > 40), (OVER_60, age > 60)) if inside]
            share = int(hashlib.sha256(content).hexdigest()[:8], 16) / 16**8
            split = "train" if share < 0.7 else "validation" if share < 0.8 else "test"
            path = folder / f"{Path(name).name}.png"
            with Image.open(io.BytesIO(content)) as image:
                image.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR).save(path)
            rows.append((path.name, "|".join(["female" if told[2] == "1" else "male", *bands]), split))
    return table_of(folder, rows)


def table_of(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "target", "split"), *rows])
    return folder / "labels.csv"


SETS = {"mosaics": mosaics, "faces": faces}


def report(records: list[dict[str, Any]]) -> None:
    for record in records:
        if told := record.get("result", {}).get("report"):
            versions = {name: told["environment"][name] for name in ("foveal", "torch", "numpy")}
            record["result"] = {"map": told["scores"]["map"]["value"], "versions": versions}
    header("Several labels at once", records)
    lines = []
    for (made, name), group in grouped(records, "set", "contestant").items():
        done = [record for record in group if "result" in record]
        if not done:
            lines.append((made, name, "0", group[-1]["error"], "–", "–", "–"))
            continue
        scores = [record["result"]["map"] for record in done]
        spread = f"{min(scores):.3f} to {max(scores):.3f}"
        mean = f"{statistics.mean(scores):.3f}"
        lines.append((made, name, str(len(done)), mean, spread, f"{median(done, 'seconds'):.0f}", load_shown(done)))
    titles = ("images", "contestant", "runs", "mean average precision", "lowest to highest", "median s")
    table("Test images", (*titles, "processors busy elsewhere"), lines)


if __name__ == "__main__":
    main()
