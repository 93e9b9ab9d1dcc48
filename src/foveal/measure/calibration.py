"""Whether a probability of 0.8 is right eight times in ten."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from foveal.measure.groups import Groups
from foveal.measure.intervals import LEVEL, RESAMPLES, SHARE, interval, resampled, share_of, wilson
from foveal.measured import Score
from foveal.trust import Bin, Calibration

__all__ = ["BINS", "calibration", "expected_calibration_error"]

BINS = 15
DRAWS = 1_000_000  # images drawn in all, where that leaves 200 resamples: a tenth of a second


def calibration(
    before: np.ndarray,
    after: np.ndarray,
    right: np.ndarray,
    temperature: float,
    seed: int,
    groups: Groups = None,
) -> Calibration:
    """Of probabilities as the outputs give them, and of those that `predict` gives.

    Args:
        before, after: (N, M) probabilities, M of an image; NaN where it is not known whether they are right.
        right: (N, M) bool.
        temperature: that lies between the two.
        seed: of the resamples.
        groups: (N,) numbers.
    """
    first, last = _errors([before, after], right, seed, groups)
    return Calibration(temperature, first, last, _bins(before, right, groups), _bins(after, right, groups))


def expected_calibration_error(probability: np.ndarray, right: np.ndarray, seed: int) -> Score:
    """ECE: the mean distance between how sure the answers of a bin are and how many of them are right, over 15 bins of
    equal width, each with the weight of its answers. Its interval is the bias-corrected bootstrap's over images. With
    few images a network that is calibrated to the hair has an ECE well above 0, and that correction is then too small;
    so the interval begins, at the latest, where chance could have added the rest (97.5 times in 100 it adds less: the
    distance of a bin is at most its true one and that of the errors together). A nominal 95% held the truth 93 to 100
    times in 100, of 100 to 1,000 images and true values of 0 to 0.1.

    Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015;
    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017, arXiv 1706.04599, section 2;
    what chance alone makes: Bröcker and Smith, "Increasing the reliability of reliability diagrams", Weather and
    Forecasting 22 (2007) 651-661.

    Args:
        probability: (N, M); NaN where it is not known whether it is right.
        right: (N, M) bool.
        seed: of the resamples.
    """
    return _errors([probability], right, seed)[0]


def _errors(probabilities: Sequence[np.ndarray], right: np.ndarray, seed: int, groups: Groups = None) -> list[Score]:
    """Of each of them, over the same resamples."""
    n, known = len(right), ~np.isnan(probabilities[0])
    images, cells = np.nonzero(known)[0], known.sum(axis=1).astype(np.float64)
    gaps, chance = np.empty((len(probabilities), BINS, n)), []
    for gap, probability in zip(gaps, probabilities):
        sure = probability[known]
        bins = _bin_of(sure)
        gap[:] = np.bincount(images * BINS + bins, sure - right[known], n * BINS).reshape(n, BINS).T
        variance = np.maximum(_variance(gap, groups), np.bincount(bins, sure * (1 - sure), BINS))
        chance.append(_by_chance(np.sqrt(variance) / cells.sum(), seed))

    def under(weights: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.abs(gaps @ weights).sum(axis=1) / (cells @ weights)

    values = np.minimum(under(np.ones((n, 1)))[:, 0], 1.0).tolist()
    drawn = np.concatenate([under(weights) for weights in resampled(n, seed, DRAWS, groups)], axis=1)
    return [_score(*one, n, groups) for one in zip(values, drawn, chance)]


def _by_chance(spread: np.ndarray, seed: int) -> float:
    """The ECE that 2.5 in 100 calibrated networks have, or a larger one.

    Args:
        spread: (15,) standard deviation of what a bin adds to it.
    """
    drawn = np.abs(np.random.default_rng(seed).normal(size=(RESAMPLES, BINS)) * spread)
    return float(np.quantile(drawn.sum(axis=1), (1 + LEVEL) / 2))


def _variance(gap: np.ndarray, groups: Groups) -> np.ndarray:
    """Of the sums of (15, N) gaps over all images, from one choice of images, or of groups, to another."""
    if groups is None:
        return gap.shape[1] * gap.var(axis=1)
    sums = np.stack([np.bincount(groups, row) for row in gap])
    return sums.shape[1] * sums.var(axis=1)


def _score(value: float, drawn: np.ndarray, chance: float, n: int, groups: Groups) -> Score:
    drawn, alone = drawn[np.isfinite(drawn)], n if groups is None else int(groups.max()) + 1
    # All gaps alike, such as of one image: a bootstrap would have no width.
    varied = drawn.std() > 1e-12
    score = interval(value, drawn, n, SHARE, groups=groups) if varied else replace(wilson(value * alone, alone), n=n)
    return replace(score, low=min(score.low, max(0.0, value - chance)))


def _bin_of(probability: np.ndarray) -> np.ndarray:
    """(low, high] of equal width; 0 is in the first."""
    return np.clip(np.ceil(probability * BINS).astype(np.int64) - 1, 0, BINS - 1)


def _bins(probability: np.ndarray, right: np.ndarray, groups: Groups) -> tuple[Bin, ...]:
    known = ~np.isnan(probability)
    sure, hits = probability[known], right[known]
    numbers = None if groups is None else groups[np.nonzero(known)[0]]
    found, which = [], _bin_of(sure)
    for number in np.unique(which).tolist():
        inside = which == number
        share = share_of(hits[inside], None if numbers is None else numbers[inside])
        found.append(Bin(number / BINS, (number + 1) / BINS, float(sure[inside].mean()), share))
    return tuple(found)
