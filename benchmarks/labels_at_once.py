"""Several labels at once on mosaics of CIFAR-10: mean average precision, ours beside the same network, batches and
epochs in a plain PyTorch loop.

    FOVEAL_DATA=... python benchmarks/labels_at_once.py [--images 6000] [--epochs 10]

Makes images of 64×64 with two to four CIFAR-10 images in their quarters, and a table of what is on each; test mosaics
are made of test images alone. Both read the same PNG files and learn at the same rate, each from its own initial
weights. Contestants: ours, torch.
"""

import csv
import io
import os
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
SPLITS = {"train": 0.7, "validation": 0.1, "test": 0.2}


def main() -> None:
    options = arguments(
        __doc__,
        ("--images", {"type": int, "default": 6000, "help": "mosaics (default 6000)"}),
        ("--epochs", {"type": int, "default": 10, "help": "of both (default 10)"}),
    )
    if options.from_log:
        report(logged(options.from_log, NAME))
        return
    if "FOVEAL_DATA" not in os.environ:
        sys.exit("set FOVEAL_DATA to the folder that holds cifar10.zip (class folders train/ and test/)")
    warn_if_busy()
    with tempfile.TemporaryDirectory() as scratch:
        made = make(Path(os.environ["FOVEAL_DATA"]) / "cifar10.zip", Path(scratch), options.images)
        settings = ("--set", "batch_size=64", "--set", "learning_rate=0.002", "--epochs", str(options.epochs))
        command = (sys.executable, "-m", "foveal", "train", str(made), "--net", NET, *settings, "--json", "--seed")
        everyone = {
            "ours": Contestant("ours", command),
            "torch": peer("torch", sys.executable, "labels_torch.py", made, options.epochs),
        }
        chosen = [everyone[name] for name in options.only or everyone]
        report(turns(NAME, chosen, options.seeds, options.log))


def make(archive: Path, folder: Path, count: int) -> Path:
    """Mosaics, and the table `labels.csv` with the columns path, target (labels joined by |) and split."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(archive) as files:
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
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "target", "split"), *rows])
    return folder / "labels.csv"


def report(records: list[dict[str, Any]]) -> None:
    for record in records:
        if told := record.get("result", {}).get("report"):
            versions = {name: told["environment"][name] for name in ("foveal", "torch", "numpy")}
            record["result"] = {"map": told["scores"]["map"]["value"], "versions": versions}
    header("Several labels at once, mosaics of CIFAR-10", records)
    lines = []
    for (name,), group in grouped(records, "contestant").items():
        done = [record for record in group if "result" in record]
        if not done:
            lines.append((name, "0", group[-1]["error"], "–", "–", "–"))
            continue
        scores = [record["result"]["map"] for record in done]
        spread = f"{min(scores):.3f} to {max(scores):.3f}"
        mean = f"{statistics.mean(scores):.3f}"
        lines.append((name, str(len(done)), mean, spread, f"{median(done, 'seconds'):.0f}", load_shown(done)))
    titles = ("contestant", "runs", "mean average precision", "lowest to highest", "median s")
    table("Test mosaics", (*titles, "processors busy elsewhere"), lines)


if __name__ == "__main__":
    main()
