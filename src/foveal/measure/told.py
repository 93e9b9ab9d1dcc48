"""How well several labels, or values, are told: each by itself, and the mean over them with its interval."""

import math
from collections.abc import Iterable
from statistics import NormalDist

import numpy as np

from foveal.measure.intervals import DRAWS, LEVEL, R_SQUARED, interval, resampled, wilson
from foveal.measure.ranking import auroc, auroc_parts
from foveal.measured import Score

__all__ = ["told_labels", "told_values"]

ALIKE = 1e-9  # of the variance of the truth: what is below is rounding


def told_labels(outputs: np.ndarray, truth: np.ndarray, fewest: int = 2) -> tuple[Score, tuple[Score | None, ...]]:
    """The mean over labels of AUROC, and that of each label; 0.5 between 0 and 1 where there is none.

    The variance of the mean is DeLong's, summed over labels for each image before it is squared, so that labels which
    go together count as such; the interval is on the logit scale, as that of one label. Where there is no variance
    (all is ranked right) it is Wilson's, for as many images as the rarest side of a label has.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837-845, equations 4 to 6.

    Args:
        outputs: (N, K).
        truth: (N, K) 1, 0 or NaN where it is not known.
        fewest: images that have a label, and that have it not, below which it is left out.
    """
    each: list[Score | None] = []
    moved, rarest = np.zeros(len(truth)), len(truth)
    for said, cells in zip(outputs.T, truth.T):
        rows = np.flatnonzero(~np.isnan(cells))
        has = cells[rows] == 1
        with_it, without = int(has.sum()), int((~has).sum())
        if min(with_it, without) < max(fewest, 2):
            each.append(None)
            continue
        score, (above, below) = auroc(said[rows], has), auroc_parts(said[rows], has)
        moved[rows[has]] += (above - score.value) / math.sqrt(with_it * (with_it - 1))
        moved[rows[~has]] += (below - score.value) / math.sqrt(without * (without - 1))
        rarest = min(rarest, with_it, without)
        each.append(score)
    values = [score.value for score in each if score]
    if not values:
        return Score(0.5, 0.0, 1.0, LEVEL, 0, "delong"), tuple(each)
    return _mean_auroc(sum(values) / len(values), moved / len(values), rarest), tuple(each)


def _mean_auroc(value: float, moved: np.ndarray, rarest: int) -> Score:
    """
    Args:
        moved: (N,) by how much each image moves the mean; the sum of the squares is its variance.
    """
    spread = math.sqrt(float((moved**2).sum()))
    if not spread > 1e-6 or not 0 < value < 1:
        score = wilson(value * rarest, rarest)
        return Score(value, score.low, score.high, score.level, len(moved), score.method)
    middle = math.log(value / (1 - value))
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * spread / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-end)) for end in (max(middle - half, -700.0), middle + half))
    return Score(value, min(value, low), max(value, high), LEVEL, len(moved), "delong")


def told_values(outputs: np.ndarray, truth: np.ndarray, seed: int) -> tuple[Score, tuple[Score | None, ...]]:
    """The mean over values of R², and that of each value, None where it is always the same; bootstrap intervals over
    images. 0 of no certainty where all are always the same.

    Args:
        outputs: (N, K).
        truth: (N, K).
        seed: of the resamples.
    """
    n, columns = truth.shape
    centered = truth.astype(np.float64) - truth.mean(axis=0, dtype=np.float64)
    parts = (outputs - truth).astype(np.float64) ** 2, centered, centered**2
    value = _r2(np.ones((n, 1)), *parts)[:, 0]
    drawn = np.concatenate(list(_over(resampled(n, seed, DRAWS // columns), *parts)), axis=1)
    defined = np.isfinite(value)
    each = tuple(
        interval(float(one), row, n, R_SQUARED, freedom=n - 1) if known else None
        for one, row, known in zip(value, drawn, defined)
    )
    if not defined.any():
        return Score(0.0, -math.inf, 1.0, LEVEL, n, "bootstrap"), each
    mean = interval(float(value[defined].mean()), drawn[defined].mean(axis=0), n, R_SQUARED, freedom=n - 1)
    return mean, each


def _over(
    draws: Iterable[np.ndarray], squared: np.ndarray, centered: np.ndarray, squares: np.ndarray
) -> Iterable[np.ndarray]:
    return (_r2(weights, squared, centered, squares) for weights in draws)


def _r2(weights: np.ndarray, squared: np.ndarray, centered: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """(K, R) where image i counts weights[i, r] times; NaN where the truth is always the same."""
    count = weights.sum(axis=0)
    variance = squares.T @ weights / count - (centered.T @ weights / count) ** 2
    known = variance > ALIKE * squares.mean(axis=0)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(known, 1 - squared.T @ weights / count / variance, np.nan)
