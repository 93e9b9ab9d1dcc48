"""What the peers' scripts share: the arrays, and the one line that they print at the end."""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np


def arrays(folder: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """(N, 32, 32, 3) uint8 and (N,) class numbers."""
    return tuple(np.load(Path(folder) / f"{split}_{what}.npy") for what in ("images", "labels"))


def random_arrays(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels in the form of CIFAR-10, for timing only."""
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, 32, 32, 3), np.uint8), random.integers(0, 10, count)


def say(packages: tuple[str, ...], **facts: object) -> None:
    print(json.dumps({**facts, "versions": {name: version(name) for name in packages}}), flush=True)
