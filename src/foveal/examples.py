"""What is measured: images with their truth, and a network's answers laid out beside it. Plain, frozen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from foveal.types import Geometry

__all__ = ["Examples", "PixelRows", "Rated"]


@dataclass(frozen=True, eq=False)
class PixelRows:
    """Some rows of a pixel array, read when they are indexed: an array that is mapped from the disk stays there."""

    array: np.ndarray
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.rows), *self.array.shape[1:]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: np.ndarray) -> np.ndarray:
        return self.array[self.rows[chosen]]


@dataclass(frozen=True, eq=False)
class Examples:
    """Images with their truth, as a measure sees them.

    Args:
        files: names, length N.
        pixels: (N, H, W, C) uint8, as the net takes them; indexed by row numbers.
        targets: (N,) parsed targets; where they say where, in the original image's pixels.
        geometries: how each image was mapped to what the net takes; empty where targets do not say where.
        groups: (N,) int64, images of one number belong together (one patient, one video) and intervals are of whole
            groups; None: each image is alone.
    """

    files: Sequence[str]
    pixels: np.ndarray | PixelRows
    targets: np.ndarray
    geometries: Sequence[Geometry] = ()
    groups: np.ndarray | None = None

    def among(self, rows: np.ndarray) -> "Examples":
        """Those at some row numbers; pixels that are mapped from the disk stay there."""
        pixels = self.pixels
        return Examples(
            [self.files[int(row)] for row in rows],
            PixelRows(pixels.array, pixels.rows[rows]) if isinstance(pixels, PixelRows) else pixels[rows],
            self.targets[rows],
            [self.geometries[int(row)] for row in rows] if self.geometries else (),
            None if self.groups is None else self.groups[rows],
        )


@dataclass(frozen=True, eq=False)
class Rated:
    """One network's answers beside the truth, laid out to be scored again for every resample of the N images.

    Args:
        wrong: (N,) how wrong the answer to each image is, 0 where it is right: 1 for one label, otherwise how many
            labels or boxes are wrong; of values the absolute error, of several the mean in units of their spread.
        first: where image i counts weights[i, r] times, (N, R) float64 whole numbers: (R,) the first score of the
            headline, NaN where not defined. It costs no more than that score, however many `under` has.
        under: likewise all scores: name to (R,), named as the measure's and the headline first; and name to (K, R) of
            each label.
        shares: those of the scores that are a plain share of the images, as (N,) bool: whether an image counts for it.
        label_shares: likewise of the scores of a label, (K, N) float: 1 counts for it, 0 against it, NaN not at all.
        said: (N, …) the answers, to be laid beside those to the same images moved a little: whole numbers or bools are
            alike or not, floats are in standard deviations of the true values; None where the answer has to move with
            the image.
    """

    wrong: np.ndarray
    first: Callable[[np.ndarray], np.ndarray]
    under: Callable[[np.ndarray], tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]
    shares: Mapping[str, np.ndarray] = field(default_factory=dict)
    label_shares: Mapping[str, np.ndarray] = field(default_factory=dict)
    said: np.ndarray | None = None
