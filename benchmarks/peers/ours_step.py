"""Images a second of our own training, through `foveal.training`, on random images in memory.

    python ours_step.py IMAGES BATCH NET HxWxC SETTINGS SEED     SETTINGS: fields of the recipe to change, in JSON
    python ours_step.py IMAGES BATCH RECIPE.json "" SETTINGS SEED

Time from step to step, without what lies between epochs; a tenth of the images to warm up. FLOPs are 3 × those of
`foveal.describe`, less the gradients that nobody computes: to the image, and to and of a whitening layer.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from shared import say

import foveal
from foveal.events import Started, Step
from foveal.nets import Whiten, parse_input
from foveal.recipe import Recipe
from foveal.recipes import named_recipe
from foveal.types import Dataset, Entry, Reading, SplitName

IMAGES = 20_000  # in the set: more than the caches of any processor hold


class RandomImages:
    """A source of random pixels, ten classes; nearly all of them for training."""

    name = spec = signature = "random"
    findings = columns = ()
    reading = Reading()

    def __init__(self, count: int, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        few: tuple[tuple[SplitName, int], ...] = (("test", 10), ("validation", 10), ("train", count))
        splits: list[SplitName] = [split for split, images in few for _ in range(images)]
        self.listed = [Entry(f"{row:06}", str(row % 10), split) for row, split in enumerate(splits)]

    def entries(self) -> list[Entry]:
        return self.listed

    def read(self, file: str) -> np.ndarray:
        return np.random.default_rng(int(file)).integers(0, 256, self.shape, np.uint8)


def main(count: str, batch: str, net: str, size: str, settings: str, seed: str) -> None:
    given = Recipe.model_validate_json(Path(net).read_text()) if net.endswith(".json") else None
    shape = (given.input.height, given.input.width, given.input.channels) if given else parse_input(size)
    dataset = foveal.look(RandomImages(IMAGES * 32 * 32 // max(32 * 32, shape[0] * shape[1]), shape))
    recipe = given or named_recipe("cookbook", dataset).changed(net=net)
    changes = {"batch_size": int(batch)} if batch else {}
    # Steps at full size, over the splits that are here, however a run's own recipe begins.
    plain = {"epochs": 10_000, "growth": [], "pace": [], "validation": None, "test": None}
    recipe = recipe.changed(seed=int(seed), **plain, **changes, **json.loads(settings))
    precision, rate = measure(dataset, recipe, int(count))
    rows = foveal.describe(recipe.net, size=shape, outputs=10).rows
    first, second = [row for row in rows if row.flops][:2]
    flops = 3 * sum(row.flops for row in rows) - first.flops
    if first.kind.startswith(Whiten.kind):  # found from the images, not trained, so that no gradient goes there either
        flops -= first.flops + second.flops
    facts = {"images_per_second": rate, "batch": recipe.batch_size, "net": recipe.net}
    say(("foveal", "torch", "numpy"), **facts, flops=flops, precision=precision)


def measure(dataset: Dataset, recipe: Recipe, count: int) -> tuple[str, float]:
    """Precision, and images a second over `count` images."""
    seconds: list[float] = []
    needed, precision, steps, last = -(-count // recipe.batch_size), "", 0, None
    warm = max(2, needed // 10)
    events = foveal.training(dataset, recipe=recipe, out="run", save_every=float("inf"))
    for event in events:
        now = time.perf_counter()
        if isinstance(event, Started):
            precision, steps = event.precision, event.steps
        whole = isinstance(event, Step) and event.step < steps  # the last batch of an epoch may be smaller
        if whole and last is not None:
            seconds.append(now - last)
        last = now if whole else None
        if len(seconds) == warm + needed:
            break
    return precision, needed * recipe.batch_size / sum(seconds[warm:])


if __name__ == "__main__":
    main(*sys.argv[1:])
