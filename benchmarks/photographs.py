"""Photographs a second, from JPEG files on the disk to batches: ours, and torchvision's ImageFolder with a DataLoader.

    python benchmarks/photographs.py [--images 2000] [--env DIR]

Makes photographs of 500×375 pixels (noise in octaves, with shapes on it; quality 90) in a temporary folder, and an
environment with torchvision in DIR unless there is one. Both shorten the shorter side to 224, crop the centre and give
batches of 64 as uint8. Theirs has 2 workers. Ours decodes into an empty cache and takes the batches from there; the
second and later passes, one an epoch, decode nothing. Each is a process of its own, and they take turns; imports are
not timed, and the files have been read once before, so they are in the page cache for both.
"""

import statistics
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from common import (
    CACHE,
    HERE,
    Contestant,
    arguments,
    environment,
    grouped,
    header,
    load_shown,
    logged,
    peer,
    table,
    turns,
    warn_if_busy,
)
from PIL import Image, ImageDraw

NAME = "photographs"
OURS, THEIRS = "ours", "torchvision"
WIDTH, HEIGHT, QUALITY = 500, 375, 90
CLASSES = 5
OCTAVES = (3, 6, 12, 24, 48, 96, 192)  # spots across the height


def main() -> None:
    options = arguments(__doc__, ("--images", {"type": int, "default": 2000, "help": "photographs (default 2000)"}))
    if options.from_log:
        report(logged(options.from_log, NAME))
        return
    chosen = options.only or (OURS, THEIRS)
    warn_if_busy()
    with tempfile.TemporaryDirectory() as scratch:
        folder = photographs(Path(scratch) / "photos", options.images)
        contestants = []
        if OURS in chosen:
            contestants.append(Contestant(OURS, (sys.executable, str(HERE / "peers/ours_photographs.py"), str(folder))))
        if THEIRS in chosen:
            env = CACHE / "torchvision" if options.env == CACHE / "keras" else options.env
            python = environment(env, (f"torch=={version('torch').partition('+')[0]}", "torchvision==0.29.1"))
            contestants.append(peer(THEIRS, python, "torchvision_photographs.py", folder))
        for path in folder.rglob("*.jpg"):
            path.read_bytes()
        records = turns(NAME, contestants, options.seeds, options.log)
    report(records)


def photographs(folder: Path, count: int) -> Path:
    """Class folders of distinct photographs; the same ones each time."""
    for number in range(count):
        path = folder / f"class{number % CLASSES}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph(np.random.default_rng(number), WIDTH, HEIGHT).save(path, quality=QUALITY)
    return folder


def photograph(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Noise whose contrast falls with its frequency, as in photographs (Field 1987), and a few shapes with edges."""
    pixels = np.full((height, width, 3), 120.0, np.float32)
    for octave in OCTAVES:
        small = rng.normal(size=(octave, octave * width // height, 3)) * 40 / np.sqrt(octave) + 128
        spots = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8))
        pixels += np.asarray(spots.resize((width, height), Image.Resampling.BICUBIC), np.float32) * 2 - 256
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        left, top, size = rng.integers(0, width), rng.integers(0, height), rng.integers(10, height // 3)
        color = tuple(int(v) for v in rng.integers(0, 256, 3))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((left, top, left + size, top + size), fill=color)
    return image


def report(records: list[dict]) -> None:
    header("Photographs to batches", records)
    groups = {name: group for (name,), group in grouped((r for r in records if "result" in r), "contestant").items()}
    lines, first = [], {}
    for name, group in groups.items():
        rates = [[r["result"]["images"] / seconds for seconds in r["result"]["passes"]] for r in group]
        first[name] = statistics.median(rate[0] for rate in rates)
        later = statistics.median(rate[1] for rate in rates)
        looks = [r["result"]["images"] / r["result"]["look"] for r in group if "look" in r["result"]]
        look = f"{statistics.median(looks):,.0f}" if looks else "—"
        spread = f"{min(rate[0] for rate in rates):,.0f}–{max(rate[0] for rate in rates):,.0f}"
        lines.append((name, f"{len(group)}", f"{first[name]:,.0f}", spread, f"{later:,.0f}", look, load_shown(group)))
    titles = ("contestant", "n", "first pass", "range", "second pass", "`look` alone", "others busy")
    table("Photographs a second, medians", titles, lines)
    if {OURS, THEIRS} <= first.keys():
        print(f"\nFirst pass: ours / torchvision = {first[OURS] / first[THEIRS]:.2f}")


if __name__ == "__main__":
    main()
