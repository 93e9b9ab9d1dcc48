"""Intervals: Wilson's for a share of images; for what is no plain share the bootstrap, on a scale where it is even."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from foveal.measure.groups import Groups, groups_of
from foveal.measured import Score

__all__ = [
    "ERROR",
    "LEVEL",
    "RESAMPLES",
    "R_SQUARED",
    "SHARE",
    "Scale",
    "Statistic",
    "bootstrap",
    "bounded",
    "counted",
    "interval",
    "mean_of",
    "resampled",
    "share_among",
    "share_of",
    "student",
    "wilson",
    "worth",
]

LEVEL = 0.95
RESAMPLES = 2000
FEWEST = 200  # resamples: their spread is then known to 5%
DRAWS = 4_000_000  # images drawn in all, where that leaves `FEWEST` resamples
MEAN_RESAMPLES = 400  # of a mean, whose spread is then known to 4%
CHUNK = 2_000_000  # counts drawn at once: 16 MB
WHOLE = "wilson-groups"
EVEN = 1e-12  # what is below is rounding
FARTHEST = 700.0  # from 0 on a logarithmic scale: what floats still hold


def wilson(successes: float, n: int, level: float = LEVEL) -> Score:
    """A share with its score interval; honest near 0 and 1 and for a handful of images, where value ± 2 SE is not.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209-212.

    Raises:
        ValueError: n is 0: a share of nothing has no value.
    """
    if n < 1:
        raise ValueError(f"a share needs at least one image, got n = {n}")
    share = successes / n
    return Score(share, *_wilson(share, n, level), level, n, "wilson")


def _wilson(share: float, n: float, level: float) -> tuple[float, float]:
    """Of a share of n images, which may be as many as they are worth and no whole number."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    shrink = 1 + z * z / n
    center = (share + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(max(share * (1 - share), 0.0) / n + z * z / (4 * n * n))
    # Rounding may put a bound a hair on the wrong side of a share of exactly 0 or 1.
    return min(share, max(0.0, center - half)), max(share, min(1.0, center + half))


def share_of(hits: np.ndarray, groups: Groups = None, level: float = LEVEL) -> Score:
    """The share of images that count, with Wilson's interval: where they belong together, that of as many images as
    they are worth (see `worth`), and the method is `wilson-groups`.

    Args:
        hits: (N,) bool, or what each counts, from 0 to 1; N of 1 and more.
    """
    n, groups = len(hits), groups_of(groups)
    total = int(hits.sum()) if hits.dtype == bool else float(np.cumsum(hits)[-1])
    found = wilson(total, n, level)
    if groups is None:
        return found
    low, high = _wilson(min(found.value, 1.0), worth(hits, groups, level), level)
    return replace(found, low=min(found.value, low), high=max(found.value, high), method=WHOLE)


def share_among(of: np.ndarray, hits: np.ndarray, groups: Groups) -> Score | None:
    """`share_of` the images that are meant; None where there are none.

    Args:
        of: (N,) which those are.
    """
    return share_of(hits[of], None if groups is None else groups[of]) if of.any() else None


def worth(values: np.ndarray, groups: np.ndarray, level: float = LEVEL) -> float:
    """How many independent images tell as much about the mean of (N,) values as these do: N over the design effect,
    which is the variance of the mean with whole groups drawn (the jackknife's, which is not too small where few groups
    differ in size) over that with single images drawn. Less still by the
    square of the normal quantile over Student's, for the spread of few groups is itself not known well. Where all
    values are alike there is nothing to estimate it from: then as many as there are groups. Never more than N.

    Source: Kish, Survey Sampling (1965), section 8.2; jackknife of groups: Bell and McCaffrey, "Bias reduction in
    standard errors for linear regression with multi-stage samples", Survey Methodology 28 (2002) 169-181; Student's
    quantile: Korn and Graubard, "Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data", Survey Methodology 24 (1998) 193-201.

    Args:
        groups: (N,) numbers, 0 to G - 1.
    """
    n, count = len(values), int(groups.max()) + 1
    off = values - values.mean()
    alone = float(off @ off)
    if count < 2 or alone < EVEN:
        return float(count)
    without = np.bincount(groups, off) / (1 - np.bincount(groups) / n)  # n times what the mean moves without each
    effect = float(without @ without) / alone * (count - 1) / count
    z = NormalDist().inv_cdf((1 + level) / 2)
    return max(1.0, n / max(1.0, effect) * (z / student(z, count - 1)) ** 2)


@dataclass(frozen=True)
class Scale:
    """Where a statistic spreads evenly to both sides, and the way back."""

    to: Callable[[np.ndarray], np.ndarray]
    back: Callable[[float], float]


def _share_of(angle: float) -> float:
    return math.sin(min(max(angle, 0.0), math.pi / 2)) ** 2


SHARE = Scale(lambda share: np.arcsin(np.sqrt(np.clip(share, 0, 1))), _share_of)
"""Of statistics between 0 and 1."""

ERROR = Scale(np.log, math.exp)
"""Of statistics of 0 and more."""

R_SQUARED = Scale(lambda r2: -np.log1p(-r2), lambda z: -math.expm1(-z))
"""Of statistics of 1 and less: the logarithm of what they leave to 1."""


Statistic = Callable[[np.ndarray], np.ndarray]


def bootstrap(
    counts: np.ndarray,
    statistic: Statistic,
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
    drawn = np.concatenate([statistic(rng.multinomial(n, counts / n, size)) for size in sizes])
    return interval(float(statistic(counts[None])[0]), drawn, n, SHARE, level=level)


def counted(outcomes: np.ndarray, kinds: int, statistic: Statistic, seed: int, groups: Groups = None) -> Score:
    """`bootstrap` of the outcome of each image; whole groups are drawn where images belong together.

    Args:
        outcomes: (N,) numbers of the outcomes, 0 to `kinds` - 1; N of 1 and more.
        statistic: as for `bootstrap`, of (R, `kinds`) counts.
    """
    counts = np.bincount(outcomes, minlength=kinds)
    if groups is None:
        return bootstrap(counts, statistic, seed)
    drawn = np.concatenate(
        [
            statistic(np.stack([np.bincount(outcomes, column, kinds) for column in weights.T]))
            for weights in resampled(len(outcomes), seed, groups=groups)
        ]
    )
    return interval(float(statistic(counts[None])[0]), drawn, len(outcomes), SHARE, groups=groups)


def resampled(n: int, seed: int, draws: int = DRAWS, groups: Groups = None) -> Iterator[np.ndarray]:
    """Samples with replacement of n images, as how often each was drawn: (n, R) float64, some R at a time.

    Args:
        draws: of images in all, at most, where that leaves `FEWEST` resamples; there are never more than `RESAMPLES`.
        groups: (n,) numbers, 0 to G - 1: G whole groups are drawn, and a sample has as many images as they have.
    """
    if groups is not None:
        count = int(groups.max()) + 1
        step = max(1, CHUNK // n)
        for weights in resampled(count, seed, draws * count // n):
            for start in range(0, weights.shape[1], step):
                yield weights[groups, start : start + step]
        return
    rng = np.random.default_rng(seed)
    resamples = min(RESAMPLES, max(FEWEST, draws // n))
    step = max(1, CHUNK // n)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        cells = rng.integers(0, n, (n, size)) * size + np.arange(size)
        yield np.bincount(cells.ravel(), minlength=n * size).reshape(n, size).astype(np.float64)


def mean_of(values: np.ndarray, seed: int, groups: Groups = None) -> Score:
    """A share of the images (bool), or the mean over them of numbers of 0 and more, with its interval.

    Args:
        values: (N,), N of 1 and more.
    """
    n = len(values)
    if values.dtype == bool:
        return share_of(values, groups)
    if not values.any():
        return Score(0.0, 0.0, 0.0, LEVEL, n, "bootstrap")
    if groups is None:
        drawn = np.concatenate([values @ weights / n for weights in resampled(n, seed, MEAN_RESAMPLES * n)])
    else:
        parts = resampled(n, seed, MEAN_RESAMPLES * n, groups)
        drawn = np.concatenate([values @ weights / weights.sum(axis=0) for weights in parts])
    return interval(float(values.mean()), drawn, n, ERROR, freedom=max(1, n - 1), groups=groups)


def interval(
    value: float,
    drawn: np.ndarray,
    n: int,
    scale: Scale,
    *,
    freedom: int | None = None,
    level: float = LEVEL,
    groups: Groups = None,
) -> Score:
    """A value with the bias-corrected normal interval that its resamples give on a scale.

    Source: Efron and Tibshirani (1993), chapters 10 and 12.

    Args:
        drawn: (R,) the statistic of each resample; where it is not defined, NaN, the resample counts for nothing.
        freedom: degrees of freedom of the spread, for a statistic that is about a mean: it is then widened as of n - 1
            images and by Student's quantile. Where no resample differs (a single image), the spread of an exponential
            error is taken, 1 / √n. None: the normal quantile.
        groups: (n,) numbers, 0 to G - 1, where whole groups were drawn: then always with Student's quantile for G - 1
            degrees of freedom, and the method is `group-bootstrap`.
    """
    if groups is not None:
        count = int(groups.max()) + 1
        found = interval(value, drawn, count, scale, freedom=max(1, count - 1), level=level)
        return replace(found, n=n, method="group-bootstrap")
    with np.errstate(divide="ignore", invalid="ignore"):
        middle, others = float(scale.to(np.array(value))), scale.to(drawn)
    others = others[np.isfinite(others)]
    if not math.isfinite(middle):
        return Score(value, value, value, level, n, "bootstrap")
    spread, mean = (float(others.std()), float(others.mean())) if len(others) else (0.0, middle)
    quantile = NormalDist().inv_cdf((1 + level) / 2)
    if freedom and spread > 1e-12:
        spread, quantile = spread * math.sqrt(n / (n - 1)), student(quantile, freedom)
    elif freedom is not None:
        spread = 1 / math.sqrt(n)
    center, half = 2 * middle - mean, quantile * spread
    low, high = (scale.back(min(max(end, -FARTHEST), FARTHEST)) for end in (center - half, center + half))
    return Score(value, min(value, low), max(value, high), level, n, "bootstrap")


def bounded(value: float, drawn: np.ndarray, n: int, least: int, groups: Groups = None) -> Score:
    """`interval` of a statistic between 0 and 1. Where no resample differs (all is right, or nothing), Wilson's of a
    share of the images, or groups, that it can be about: the bootstrap's would have no width.

    Args:
        least: how many of those there are.
    """
    value, drawn = min(value, 1.0), drawn[np.isfinite(drawn)]
    if len(drawn) and drawn.std() > 1e-9:
        return interval(value, drawn, n, SHARE, groups=groups)
    return replace(wilson(value * least, least), value=value, n=n, method="wilson" if groups is None else WHOLE)


def student(z: float, freedom: int) -> float:
    """The quantile of Student's t where the normal one is z; 3% too small for 2 degrees of freedom, 1% for 3.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.5.
    """
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
