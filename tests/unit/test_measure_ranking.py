"""Average precision and AUROC against scikit-learn, DeLong's variance against the paper's own formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from foveal.measure import wilson
from foveal.measure.intervals import resampled
from foveal.measure.ranking import Ranking, auroc, average_precision


def example(seed: int, n: int, ties: bool, unknown: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n).astype(np.float32)
    outputs = rng.normal(size=n) + truth
    truth[rng.random(n) < unknown] = np.nan
    return np.round(outputs) if ties else outputs, truth


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 10**6), st.integers(1, 60), st.booleans(), st.sampled_from([0.0, 0.3]))
def test_agrees_with_scikit_learn(seed: int, n: int, ties: bool, unknown: float) -> None:
    outputs, truth = example(seed, n, ties, unknown)
    ranking = Ranking.of(outputs, truth)
    weights = np.concatenate([np.ones((n, 1)), next(iter(resampled(n, seed)))[:, :5]], axis=1)
    precisions, areas = ranking.under(weights)
    known = ~np.isnan(truth)
    for counts, precision, area in zip(weights.T, precisions, areas):
        seen, of = truth[known] == 1, {"y_score": outputs[known], "sample_weight": counts[known]}
        positive, negative = (counts[known] @ (seen == yes) > 0 for yes in (True, False))
        assert np.isfinite(precision) == positive
        assert np.isfinite(area) == (positive and negative)
        if positive:
            assert precision == pytest.approx(average_precision_score(seen, **of))
        if positive and negative:
            assert area == pytest.approx(roc_auc_score(seen, **of))


def test_infinite_outputs_are_ties() -> None:
    ranking = Ranking.of(np.full(4, -np.inf), np.array([1, 0, 0, 0], np.float32))
    precision, area = ranking.under(np.ones((4, 1)))
    assert (precision[0], area[0]) == (0.25, 0.5)


def test_nothing_known_and_nothing_there() -> None:
    for truth in ([np.nan, np.nan], [0, 0]):
        precision, area = Ranking.of(np.zeros(2), np.array(truth, np.float32)).under(np.ones((2, 3)))
        assert np.isnan([precision, area]).all()


def slow_delong(outputs: np.ndarray, truth: np.ndarray) -> float:
    """DeLong et al. 1988, equations 4 to 6: from every pair."""
    positive, negative = outputs[truth], outputs[~truth]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    m, n = wins.shape
    above, below, area = wins.mean(axis=1), wins.mean(axis=0), wins.mean()
    return ((above - area) ** 2).sum() / (m - 1) / m + ((below - area) ** 2).sum() / (n - 1) / n


@pytest.mark.parametrize("ties", [False, True])
def test_interval_is_delongs_on_the_logit_scale(ties: bool) -> None:
    outputs, truth = example(3, 80, ties, 0)
    score = auroc(outputs, truth == 1)
    assert (score.method, score.n) == ("delong", 80)
    assert score.value == pytest.approx(roc_auc_score(truth, outputs))
    half = 1.959964 * np.sqrt(slow_delong(outputs, truth == 1)) / (score.value * (1 - score.value))
    bounds = [np.log(bound / (1 - bound)) for bound in (score.low, score.value, score.high)]
    np.testing.assert_allclose(np.diff(bounds), half, rtol=1e-5)


def test_perfect_ranking_is_not_certain() -> None:
    truth = np.array([True, True, True, *[False] * 50])
    score = auroc(np.where(truth, 5.0, np.arange(53) / 100), truth)
    assert (score.value, score.low, score.high, score.method) == (1, wilson(3, 3).low, 1, "wilson")
    alone = auroc(np.array([0.0, 1, 2, 3]), np.array([False, False, True, False]))
    assert alone.value == pytest.approx(2 / 3)
    assert alone.low < 0.2
    assert alone.high > 0.9
    assert auroc(np.zeros(6), np.arange(6) < 3).value == 0.5


def test_auroc_intervals_hold_the_truth() -> None:
    """Two normal distributions one spread apart: 0.760; 15 images with the label and 60 without."""
    rng, truth = np.random.default_rng(0), np.arange(75) < 15
    scores = [auroc(rng.normal(size=75) + truth, truth) for _ in range(600)]
    assert 0.93 <= np.mean([score.low <= 0.7602 <= score.high for score in scores]) <= 0.975


def test_average_precision_has_the_interval_of_a_share() -> None:
    outputs, truth = np.array([4.0, 3, 2, 1]), np.array([1, 0, 1, np.nan], np.float32)
    score = average_precision(Ranking.of(outputs, truth))
    assert score.value == pytest.approx((1 + 2 / 3) / 2)
    assert (score.n, score.method) == (2, "wilson")
    assert score.low == wilson(score.value * 2, 2).low
