"""Images moved by a few pixels: what an answer should not depend on.

Source: Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019, arXiv 1904.11486, section 4: the share
of images whose label stays the same.
"""

from dataclasses import dataclass

import numpy as np

from foveal.measure.changed import Changed, rng_of

__all__ = ["SHIFTS", "Shifted", "distances"]

FARTHEST = 4  # pixels
PART = 8  # of the shorter side at most
SHIFTS: dict[str, str] = {
    "straight": "left, right, up or down",
    "diagonal": "as far to the side as up or down",
    "random": "to anywhere within so many pixels to the side and up or down, but not nowhere",
}


def distances(height: int, width: int) -> tuple[int, ...]:
    """1 to 4 pixels; no more than an eighth of the shorter side, but always 1."""
    return tuple(range(1, max(1, min(FARTHEST, min(height, width) // PART)) + 1))


@dataclass(frozen=True, eq=False)
class Shifted(Changed):
    """Images that were moved; the edges are repeated. Where to is a function of seed, file and kind; of `random` also
    of the distance."""

    kind: str
    distance: int
    seed: int

    def changed(self, image: np.ndarray, file: str) -> np.ndarray:
        down, right = self.offset(file)
        height, width, _ = image.shape
        rows, columns = np.arange(height) - down, np.arange(width) - right
        return image[np.clip(rows, 0, height - 1)][:, np.clip(columns, 0, width - 1)]

    def offset(self, file: str) -> tuple[int, int]:
        """How far down and to the right an image is moved, in pixels."""
        rng, far = rng_of(self.seed, file, self.kind), self.distance
        if self.kind == "random":
            side = 2 * far + 1
            place = int(np.random.default_rng([far, *rng.integers(2**32, size=4)]).integers(side * side - 1))
            place += place >= side * side // 2  # the middle is nowhere
            return place // side - far, place % side - far
        down, right = (int(sign) for sign in rng.choice([-far, far], size=2))
        if self.kind == "straight":
            return (down, 0) if rng.random() < 0.5 else (0, right)
        return down, right
