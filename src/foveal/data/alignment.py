"""How alike two images are once one is laid on the other: cropped a little, moved or mirrored, whichever fits best."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from foveal.data.sketch import CHROMA, CHROMA_SIDE, LUMA, LUMA_SIDE, SIZE

__all__ = ["Scale", "aligned", "lowest", "odd"]

SHARES = (0.95, 0.9)  # of width and height that a crop leaves
KNOWN = 20  # images that what is known of photographs counts as
SPREAD = (650.0, 130.0)  # of photographs (CIFAR-10) at the lowest frequency of luma and of color
NOISE = 4.0  # standard deviation that shrinking and compression leave at any frequency
FINE = (12, 5)  # frequencies of luma and of color along each axis
DETAILS = 4  # cycles along both axes together, in halves, from which on luma counts as detail
POINTS = 64  # at which a crop is sampled


@dataclass(frozen=True, eq=False)
class Scale:
    """What is usual in a set of images: (384,) mean and standard deviation of each frequency.

    To divide by it makes every frequency count the same, and takes away what all images share: without it two X-rays of
    different people, or two skies, are more alike than a photograph and its cropped copy.
    """

    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, sketches: np.ndarray) -> "Scale":
        """
        Args:
            sketches: (N, 384). Few of them say little: photographs in general are then counted in.
        """
        count, total, squares = len(sketches), np.zeros(SIZE), np.zeros(SIZE)
        for start in range(0, count, 4096):
            part = sketches[start : start + 4096].astype(np.float64)
            total += part.sum(axis=0)
            squares += (part**2).sum(axis=0)
        weight = count + KNOWN
        mean = np.where(odd(), 0.0, total / weight)  # as often seen in a mirror
        variance = squares / weight - 2 * mean * total / weight + mean**2 * count / weight
        spread = np.sqrt(variance + _usual() ** 2 * KNOWN / weight + NOISE**2)
        return cls(mean.astype(np.float32), spread.astype(np.float32))


def odd() -> np.ndarray:
    """(384,) bool: frequencies that change their sign in a mirror."""
    return np.concatenate([np.tile(np.arange(side) % 2 == 1, side) for side in (LUMA_SIDE, CHROMA_SIDE, CHROMA_SIDE)])


def lowest(luma: int, chroma: int) -> np.ndarray:
    """Numbers of the frequencies below so many along both axes, without the highest along both at once."""
    found, start = [], 0
    for side, most in ((LUMA_SIDE, luma), (CHROMA_SIDE, chroma), (CHROMA_SIDE, chroma)):
        y, x = np.mgrid[:side, :side]
        inside = (np.maximum(y, x) < most) & (y + x <= most + (most + 1) // 2)
        inside[0, 0] &= side == CHROMA_SIDE
        found.append(start + np.flatnonzero(inside))
        start += side * side
    return np.concatenate(found)


def aligned(one: np.ndarray, other: np.ndarray, mirrored: np.ndarray, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """
    Args:
        one: (P, 384) sketches, and `other` those that they are compared with.
        mirrored: (P,) bool, whether to turn `other` round.

    Returns:
        (P,) float32 the correlation where they fit best; (P,) that of the details alone there (see `_details`).
    """
    other = np.where(mirrored[:, None] & odd(), -other, other)
    a, b = _views(one, scale), _views(other, scale)
    fits = np.concatenate(
        [
            np.einsum("pd,pwd->pw", a[:, 0], b),
            np.einsum("pd,pwd->pw", b[:, 0], a),
            np.einsum("pwd,pwd->pw", a, b[:, _opposite()]),
        ],
        axis=1,
    )
    best = fits.argmax(axis=1)
    count, pairs = a.shape[1], np.arange(len(a))
    kind, window = np.divmod(best, count)
    in_one = np.where(kind == 0, 0, window)
    in_other = np.choose(kind, [window, np.zeros_like(window), _opposite()[window]])
    fine = _details()
    a, b = a[pairs, in_one][:, fine], b[pairs, in_other][:, fine]
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return fits[pairs, best], np.einsum("pd,pd->p", a, b) / np.maximum(lengths, 1e-6)


@cache
def _details() -> np.ndarray:
    """Places of the luma's higher frequencies among the fine ones. Two skies of one blue, each a little darker on top,
    are alike in all that is coarser, whatever flies there."""
    fine = lowest(*FINE)
    y, x = np.divmod(fine, LUMA_SIDE)
    return np.flatnonzero((fine < LUMA) & (y + x >= DETAILS))


def _views(sketches: np.ndarray, scale: Scale) -> np.ndarray:
    """(P, W, D) the scaled frequencies of each window of each image, of length 1."""
    luma, chroma = _windows()
    fine = lowest(*FINE)
    planes = np.split(sketches, [LUMA, LUMA + CHROMA], axis=1)
    parts = [planes[0] @ luma.T, planes[1] @ chroma.T, planes[2] @ chroma.T]
    count = len(_places())
    views = np.concatenate([part.reshape(len(sketches), count, -1) for part in parts], axis=2)
    views -= scale.mean[fine]
    views /= scale.spread[fine]
    views /= np.maximum(np.linalg.norm(views, axis=2, keepdims=True), 1e-6)
    return views


@cache
def _places() -> list[tuple[float, float, float]]:
    """Share, top and left of each window; the whole image first."""
    found = [(1.0, 0.0, 0.0)]
    for share in SHARES:
        starts = (0.0, (1 - share) / 2, 1 - share)
        found += [(share, top, left) for top in starts for left in starts]
    return found


@cache
def _opposite() -> np.ndarray:
    """Of each window the one in the opposite corner: what is left of both where one image moved."""
    places = _places()
    return np.array(
        [int(np.argmin([abs(share - s) + abs(1 - share - top - t) + abs(1 - share - left - e) for s, t, e in places]))
         for share, top, left in places]
    )  # fmt: skip


@cache
def _windows() -> tuple[np.ndarray, np.ndarray]:
    """Luma (W · L, 256) and chroma (W · C, 64): from the frequencies of an image to those of its windows."""
    found = []
    for side, start, end in ((LUMA_SIDE, 0, LUMA), (CHROMA_SIDE, LUMA, LUMA + CHROMA)):
        fine = lowest(*FINE)
        kept = fine[(fine >= start) & (fine < end)] - start
        found.append(
            np.concatenate(
                [np.kron(_crop(side, share, top), _crop(side, share, left))[kept] for share, top, left in _places()]
            ).astype(np.float32)
        )
    return found[0], found[1]


def _crop(count: int, share: float, start: float) -> np.ndarray:
    """(count, count): from the first frequencies along an axis to those of its part from `start`, `share` long."""
    frequencies = np.arange(count)
    size = np.where(frequencies == 0, 1.0, np.sqrt(2))
    places = (np.arange(POINTS) + 0.5) / POINTS
    whole = np.cos(np.pi * frequencies * (start + share * places)[:, None]) * size
    part = np.cos(np.pi * frequencies * places[:, None]) * size
    return part.T @ whole / POINTS


@cache
def _usual() -> np.ndarray:
    """(384,) the spread of each frequency in photographs: it falls as one over the frequency (Field 1987)."""
    parts = []
    for side, spread in ((LUMA_SIDE, SPREAD[0]), (CHROMA_SIDE, SPREAD[1]), (CHROMA_SIDE, SPREAD[1])):
        y, x = np.mgrid[:side, :side]
        parts.append((spread / np.maximum(np.hypot(y, x), 1)).ravel())
    return np.concatenate(parts)
