"""CIFAR-10 as four .npy files in a folder: what the peers read, so that decoding costs them nothing.

    python benchmarks/prepare_cifar10.py FOLDER

Pixels (N, 32, 32, 3) uint8 and class numbers (N,), by our own reader, in one shuffled order: Keras' validation_split
takes the last rows, and in the archive's order those are whole classes. Our own caches are filled on the way.
"""

import sys
from pathlib import Path

import numpy as np

import foveal
from foveal.data.cache import pixels
from foveal.recipe import InputContract
from foveal.tasks import named_task


def main(folder: Path) -> None:
    dataset = foveal.look("cifar10")
    contract = InputContract(height=32, width=32, channels=3, resize="stretch")
    images = pixels(dataset, named_task("classification").reader, contract)
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        rows = np.random.default_rng(0).permutation(dataset.rows(split))
        np.save(folder / f"{split}_images.npy", images[rows])
        np.save(folder / f"{split}_labels.npy", dataset.targets[rows])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
