"""Intervals: Wilson's for a share of images, the bootstrap for what is between 0 and 1 but no plain share."""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from foveal.types import Score

__all__ = ["LEVEL", "RESAMPLES", "bootstrap", "wilson"]

LEVEL = 0.95
RESAMPLES = 2000
CHUNK = 2_000_000  # counts drawn at once: 16 MB


def wilson(successes: int, n: int, level: float = LEVEL) -> Score:
    """A share with its score interval; honest near 0 and 1 and for a handful of images, where value ± 2 SE is not.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209-212.

    Raises:
        ValueError: n is 0: a share of nothing has no value.
    """
    if n < 1:
        raise ValueError(f"a share needs at least one image, got n = {n}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    shrink = 1 + z * z / n
    center = (share + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding may put a bound a hair on the wrong side of a share of exactly 0 or 1.
    return Score(share, min(share, max(0.0, center - half)), max(share, min(1.0, center + half)), level, n, "wilson")


def bootstrap(
    counts: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    seed: int,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Score:
    """A statistic between 0 and 1 of counted outcomes, with its interval from resampled images.

    Drawing n images with replacement and counting their outcomes is one multinomial draw from the counts: the same
    distribution, without a loop over images. The interval is the bias-corrected normal one on the arcsine-square-root
    scale, where a share spreads evenly. Not the percentile interval: a mean over many labels (macro F1) falls when
    images are resampled, percentiles carry that fall twice, and with 100 labels and 300 images a nominal 95% interval
    held the true value 17 times in 100 (this one 82; with 1,000 images 60 and 96).

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 10 and 12.

    Args:
        counts: (M,) images an outcome, one of them positive at least.
        statistic: maps (R, M) counts to (R,) values between 0 and 1.
    """
    n = int(counts.sum())
    rng = np.random.default_rng(seed)
    rows = max(1, CHUNK // len(counts))
    sizes = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    drawn = _angle(np.concatenate([statistic(rng.multinomial(n, counts / n, size)) for size in sizes]))
    value = float(statistic(counts[None])[0])
    center = 2 * float(_angle(value)) - float(drawn.mean())
    half = NormalDist().inv_cdf((1 + level) / 2) * float(drawn.std())
    low, high = (math.sin(min(max(angle, 0.0), math.pi / 2)) ** 2 for angle in (center - half, center + half))
    return Score(value, min(value, low), max(value, high), level, n, "bootstrap")


def _angle(share: np.ndarray | float) -> np.ndarray:
    return np.arcsin(np.sqrt(share))
