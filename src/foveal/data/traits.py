"""What an image looks like, in a few plain numbers that each have a name."""

import math
from typing import NamedTuple

import numpy as np

__all__ = ["TRAITS", "Trait", "traits"]

SAMPLES = 64  # along each axis that are looked at, at most: a hundred megapixels take no longer than a thumbnail
LAG = 4  # samples apart that are compared for shapes: a sixteenth of a large image
EVEN = 1  # levels of 255 by which neighbours in an even area differ at most
BLACK, WHITE = 8, 247  # up to, and from
TONES = 64
LEVELS = np.arange(256.0)
SQUARES = LEVELS**2


class Trait(NamedTuple):
    """
    Args:
        least: a spread below which nothing is unusual, however alike the images are.
        low, high: what is said of an image that has less or more of it than the others.
    """

    name: str
    least: float
    low: str
    high: str


TRAITS = (
    Trait("brightness", 0.03, "darker", "lighter"),
    Trait("contrast", 0.15, "less contrast", "more contrast"),
    Trait("black", 0.05, "less black", "more black"),
    Trait("white", 0.05, "less white", "more white"),
    Trait("tones", 0.25, "fewer tones of gray", "more tones of gray"),
    Trait("evenness", 0.03, "fewer even areas", "more even areas"),
    Trait("detail", 0.15, "less fine detail", "more fine detail"),
    Trait("grain", 0.15, "more grain for its shapes", "less grain for its shapes"),
    Trait("colour", 0.2, "less colour", "more colour"),
    Trait("red", 0.02, "less red", "more red"),
    Trait("blue", 0.02, "less blue", "more blue"),
    Trait("colours", 0.2, "fewer different colours", "more different colours"),
)


def traits(array: np.ndarray) -> np.ndarray:
    """(12,) float32, in the order of `TRAITS`: mean and log of the spread of the gray image; roots of the shares that
    are black and white; entropy of its tones, in bits; share of neighbours that are the same; log of how much
    neighbours differ, and of how much more samples differ that lie apart (of noise no more); log of the strength of
    colour, means of red and of blue less green, and log of how much these vary.

    Args:
        array: uint8, H×W×C with C = 1 or 3.
    """
    height, width, channels = array.shape
    down, across = -(-height // SAMPLES), -(-width // SAMPLES)
    part = array[down // 2 :: down, across // 2 :: across]
    # float32 holds these sums of whole numbers exactly.
    planes = part.transpose(2, 0, 1).astype(np.float32, order="C")
    middle = planes[channels // 2]
    green = array[..., channels // 2]
    near = [
        _steps(middle, green[down // 2 + 1 :: down, across // 2 :: across]),
        _steps(middle, green[down // 2 :: down, across // 2 + 1 :: across]),
    ]
    tones = (
        part[..., 0] if channels == 1 else ((planes[0] + 2 * middle + planes[2]) * np.float32(0.25)).astype(np.uint8)
    )
    gray = middle if channels == 1 else tones.astype(np.float32)
    far = [_steps(gray[:-LAG], gray[LAG:]), _steps(gray[:, :-LAG], gray[:, LAG:])]
    detail, shapes = (math.log(0.003 + sum(map(_sum, steps)) / _count(steps) / 255) for steps in (near, far))
    even = sum(np.count_nonzero(steps <= EVEN) for steps in near) / _count(near)
    return np.array([*_tones(tones), even, detail, shapes - detail, *_colour(planes)], np.float32)


def _steps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How much they differ, where both are."""
    height, width = min(len(one), len(other)), min(one.shape[1], other.shape[1])
    steps = np.subtract(one[:height, :width], other[:height, :width], dtype=np.float32)
    return np.abs(steps, out=steps)


def _sum(plane: np.ndarray) -> float:
    return float(np.add.reduce(plane, axis=None))


def _count(steps: list[np.ndarray]) -> int:
    return max(1, sum(one.size for one in steps))


def _tones(gray: np.ndarray) -> tuple[float, ...]:
    share = np.bincount(gray.ravel(), minlength=256) / gray.size
    mean = float(share @ LEVELS)
    spread = max(0.0, float(share @ SQUARES) - mean**2) ** 0.5
    tones = share.reshape(TONES, -1).sum(axis=1)
    tones = tones[tones > 0]
    black, white = float(share[: BLACK + 1].sum()) ** 0.5, float(share[WHITE:].sum()) ** 0.5
    return mean / 255, math.log(0.02 + spread / 255), black, white, -float(tones @ np.log2(tones))


def _colour(planes: np.ndarray) -> tuple[float, ...]:
    """
    Args:
        planes: (C, h, w) float32.
    """
    if len(planes) == 1:
        return math.log(0.01), 0.0, 0.0, math.log(0.01)
    size = planes[0].size
    strong = _sum(np.maximum.reduce(planes) - np.minimum.reduce(planes))  # the chroma of HSV
    apart = [planes[0] - planes[1], planes[2] - planes[1]]
    means = [_sum(plane) / size for plane in apart]
    off = sum(_sum(np.abs(plane - np.float32(round(mean)))) for plane, mean in zip(apart, means))
    return math.log(0.01 + strong / size / 255), means[0] / 255, means[1] / 255, math.log(0.01 + off / size / 255)
