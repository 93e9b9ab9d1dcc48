"""Whether one score differs from another on the same images, by resamples; and many such questions at once."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from foveal.extras import extra
from foveal.measure.groups import Groups
from foveal.measure.intervals import LEVEL, student, wilson
from foveal.measured import Score

__all__ = ["drawn_difference", "holm"]


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
