"""Are recipes told apart when they differ, and only then? And does a learning curve say what more images bring?

    python benchmarks/compare.py WORK [same | better | curve | record]...

`same`: ten repeats of a recipe on digits, divided in two at random 20 times: called different at most twice.
`better`: the worked example against itself with batch norm, dropout, mirroring, shifts and a falling rate, on 3,000
training and 2,000 test images of CIFAR-10, five repeats each: called different. `curve`: CIFAR-10 on 10% to 50% of the
training images, then two trainings on all of them: their accuracy lies in the interval that was said. `record` prints
what is there. Everything lies in WORK and goes on where it was stopped. The last two need FOVEAL_DATA with cifar10.zip.
"""

import argparse
import itertools
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from common import machine, table
from PIL import Image

import foveal
from foveal.api import is_curve, repeats_of, resume_curve, resume_repeats
from foveal.api.curving import curve
from foveal.api.looking import task_and_data
from foveal.api.shares import keep, learn, rated
from foveal.data.cache import pixels
from foveal.engine.devices import choose_device
from foveal.measure.paired import welch
from foveal.series import Series, is_series

TRAIN, TEST = 300, 200  # images a class
REPEATS, HALVES = 10, 20
COOKBOOK = "32c3-mp2-64c3-mp2-128c3-128n"
BETTER = {
    "net": "32c3:none-mp2-bn:relu-64c3:none-mp2-bn:relu-128c3:none-bn:relu-128n-do0.5",
    "epochs": 20,
    "flip": True,
    "translate": 3,
    "schedule": "cosine",
    "learning_rate": 2e-3,
}
SAME = {"same": {"epochs": 3, "net": "16c3-mp2-32c3-64n", "keep": "last"}, "same-default": {"epochs": 8}}
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
HELD_OUT = 0.1
NEW_SEEDS = (10, 11)  # of the trainings on all images: other ones than those of the curve


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("what", nargs="*", choices=["same", "better", "curve", "record"], default=["record"])
    parser.add_argument("--minutes", type=float, default=4.0, help="of the curve")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for what in options.what:
        {"same": same, "better": better, "curve": curves, "record": record}[what](options.work, options.minutes)
    return 0


def same(work: Path, minutes: float) -> None:
    for name, asked in SAME.items():
        series(work / name, "digits", REPEATS, **asked)


def better(work: Path, minutes: float) -> None:
    source = images(work / "cifar")
    series(work / "cookbook", source, 5, recipe="cookbook")
    series(work / "better", source, 5, recipe="cookbook", **BETTER)


def curves(work: Path, minutes: float) -> None:
    """The curve, then the same recipe on all training images, measured on the same images held out."""
    if is_curve(work / "curve"):
        resume_curve(work / "curve")
    else:
        curve("cifar10", shares=SHARES, minutes=minutes, out=work / "curve", validation=HELD_OUT)
    run = foveal.Run(work / "curve")
    for seed in NEW_SEEDS:
        place = work / "whole" / f"{seed}.npz"
        if not place.is_file():
            task, dataset = task_and_data(run, None)
            device = choose_device()
            array = pixels(dataset, task.reader, run.recipe.input)
            network = learn(run, dataset, array, dataset.rows("train"), seed, device, lambda done, total: None)
            keep(place, rated(run, task, dataset, array, network, device))


def series(path: Path, source: str | Path, count: int, **asked: object) -> None:
    if is_series(path):
        resume_repeats(path)
    else:
        foveal.repeat(source, count, out=path, **asked)


def images(folder: Path) -> Path:
    """The first images of each class of CIFAR-10, as files."""
    if folder.exists():
        return folder
    dataset = foveal.look("cifar10")
    for split, count in (("train", TRAIN), ("test", TEST)):
        for number, label in enumerate(dataset.labels):
            place = folder.with_name("cifar.part") / split / label
            place.mkdir(parents=True, exist_ok=True)
            rows = np.flatnonzero((dataset.splits == split) & (dataset.targets == number))[:count]
            for row in rows:
                pixels = dataset.source.read(dataset.files[row])
                if isinstance(pixels, bytes):
                    (place / f"{row}.png").write_bytes(pixels)
                else:
                    Image.fromarray(pixels).save(place / f"{row}.png")
    folder.with_name("cifar.part").rename(folder)
    return folder


def record(work: Path, minutes: float) -> None:
    print(f"# Networks and recipes compared, {time.strftime('%Y-%m-%d')}\n")
    print(f"- Command: `python benchmarks/compare.py WORK {' '.join(sys.argv[2:])}`")
    print(f"- Machine: {machine()}")
    print(f"- foveal {version('foveal')}, torch {version('torch')}, scipy {version('scipy')}\n")
    for name, asked in SAME.items():
        if is_series(work / name) and Series(work / name).finished:
            record_same(work / name, asked)
    if all(is_series(work / name) and Series(work / name).finished for name in ("cookbook", "better")):
        record_better(work)
    if (work / "curve" / "curve.json").is_file():
        record_curve(work)


def record_same(path: Path, asked: dict[str, object]) -> None:
    values = np.array(repeats_of(Series.open(path)).scores["accuracy"].values)
    rng, called = np.random.default_rng(0), []
    for _ in range(HALVES):
        order = rng.permutation(len(values))
        called.append(welch(values[order[:5]].tolist(), values[order[5:]].tolist()).p < 0.05)
    halves = [set(half) for half in itertools.combinations(range(10), 5) if 0 in half]
    every = [welch(values[sorted(half)].tolist(), np.delete(values, sorted(half)).tolist()).p < 0.05 for half in halves]
    print(f"## One recipe, divided in two: digits, {', '.join(f'{key} {value}' for key, value in asked.items())}\n")
    print(
        f"Ten repeats, accuracy {', '.join(f'{value:.4f}' for value in values)}: mean {values.mean():.4f}, deviation "
    )
    print(
        f"{values.std(ddof=1):.4f}. Divided in two at random {HALVES} times, the halves were called different recipes "
    )
    print(f"{sum(called)} times (at most 2 allowed); of all {len(every)} ways to divide them, {sum(every)} times.\n")


def record_better(work: Path) -> None:
    found = foveal.compare(work / "cookbook", work / "better")
    assert found.recipes is not None
    rows = []
    for name in ("cookbook", "better"):
        score = repeats_of(Series.open(work / name)).scores["accuracy"]
        values = ", ".join(f"{value:.4f}" for value in score.values)
        rows.append((name, f"{score.mean:.4f} [{score.low:.4f}, {score.high:.4f}]", f"{score.deviation:.4f}", values))
    table("Two recipes", ("recipe", "mean accuracy [95%, t]", "deviation", "seeds"), rows)
    first, second = (repeats_of(Series.open(work / name)).scores["accuracy"].values for name in ("cookbook", "better"))
    threes = [
        welch(list(one), list(other)).p < 0.05
        for one in itertools.combinations(first, 3)
        for other in itertools.combinations(second, 3)
    ]
    print(f"\nOf all {len(threes)} ways to take three of each, {sum(threes)} are called different.")
    print(f"\nRecipes: {found.recipes_words}\n\nNetworks (seed 0): {found.networks.words}\n")


def record_curve(work: Path) -> None:
    told = json.loads((work / "curve" / "curve.json").read_text())
    rows = [(f"{point['images']:,}", str(point["seed"]), f"{point['score']:.4f}") for point in told["points"]]
    table("A learning curve of CIFAR-10", ("images", "seed", "accuracy, held out"), rows)
    print(f"\n{told['words']}\n")
    for one in told["expected"]:
        print(f"- {one['images']:,}: {one['score']:.4f} [{one['low']:.4f}, {one['high']:.4f}]")
    said = next(one for one in told["expected"] if one["times"] == 1)
    for seed in NEW_SEEDS:
        place = work / "whole" / f"{seed}.npz"
        if place.is_file():
            score = float(np.load(place)["scores"][0])
            holds = said["low"] <= score <= said["high"]
            where = "in" if holds else "NOT IN"
            print(f"\nAll {told['images']:,} images, seed {seed}: {score:.4f}, {where} the interval.")


if __name__ == "__main__":
    sys.exit(main())
