"""Images that are changed when they are read, to be given to a network in place of an array."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foveal.examples import Examples, PixelRows

__all__ = ["Changed", "rng_of"]


def rng_of(seed: int, file: str, kind: str) -> np.random.Generator:
    """The same for the same three, whatever was drawn before."""
    told = hashlib.sha256(f"{seed}\0{kind}\0{file}".encode("utf-8", "surrogateescape")).digest()
    return np.random.default_rng(np.frombuffer(told[:16], np.uint32))


@dataclass(frozen=True, eq=False)
class Changed(ABC):
    """Images, each changed when it is indexed; how is a function of the image, its file's name and the fields.

    Args:
        files: names, length N.
        pixels: (N, H, W, C) uint8, as the net takes them.
    """

    files: Sequence[str]
    pixels: np.ndarray | PixelRows

    @abstractmethod
    def changed(self, image: np.ndarray, file: str) -> np.ndarray:
        """(H, W, C) uint8 to the same."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.pixels.shape

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, chosen: np.ndarray) -> np.ndarray:
        """(n, H, W, C) uint8 of n row numbers."""
        images = self.pixels[chosen]
        others = np.empty_like(images)
        for place, image, row in zip(others, images, chosen):
            place[...] = self.changed(image, self.files[int(row)])
        return others

    def examples(self, test: Examples) -> Examples:
        """The test images' truth as it is of these."""
        return test
