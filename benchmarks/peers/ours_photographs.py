"""Photographs to batches with ours: `python ours_photographs.py FOLDER SEED`. The first pass decodes, with an empty
cache; the others read the cache, as every further epoch does. `look`, which training does before, is timed apart."""

import json
import os
import sys
import tempfile
import time
from importlib.metadata import version

import torch

from foveal.data import look
from foveal.data.batches import gathered, row_batches
from foveal.data.cache import pixels
from foveal.recipe import InputContract
from foveal.tasks import named_task

SIDE, BATCH = 224, 64
PASSES = 3
CONTRACT = InputContract(height=SIDE, width=SIDE, channels=3)


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        os.environ["FOVEAL_CACHE"] = cache
        task, seconds, total = named_task("classification"), [], 0
        start = time.perf_counter()
        dataset = look(sys.argv[1], task)
        looked = time.perf_counter() - start
        for _ in range(PASSES):
            start = time.perf_counter()
            array = pixels(dataset, task.reader, CONTRACT)
            count, total = 0, 0
            rows = torch.arange(len(dataset)).numpy()
            for chosen in row_batches(rows, batch_size=BATCH, seed=0, epoch=0, shuffle=False):
                batch = gathered(array, chosen)
                count, total = count + len(batch), total + int(batch[:, :, 0, 0].sum())
            seconds.append(time.perf_counter() - start)
    names = ("torch", "pillow", "simplejpeg", "numpy")
    versions = {name: version(name) for name in names}
    print(json.dumps({"images": count, "passes": seconds, "look": looked, "checksum": total, "versions": versions}))


if __name__ == "__main__":
    main()
