"""Whether one score differs from another on the same images: paired tests and intervals."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from foveal.extras import extra
from foveal.measure.groups import Groups
from foveal.measure.intervals import LEVEL, student, wilson
from foveal.measured import Score

__all__ = ["drawn_difference", "holm", "mcnemar", "share_difference"]


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """The exact two-sided p of McNemar's test: how likely images on which two answers differ would fall so unevenly if
    either side were as likely.

    Source: McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947) 153-157, with the binomial distribution.

    Args:
        one, other: (N,) bool, whether each image is right.
    """
    lost, won = int((one & ~other).sum()), int((~one & other).sum())
    differing, fewer = lost + won, min(lost, won)
    if not differing:
        return 1.0
    term, tail = 1, 1  # binomial coefficients as whole numbers: nothing is rounded
    for k in range(1, fewer + 1):
        term = term * (differing - k + 1) // k
        tail += term
    return min(1.0, float(2 * tail / 2**differing))


def share_difference(one: np.ndarray, other: np.ndarray) -> tuple[Score, float]:
    """The share right of `other` less that of `one`, with its interval and McNemar's p.

    Source: Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data", Journal of Educational and Behavioral Statistics 37 (2012) 479-488.

    Args:
        one, other: (N,) bool, whether each image is right; N at least 1.
    """
    n = len(one)
    lost, won = int((one & ~other).sum()), int((~one & other).sum())
    fell, rose = (lost + 1) / (n + 2), (won + 1) / (n + 2)
    half = _quantile(LEVEL) * math.sqrt((fell + rose - (rose - fell) ** 2) / (n + 2))
    value, middle = (won - lost) / n, rose - fell
    low, high = max(-1.0, min(value, middle - half)), min(1.0, max(value, middle + half))
    return Score(value, low, high, LEVEL, n, "paired-wald"), mcnemar(one, other)


def drawn_difference(value: float, drawn: np.ndarray, n: int, groups: Groups = None) -> tuple[Score, float]:
    """A difference of two scores with the bias-corrected normal interval of its resamples, and the two-sided p of 0.

    Where no resample differs, the spread is not known: the interval reaches as far to both sides as Wilson's for none
    of n, and p is the sign test's for n images that all agree.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 10 and 12.

    Args:
        drawn: (R,) the difference in each resample, the same images in both scores; NaN counts for nothing.
        n: images.
        groups: (n,) numbers, where whole groups were drawn: n is then as many, with Student's distribution.
    """
    if groups is not None:
        count = int(groups.max()) + 1
        score, p = drawn_difference(value, drawn, count)
        return _of_few(score, p, n, count)
    drawn = drawn[np.isfinite(drawn)]
    spread = float(drawn.std()) * math.sqrt(n / max(1, n - 1)) if len(drawn) else 0.0
    if spread < 1e-12:
        half = wilson(0, n).high
        return Score(value, value - half, value + half, LEVEL, n, "bootstrap"), min(1.0, 2 * 0.5**n) if value else 1.0
    middle = 2 * value - float(drawn.mean())
    half = _quantile(LEVEL) * spread
    p = 2 * NormalDist().cdf(-abs(middle) / spread)
    return Score(value, min(value, middle - half), max(value, middle + half), LEVEL, n, "bootstrap"), p


def _of_few(score: Score, p: float, n: int, count: int) -> tuple[Score, float]:
    """As widely as Student's distribution spreads for so many groups, not the normal one."""
    wider = student(_quantile(LEVEL), max(1, count - 1)) / _quantile(LEVEL)
    low, high = (score.value + wider * (end - score.value) for end in (score.low, score.high))
    z = NormalDist().inv_cdf(max(p, 1e-300) / 2)
    return replace(score, low=low, high=high, n=n, method="group-bootstrap"), 2 * _tail(-z, max(1, count - 1))


def _tail(t: float, freedom: int) -> float:
    with extra("train"):
        from scipy.stats import t as student_t
    return float(student_t.sf(t, freedom))


def holm(ps: Sequence[float]) -> list[float]:
    """p-values as they are when all of them are taken together: with those below 0.05 called significant, the chance of
    even one wrong call is at most 0.05.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979)
    65-70.
    """
    adjusted, largest = [0.0] * len(ps), 0.0
    for place, k in enumerate(np.argsort(ps, kind="stable").tolist()):
        largest = max(largest, min(1.0, (len(ps) - place) * ps[k]))
        adjusted[k] = largest
    return adjusted


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
