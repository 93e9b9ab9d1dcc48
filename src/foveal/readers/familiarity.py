"""Whether an image looks like those that a network learned from: a distance between what images look like, found from
their pixels as the net takes them, so that it holds for any net and any answer. numpy only: serving runs it too."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

__all__ = ["UNLIKE", "familiar", "looks", "strangeness", "with_familiarity"]

UNLIKE = "unlike the training images"
LEVEL = 0.99  # share of images like the training images that are to pass
MOST_IMAGES = 5000
MOST_VALUES = 50_000_000  # pixel values: half a second of one core
AT_ONCE = 250_000  # values: 1 MB, which caches hold
LAGS = (1, 2, 4)  # pixels
LEAST_SPREAD = 0.02  # of a property: what never varies in the training images may do so by as little later
PARTS = 5  # that the images are cut into, to see each by the others
DIGITS = 7

P = TypeVar("P")


def looks(pixels: np.ndarray) -> np.ndarray:
    """(B, H, W, C) uint8, C = 1 or 3, to (B, 11), or (B, 15) with colour, float64: mean and spread of the gray image;
    how much its pixels differ from their neighbours, across and down, and how much more from those 2 and 4 away (of
    noise no more); how many values are black, and white; how skewed they are; with colour, how far red and blue are
    from green, on the mean and at each pixel."""
    count, channels = len(pixels), pixels.shape[3]
    planes = [np.float32(1 / 255) * pixels[..., k] for k in range(channels)]  # numpy is slow along an axis of 3
    gray = sum(planes[1:], planes[0]) / np.float32(channels)
    flat = gray.reshape(count, -1)
    mean, spread = flat.mean(axis=1), flat.std(axis=1)
    off = flat - mean[:, None]
    skew = np.einsum("ij,ij,ij->i", off, off, off) / max(1, flat.shape[1]) / (spread + 0.02) ** 3
    columns = [mean, np.log(0.02 + spread), np.clip(skew, -4, 4)]
    for across in (True, False):
        power = [_differing(gray, lag, across) for lag in LAGS]
        columns += [power[0], power[1] - power[0], power[2] - power[1]]
    every = pixels.reshape(count, -1)
    columns += [np.sqrt(np.count_nonzero(ends, axis=1) / every.shape[1]) for ends in (every <= 2, every >= 253)]
    if channels > 1:
        for k in (0, 2):
            colour = (planes[k] - planes[1]).reshape(count, -1)
            columns += [colour.mean(axis=1), np.log(0.01 + np.abs(colour).mean(axis=1))]
    return np.stack(columns, axis=1).astype(np.float64)


def _differing(gray: np.ndarray, lag: int, across: bool) -> np.ndarray:
    """(B,) logarithm of the mean squared difference of pixels so far apart."""
    differing = gray[:, :, lag:] - gray[:, :, :-lag] if across else gray[:, lag:] - gray[:, :-lag]
    flat = differing.reshape(len(gray), -1)
    return np.log(3e-4 + np.einsum("ij,ij->i", flat, flat) / max(1, flat.shape[1]))


def familiar(pixels: np.ndarray, train: np.ndarray, validation: np.ndarray) -> dict[str, Any]:
    """What images look like, JSON-ready, as `look`: mean and whitening of the `looks` of training and validation
    images, and the `threshold` on the distance from them (Mahalanobis') that 99 of 100 of the n images keep: the
    ⌈(n + 1) · 0.99⌉-th smallest, each seen by four fifths of the others. No network has a part in it, so that training
    images are as good to judge by as validation images. Empty where there are fewer than 99.

    Args:
        pixels: (N, H, W, C) uint8; at most 5,000 rows are looked at.
        train, validation: row numbers.
    """
    rows = np.concatenate([train, validation])
    most = max(1, min(MOST_IMAGES, MOST_VALUES // max(1, math.prod(pixels.shape[1:]))))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:most])
    looked = _looks_of(pixels, rows)
    n = len(looked)
    rank = math.ceil(round((n + 1) * LEVEL, 9))
    if rank > n:
        return {}
    part = np.random.default_rng(0).permutation(n) % PARTS
    seen = np.concatenate([_distance(looked[part == k], *_fitted(looked[part != k])) for k in range(PARTS)])
    mean, whitening = _fitted(looked)
    told = {"level": LEVEL, "threshold": float(np.sort(seen)[rank - 1]), "n": n}
    return {"look": {**told, "mean": _short(mean), "whitening": [_short(row) for row in whitening]}}


def strangeness(pixels: Any, settled: Mapping[str, Any]) -> np.ndarray | None:
    """(B,) how far images (B, H, W, C) uint8 are from what the training images look like, the threshold being 1: above
    it they are unlike them. None where nothing was settled that could tell, as in runs of before.

    Args:
        pixels: an array, or what is indexed by row numbers as one and may stay on the disk.
    """
    if "look" not in settled:
        return None
    if not len(pixels):
        return np.zeros(0)
    look = settled["look"]
    looked = _looks_of(pixels, np.arange(len(pixels)))
    return _distance(looked, np.array(look["mean"]), np.array(look["whitening"])) / look["threshold"]


def with_familiarity(prediction: P, unlike: bool | None) -> P:
    """The prediction, withheld where its image is unlike the training images; None says nothing of it."""
    if unlike is None:
        return prediction
    before: Any = prediction
    if unlike:
        reason = "; ".join([UNLIKE, *([before.reason] if before.reason else [])])
        return replace(before, abstained=True, reason=reason)
    return before if before.abstained is not None else replace(before, abstained=False)


def _looks_of(pixels: Any, rows: np.ndarray) -> np.ndarray:
    """
    Args:
        pixels: (N, H, W, C) uint8, indexed by row numbers: they may stay on the disk.
    """
    step = max(1, AT_ONCE // max(1, math.prod(pixels.shape[1:])))
    parts = [looks(pixels[rows[start : start + step]]) for start in range(0, len(rows), step)]
    return np.concatenate(parts) if parts else np.zeros((0, 0))


def _fitted(looked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and the matrix that makes the covariance 1. The fewer images, the more it leans towards independence."""
    n, properties = looked.shape
    mean = looked.mean(axis=0)
    spread = np.maximum(looked.std(axis=0), LEAST_SPREAD)
    unit = (looked - mean) / spread
    lean = properties / (n + properties)
    correlation = (1 - lean) * unit.T @ unit / n + lean * np.eye(properties)
    return mean, np.linalg.inv(np.linalg.cholesky(correlation)) / spread


def _distance(looked: np.ndarray, mean: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    return np.sqrt((((looked - mean) @ whitening.T) ** 2).sum(axis=1))


def _short(numbers: np.ndarray) -> list[float]:
    return [float(f"{number:.{DIGITS}g}") for number in numbers]
