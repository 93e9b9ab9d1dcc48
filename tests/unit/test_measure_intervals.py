"""Intervals against published values, scipy, and the coverage they promise."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, t

from foveal.measure import bootstrap, intervals, wilson
from foveal.measure.intervals import ERROR, R_SQUARED, SHARE, interval, resampled


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_published(successes: int, n: int, low: float, high: float) -> None:
    # Newcombe, "Two-sided confidence intervals for the single proportion", Stat. Med. 17 (1998), table I, method 3.
    score = wilson(successes, n)
    assert (score.low, score.high) == pytest.approx((low, high), abs=5e-5)
    assert (score.value, score.n, score.level, score.method) == (successes / n, n, 0.95, "wilson")


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_agrees_with_scipy(case: tuple[int, int], level: float) -> None:
    successes, n = case
    score = wilson(successes, n, level)
    expected = binomtest(successes, n).proportion_ci(level, method="wilson")
    assert (score.low, score.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= score.low <= score.value <= score.high <= 1
    mirrored = wilson(n - successes, n, level)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - score.high, 1 - score.low), abs=1e-9)


def test_wilson_is_exact_at_the_ends() -> None:
    assert wilson(0, 7).low == 0
    assert wilson(7, 7).high == 1
    assert wilson(7, 7).low < 0.7


def test_wilson_of_nothing() -> None:
    with pytest.raises(ValueError, match="n = 0"):
        wilson(0, 0)


def share(counts: np.ndarray) -> np.ndarray:
    return counts[:, 0] / counts.sum(axis=1)


@pytest.mark.parametrize(("right", "n"), [(300, 400), (970, 1000), (20, 400)])
def test_bootstrap_of_a_share_is_close_to_wilson(right: int, n: int) -> None:
    score, expected = bootstrap(np.array([right, n - right]), share, seed=0), wilson(right, n)
    assert (score.value, score.n, score.method) == (right / n, n, "bootstrap")
    assert (score.low, score.high) == pytest.approx((expected.low, expected.high), abs=0.006)


def test_bootstrap_is_seeded_and_does_not_depend_on_the_size_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.array([30, 5, 2])
    whole = bootstrap(counts, share, seed=3)
    assert whole != bootstrap(counts, share, seed=4)
    monkeypatch.setattr(intervals, "CHUNK", 100)
    assert astuple(bootstrap(counts, share, seed=3)) == pytest.approx((*astuple(whole)[:5], "bootstrap"))


def test_bootstrap_takes_the_bias_of_resampling_off() -> None:
    """The share of 60 kinds seen falls when images are resampled; percentiles of the resamples would miss the truth."""

    def seen(counts: np.ndarray) -> np.ndarray:
        return (counts > 0).mean(axis=1)

    counts = np.full(60, 2)
    drawn = seen(np.random.default_rng(0).multinomial(120, counts / 120, 1000))
    assert np.quantile(drawn, 0.975) < 0.98
    score = bootstrap(counts, seen, seed=0)
    assert (score.value, score.high) == (1, 1)
    assert score.low > np.quantile(drawn, 0.975)


def test_bootstrap_covers_a_mean_over_many_labels() -> None:
    """Macro F1 of 30 labels with 4 images each: at least 85 of 100 intervals hold the true value."""
    labels, n, right = 30, 120, 0.6
    cells = np.full((labels, labels), (1 - right) / (labels - 1) / labels)
    np.fill_diagonal(cells, right / labels)

    def macro_f1(counts: np.ndarray) -> np.ndarray:
        square = counts.reshape(-1, labels, labels)
        used = square.sum(axis=1) + square.sum(axis=2)
        hits = 2 * np.diagonal(square, axis1=1, axis2=2)
        return np.divide(hits, used, out=np.zeros(used.shape), where=used > 0).sum(axis=1) / (used > 0).sum(axis=1)

    rng = np.random.default_rng(0)
    scores = [bootstrap(rng.multinomial(n, cells.ravel()), macro_f1, seed=i, resamples=200) for i in range(100)]
    assert sum(score.low <= right <= score.high for score in scores) >= 85
    assert np.mean([score.high - score.low for score in scores]) < 0.25


@pytest.mark.parametrize("n", [1, 3, 50, 7000])
def test_resamples_draw_n_images_each(n: int) -> None:
    weights = np.concatenate(list(resampled(n, seed=0)), axis=1)
    assert weights.shape == (n, min(2000, max(200, intervals.DRAWS // n)))
    np.testing.assert_array_equal(weights.sum(axis=0), n)
    if n > 1:
        # How often an image is drawn is binomial: mean 1, variance 1 - 1/n.
        assert weights.var() == pytest.approx(1 - 1 / n, rel=0.05)
        assert abs(np.corrcoef(weights[0], weights[1])[0, 1] + 1 / (n - 1)) < 0.1


def test_resamples_are_seeded_and_fewer_where_images_are_many() -> None:
    first, again, other = (next(iter(resampled(40, seed))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert sum(weights.shape[1] for weights in resampled(40, 0, draws=40 * 321)) == 321
    assert sum(weights.shape[1] for weights in resampled(4000, 0, draws=10)) == 200


def test_students_quantile() -> None:
    for freedom, off in {2: 0.04, 3: 0.01, 4: 0.004, 9: 1e-3, 99: 1e-4}.items():
        assert intervals.student(1.959964, freedom) == pytest.approx(t.ppf(0.975, freedom), rel=off)


def test_scales_go_there_and_back() -> None:
    for scale, values in ((SHARE, (0.0, 0.3, 1.0)), (ERROR, (1e-9, 2.0, 1e6)), (R_SQUARED, (-40.0, 0.0, 0.999))):
        assert [scale.back(float(scale.to(np.array(value)))) for value in values] == pytest.approx(values)


def coverage(kind: str, n: int, times: int, seed: int) -> float:
    """Share of 95% intervals of a mean absolute error that hold the true one."""
    rng = np.random.default_rng(seed)
    draw, true = {
        "normal": (lambda: np.abs(rng.normal(size=n)), np.sqrt(2 / np.pi)),
        "exponential": (lambda: rng.exponential(size=n), 1.0),
    }[kind]
    held = 0
    for i in range(times):
        errors = draw()
        drawn = np.concatenate([errors @ weights / n for weights in resampled(n, i, draws=0)])
        score = interval(float(errors.mean()), drawn, n, ERROR, freedom=n - 1)
        held += score.low <= true <= score.high
    return held / times


@pytest.mark.parametrize(("kind", "n"), [("normal", 10), ("normal", 100), ("exponential", 20), ("exponential", 200)])
def test_intervals_of_an_error_hold_the_truth(kind: str, n: int) -> None:
    assert 0.91 <= coverage(kind, n, 400, seed=n) <= 0.985


def test_intervals_of_r_squared_hold_the_truth() -> None:
    """A predictor that explains 0.8 of the variance, on 60 images."""
    rng, n, held = np.random.default_rng(0), 60, 0
    for i in range(400):
        truth = rng.normal(size=n)
        squared = (np.sqrt(0.2) * rng.normal(size=n)) ** 2

        def explained(weights: np.ndarray, squared: np.ndarray = squared, truth: np.ndarray = truth) -> np.ndarray:
            return 1 - (squared @ weights / n) / (truth**2 @ weights / n - (truth @ weights / n) ** 2)

        drawn = np.concatenate([explained(weights) for weights in resampled(n, i, draws=0)])
        score = interval(float(explained(np.ones((n, 1)))[0]), drawn, n, R_SQUARED, freedom=n - 1)
        held += score.low <= 0.8 <= score.high
    assert 0.91 <= held / 400 <= 0.985


def test_one_image_has_an_interval_of_some_width() -> None:
    score = interval(2.0, np.full(200, 2.0), 1, ERROR, freedom=0)
    assert score.low < 0.5
    assert score.high > 8
    assert np.isfinite(score.high)


def test_resamples_without_the_statistic_count_for_nothing() -> None:
    drawn = np.array([1.0, 2.0, 3.0, np.nan, 0.0])
    assert interval(2.0, drawn, 9, ERROR, freedom=8) == interval(2.0, drawn[:3], 9, ERROR, freedom=8)
    nothing = interval(0.0, np.zeros(9), 9, ERROR, freedom=8)
    assert (nothing.low, nothing.high) == (0, 0)
    assert interval(1.0, np.ones(9), 9, R_SQUARED, freedom=8).high == 1
