"""Whether a probability of 0.8 is right eight times in ten."""

import numpy as np

from foveal.measure.intervals import SHARE, interval, resampled, wilson
from foveal.trust import Bin, Calibration
from foveal.types import Score

__all__ = ["BINS", "calibration", "expected_calibration_error"]

BINS = 15


def calibration(
    before: np.ndarray, after: np.ndarray, right_before: np.ndarray, right: np.ndarray, temperature: float, seed: int
) -> Calibration:
    """Of probabilities as the outputs give them, and of those that `predict` gives.

    Args:
        before, after: (N, M) probabilities, M of an image; NaN where it is not known whether they are right.
        right_before, right: (N, M) whether that is right.
        seed: of the resamples.
    """
    return Calibration(
        temperature,
        expected_calibration_error(before, right_before, seed),
        expected_calibration_error(after, right, seed),
        _bins(before, right_before),
        _bins(after, right),
    )


def expected_calibration_error(probability: np.ndarray, right: np.ndarray, seed: int) -> Score:
    """ECE: the mean distance between how sure the answers of a bin are and how many of them are right, over 15 bins of
    equal width, each with the weight of its answers. Its interval is the bias-corrected bootstrap's over images: with
    few images a network that is calibrated to the hair has an ECE well above 0, and each resample a larger one.

    Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015;
    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017, arXiv 1706.04599, section 2.

    Args:
        probability: (N, M); NaN where it is not known whether it is right.
        right: (N, M) bool.
        seed: of the resamples.
    """
    known = ~np.isnan(probability)
    images, n = np.nonzero(known)[0], len(probability)
    bins = _bin_of(probability[known])
    gaps = np.bincount(images * BINS + bins, probability[known] - right[known], n * BINS).reshape(n, BINS)
    cells = known.sum(axis=1).astype(np.float64)

    def under(weights: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.abs(gaps.T @ weights).sum(axis=0) / (cells @ weights)

    value = min(float(under(np.ones((n, 1)))[0]), 1.0)
    drawn = np.concatenate([under(weights) for weights in resampled(n, seed)])
    drawn = drawn[np.isfinite(drawn)]
    # All gaps alike, such as of one image: a bootstrap would have no width.
    return interval(value, drawn, n, SHARE) if drawn.std() > 1e-12 else wilson(value * n, n)


def _bin_of(probability: np.ndarray) -> np.ndarray:
    """(low, high] of equal width; 0 is in the first."""
    return np.clip(np.ceil(probability * BINS).astype(np.int64) - 1, 0, BINS - 1)


def _bins(probability: np.ndarray, right: np.ndarray) -> tuple[Bin, ...]:
    known = ~np.isnan(probability)
    sure, hits = probability[known], right[known]
    found, which = [], _bin_of(sure)
    for number in np.unique(which).tolist():
        inside = which == number
        share = wilson(int(hits[inside].sum()), int(inside.sum()))
        found.append(Bin(number / BINS, (number + 1) / BINS, float(sure[inside].mean()), share))
    return tuple(found)
