"""Near-duplicates: how many `look` finds of those that are known or planted, how many of what it finds are none, and
how long it takes.

    python benchmarks/twins.py [--sheet sheet.png] [--only cifar10 photographs]

CIFAR-10 is read from `cifar10.zip` and photographs from `cats_dogs.zip` in the folder that FOVEAL_DATA names; known
pairs of CIFAR-10 from `cifair10_duplicates.csv` there (Barz and Denzler 2020). Every look has a new cache. --sheet
draws 100 of the pairs found between test and train, chosen at random, to be looked at and counted by a person.
"""

import argparse
import csv
import io
import os
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from common import machine, table, warn_if_busy
from PIL import Image, ImageOps

from foveal import Dataset, look
from foveal.data.linking import rows_with_twins

PLANTED = 100  # copies of each kind
SHOWN, COLUMNS, SCALE = 100, 10, 3  # pairs on the sheet, in a row, and how much larger than they are


def exact(image: Image.Image, rng: np.random.Generator) -> bytes:
    return encoded(image, "PNG")


def resized(image: Image.Image, rng: np.random.Generator) -> bytes:
    share = rng.uniform(0.4, 0.8)
    return encoded(image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.BICUBIC))


def recompressed(image: Image.Image, rng: np.random.Generator) -> bytes:
    return encoded(image, quality=int(rng.integers(20, 60)))


def mirrored(image: Image.Image, rng: np.random.Generator) -> bytes:
    return encoded(ImageOps.mirror(image))


def cropped(image: Image.Image, rng: np.random.Generator) -> bytes:
    """5% of the width and of the height away, anywhere on both sides."""
    width, height = round(0.95 * image.width), round(0.95 * image.height)
    left, top = rng.integers(0, image.width - width + 1), rng.integers(0, image.height - height + 1)
    return encoded(image.crop((left, top, left + width, top + height)))


COPIES: dict[str, Callable[[Image.Image, np.random.Generator], bytes]] = {
    "exact (PNG)": exact,
    "resized to 40–80%": resized,
    "JPEG of quality 20–60": recompressed,
    "mirrored": mirrored,
    "cropped by 5%": cropped,
}


def encoded(image: Image.Image, kind: str = "JPEG", quality: int = 85) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return buffer.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, help="draw pairs of CIFAR-10 into this PNG file")
    parser.add_argument("--only", nargs="+", choices=("cifar10", "photographs"), default=("cifar10", "photographs"))
    options = parser.parse_args()
    warn_if_busy()
    folder = Path(os.environ["FOVEAL_DATA"])
    print(f"- Machine: {machine()}\n- numpy {np.__version__}, Pillow {version('pillow')}\n")
    if "cifar10" in options.only:
        cifar10(folder, options.sheet)
    if "photographs" in options.only:
        photographs(folder)
    return 0


def timed(source: str | Path) -> tuple[Dataset, float]:
    with tempfile.TemporaryDirectory() as cache:
        os.environ["FOVEAL_CACHE"] = cache
        start = time.perf_counter()
        dataset = look(source)
        return dataset, time.perf_counter() - start


def cifar10(folder: Path, sheet: Path | None) -> None:
    dataset, seconds = timed("cifar10")
    row = {file.rpartition(".")[0]: number for number, file in enumerate(dataset.files)}
    found = {(int(one), int(other)) for one, other in dataset.twins.pairs}
    splits = dataset.splits
    test, train = dataset.rows("test"), dataset.rows("train")
    flagged = {int(k) for k in test[rows_with_twins(dataset.twins, len(dataset), test, train)]}
    across = [k for k, (one, other) in enumerate(dataset.twins.pairs) if splits[one] != splits[other]]
    rows = []
    with (folder / "cifair10_duplicates.csv").open(newline="") as file:
        listed = [(row[one], row[other], kind) for one, other, kind in list(csv.reader(file))[1:]]
    for kind in ("near", "very_similar"):
        pairs = [(min(pair), max(pair), pair[0]) for *pair, its in listed if its == kind]
        as_pair = sum(pair[:2] in found for pair in pairs)
        as_image = sum(pair[2] in flagged for pair in pairs)
        shares = [f"{count} ({count / len(pairs):.1%})" for count in (as_pair, as_image)]
        rows.append((kind, str(len(pairs)), *shares))
    titles = "listed pairs", "there", "found as a pair", "test image found to have a twin in train"
    table(f"CIFAR-10: 60,000 images, {seconds:.1f} s to look at them for the first time", titles, rows)
    listed_tests = {one for one, *_ in listed}
    mirrors = int(dataset.twins.mirrored[across].sum())
    print(
        f"\nBetween test and train {len(across):,} pairs are found ({mirrors:,} of them mirrored), of {len(flagged):,} "
        f"test images, {len(flagged - listed_tests):,} of which are on no list; within train and within test "
        f"{len(dataset.twins) - len(across):,} pairs.\n"
    )
    if sheet:
        draw(dataset, np.random.default_rng(0).choice(across, min(SHOWN, len(across)), replace=False), sheet)


def draw(dataset: Dataset, numbers: np.ndarray, path: Path) -> None:
    """Pairs side by side, ten in a row; the second one turned round where it is a mirror image."""
    side = 32 * SCALE
    rows = -(-len(numbers) // COLUMNS)
    picture = Image.new("RGB", (COLUMNS * (2 * side + 12), rows * (side + 12)), "white")
    for place, number in enumerate(numbers):
        left, top = place % COLUMNS * (2 * side + 12), place // COLUMNS * (side + 12)
        for k, row in enumerate(dataset.twins.pairs[number]):
            image = Image.open(io.BytesIO(dataset.source.read(dataset.files[row]))).convert("RGB")  # pyright: ignore
            image = ImageOps.mirror(image) if k and dataset.twins.mirrored[number] else image
            picture.paste(image.resize((side, side), Image.Resampling.NEAREST), (left + k * (side + 2), top))
    picture.save(path)


def photographs(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        origin = plant(folder / "cats_dogs.zip", Path(scratch))
        dataset, seconds = timed(scratch)
    name = [Path(file).name for file in dataset.files]
    group = dict(zip(name, dataset.groups.tolist()))
    found = Counter(kind for copy, (original, kind) in origin.items() if group[copy] == group[original])
    shown = [origin.get(own, (own, ""))[0] for own in name]
    alarms = [(name[one], name[other]) for one, other in dataset.twins.pairs if shown[one] != shown[other]]
    rows = [(kind, str(PLANTED), str(found[kind])) for kind in COPIES]
    originals = len(name) - len(origin)
    title = f"Photographs: {len(dataset):,} files of cats_dogs.zip and copies of them, {seconds:.1f} s"
    table(title, ("planted copies", "there", "found with their original"), rows)
    wrong = {file for pair in alarms for file in pair}
    print(
        f"\nOther pairs that are found: {len(alarms)}, of {len(wrong)} files ({len(wrong) / len(dataset):.2%} of all); "
        f"there are {originals:,} originals. {'; '.join(f'{one} and {other}' for one, other in alarms[:10])}"
    )


def plant(archive: Path, folder: Path) -> dict[str, tuple[str, str]]:
    """Unpack the photographs and copies beside them; name of a copy to that of its original and how it was made."""
    origin = {}
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(archive) as source:
        names = sorted(name for name in source.namelist() if name.endswith(".jpg"))
        for name in names:
            path = folder / Path(name).parent.name / name.replace("/", "-")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(source.read(name))
        for number, (kind, make) in enumerate(COPIES.items()):
            for name in rng.choice(names, PLANTED, replace=False):
                image = Image.open(io.BytesIO(source.read(name))).convert("RGB")
                copy = f"copy-{number}-{name.replace('/', '-')}"
                (folder / Path(name).parent.name / copy).write_bytes(make(image, rng))
                origin[copy] = name.replace("/", "-"), kind
    return origin


if __name__ == "__main__":
    raise SystemExit(main())
