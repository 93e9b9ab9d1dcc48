"""Intervals beside somebody else's: scipy's Wilson, a published DeLong; and how often each holds the truth."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from foveal.measure import wilson
from foveal.measure.label import macro_f1
from foveal.measure.ranking import auroc

TIMES = 1000


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (3, 10), (0, 250), (249, 250), (8123, 10_000)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_is_scipys(successes: int, n: int, level: float) -> None:
    score = wilson(successes, n, level)
    theirs = binomtest(successes, n).proportion_ci(level, method="wilson")
    assert (score.low, score.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_delong_is_the_published_one() -> None:
    """109 CT images, rated from 1 to 5 (Hanley and McNeil, Radiology 143 (1982) 29-36, table I): Stata's manual gives
    for them, with DeLong's variance, an area of 0.8932, a standard error of 0.0307 and 0.83295 to 0.95339, normal."""
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    ratings = np.concatenate([np.repeat(np.arange(1.0, 6), counts) for counts in (normal, abnormal)])
    score = auroc(ratings, np.arange(109) >= sum(normal))
    assert score.value == pytest.approx(0.8932, abs=5e-5)
    z = norm.ppf(0.975)
    half = math.log(score.high / (1 - score.high)) - math.log(score.value / (1 - score.value))
    error = half / z * score.value * (1 - score.value)  # the logit scale undone
    assert error == pytest.approx(0.0307, abs=5e-5)
    assert (score.value - z * error, score.value + z * error) == pytest.approx((0.83295, 0.95339), abs=5e-6)


def held(method: str, i: int, rng: np.random.Generator) -> bool:
    """Whether the interval of one simulated test set holds the truth."""
    if method == "wilson":
        truth, score = 0.8, wilson(int(rng.binomial(300, 0.8)), 300)
    elif method == "delong":  # two normal distributions 1.2 spreads apart
        positive = np.arange(200) < 60
        truth, score = float(norm.cdf(1.2 / math.sqrt(2))), auroc(rng.normal(size=200) + 1.2 * positive, positive)
    else:
        cells = np.array([[0.4, 0.05, 0.05], [0.03, 0.2, 0.02], [0.05, 0.05, 0.15]])
        truth = float(np.mean(2 * cells.diagonal() / (cells.sum(axis=0) + cells.sum(axis=1))))
        score = macro_f1(rng.multinomial(500, cells.ravel()).reshape(3, 3), i)
    assert score.method == method
    return score.low <= truth <= score.high


@pytest.mark.parametrize("method", ["wilson", "delong", pytest.param("bootstrap", marks=pytest.mark.slow)])
def test_of_a_thousand_test_sets_950_hold_the_truth(method: str) -> None:
    rng = np.random.default_rng(0)
    assert 0.93 <= np.mean([held(method, i, rng) for i in range(TIMES)]) <= 0.97
