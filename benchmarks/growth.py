"""How time, memory and disk grow with the number of photographs, and with pixels.

    python benchmarks/growth.py [--full] [--pixels-only]

Makes 1,000 and 10,000 distinct JPEG photographs of 160×120 pixels, with --full 100,000 (about 700 MB), and for each a
new cache: `look`, then the decoded cache, then `foveal train` with a small network for two epochs at 64 pixels, each a
process of its own. 10,000 photographs are also trained on at 32, 64 and 128 pixels. Memory is the largest sum over the
process and its children, sampled 5 times a second, mapped pages included. With --full the bounds are checked: less
than 2 GB, and an epoch of 100,000 taking 9 to 11 times as long as one of 10,000.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from common import gigabytes, machine, table, warn_if_busy
from PIL import Image

COUNTS, FULL = (1_000, 10_000), 100_000
SIDES = (32, 64, 128)
SIDE = 64
WIDTH, HEIGHT, QUALITY = 160, 120, 85
CLASSES = 10
CANVAS = 2400
EPOCHS = 2
NET = "16c3s2-mp2-32c3-mp2-64n"
MOST_MEMORY, RATIO = 2e9, (9, 11)
LOOK = "import sys; from foveal import look; print(len(look(sys.argv[1])))"
CACHE = """
import sys
from foveal import InputContract, look
from foveal.data.cache import pixels
from foveal.tasks import named_task
side = int(sys.argv[2])
pixels(look(sys.argv[1]), named_task("classification").reader, InputContract(height=side, width=side, channels=3))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="also 100,000 photographs")
    parser.add_argument("--side", type=int, default=SIDE, help="of the input, while the number of images grows")
    parser.add_argument("--pixels-only", action="store_true", help="only the growth with pixels")
    options = parser.parse_args()
    warn_if_busy()
    counts = () if options.pixels_only else (*COUNTS, *([FULL] if options.full else []))
    by_count, by_side = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        for count in counts:
            by_count[count] = measured(Path(scratch), count, options.side)
        for side in SIDES:
            known = by_count.get(COUNTS[-1]) if side == options.side else None
            by_side[side] = known or measured(Path(scratch), COUNTS[-1], side)
    print(f"# Growth with images and pixels, {time.strftime('%Y-%m-%d')}\n")
    print(f"- Command: `python benchmarks/growth.py {' '.join(sys.argv[1:])}`".replace(" `", "`"))
    print(f"- Machine: {machine()}")
    print(f"- torch {version('torch')}, Pillow {version('pillow')}, simplejpeg {version('simplejpeg')}")
    print(f"- JPEG photographs of {WIDTH}×{HEIGHT}; net `{NET}`, batches of 64, {EPOCHS} epochs")
    if by_count:
        show(f"Images, at {options.side} pixels", "images", by_count)
    show(f"Pixels, with {COUNTS[-1]:,} images", "side", by_side)
    return judged(by_count) if options.full and by_count else 0


def measured(scratch: Path, count: int, side: int) -> dict[str, float]:
    """Seconds and bytes of each step, with a cache of its own."""
    folder, cache, run = scratch / f"photos-{count}", scratch / f"cache-{count}-{side}", scratch / f"run-{count}-{side}"
    if not folder.exists():
        photographs(folder, count)
    variables = {**os.environ, "FOVEAL_CACHE": str(cache)}
    look, look_memory = watched([sys.executable, "-c", LOOK, str(folder)], variables)
    cached, cache_memory = watched([sys.executable, "-c", CACHE, str(folder), str(side)], variables)
    again, _ = watched([sys.executable, "-c", LOOK, str(folder)], variables)
    size = ["--set", f"input.height={side}", "--set", f"input.width={side}"]
    train = [
        "train",
        str(folder),
        "--net",
        NET,
        "--epochs",
        str(EPOCHS),
        "--set",
        "batch_size=64",
        *size,
        "--out",
        str(run),
    ]
    whole, train_memory = watched([sys.executable, "-m", "foveal", *train], variables)
    history = [json.loads(line)["seconds"] for line in (run / "history.jsonl").read_text().splitlines()]
    print(f"{count:,} images at {side}: look {look:.1f} s, epochs {history}", file=sys.stderr, flush=True)
    return {
        "look": look,
        "look again": again,
        "cache": cached - again,
        "epoch": history[-1] - history[-2],
        "train": whole,
        "memory, look": look_memory,
        "memory, cache": cache_memory,
        "memory, train": train_memory,
        "disk": sum(path.stat().st_size for path in cache.rglob("*")),
    }


def photographs(folder: Path, count: int) -> None:
    """Class folders of distinct photographs: cuts from a large one at places that differ, each a little brighter."""
    rng = np.random.default_rng(0)
    canvas = np.full((CANVAS, CANVAS, 3), 110.0, np.float32)
    for octave in (8, 24, 72, 216, 648):
        spots = Image.fromarray(rng.integers(0, 256, (octave, octave, 3), dtype=np.uint8))
        large = spots.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC)
        canvas += (np.asarray(large, np.float32) - 128) * (2 / octave**0.25)
    pixels = np.clip(canvas, 0, 255).astype(np.uint8)
    for number in range(CLASSES):
        (folder / f"class{number}").mkdir(parents=True)
    places = rng.permutation((CANVAS - WIDTH) * (CANVAS - HEIGHT))[:count]
    for number, place in enumerate(places.tolist()):
        left, top = place % (CANVAS - WIDTH), place // (CANVAS - WIDTH)
        image = Image.fromarray(pixels[top : top + HEIGHT, left : left + WIDTH])
        image.save(folder / f"class{number % CLASSES}" / f"{number:06}.jpg", quality=QUALITY)


def watched(command: list[str], variables: dict[str, str]) -> tuple[float, int]:
    """Seconds that a program took, and the largest memory of it and its children in bytes."""
    start = time.monotonic()
    process = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL)
    largest = [0]

    def sample() -> None:
        while process.poll() is None:
            largest[0] = max(largest[0], tree_memory(process.pid))
            time.sleep(0.2)

    watcher = threading.Thread(target=sample)
    watcher.start()
    code = process.wait()
    seconds = time.monotonic() - start
    watcher.join()
    if code:
        sys.exit(f"{' '.join(command)} ended with {code}")
    return seconds, largest[0]


def tree_memory(pid: int) -> int:
    """Resident bytes of a process and all below it; pages that they share count once for each."""
    total = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(tree_memory(int(child)) for child in (task / "children").read_text().split())
        return total + int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return total  # it ended meanwhile


def show(title: str, what: str, rows: dict[int, dict[str, float]]) -> None:
    names = list(next(iter(rows.values())))
    lines = []
    for key, row in rows.items():
        shown = [
            gigabytes(row[name]) if name == "disk" or name.startswith("memory") else f"{row[name]:.1f} s"
            for name in names
        ]
        lines.append((f"{key:,}", *shown))
    table(title, (what, *names), lines)


def judged(rows: dict[int, dict[str, float]]) -> int:
    memory = max(value for name, value in rows[FULL].items() if name.startswith("memory"))
    ratio = rows[FULL]["epoch"] / rows[COUNTS[-1]]["epoch"]
    holds = memory < MOST_MEMORY and RATIO[0] <= ratio <= RATIO[1]
    print(f"\nPeak memory at {FULL:,}: {gigabytes(memory)} (bound 2 GB). Epoch {FULL:,} / {COUNTS[-1]:,}: {ratio:.2f} ")
    print("(bound 9 to 11). " + ("Both hold." if holds else "A BOUND DOES NOT HOLD."))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
