"""The guesses that a network must beat."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from foveal.answers.label import softmax
from foveal.examples import Examples
from foveal.measure import baselines
from foveal.measure.baselines import (
    BASELINES,
    baseline_outputs,
    label_set_baselines,
    shrink,
    stratified,
    value_baselines,
)
from foveal.measure.colours import colours
from foveal.measure.logistic import fit_logistic, logits_of
from foveal.measure.nearest import nearest
from foveal.measure.ridge import PENALTIES, fit_ridge, values_of


def examples(pixels: np.ndarray, targets: np.ndarray) -> Examples:
    return Examples([f"{i}.png" for i in range(len(targets))], pixels, targets)


@pytest.fixture(scope="module")
def digits() -> tuple[Examples, Examples]:
    pixels, targets = load_digits(return_X_y=True)
    pixels = (pixels * 255 / 16).astype(np.uint8).reshape(-1, 8, 8, 1)
    return examples(pixels[:1000], targets[:1000]), examples(pixels[1000:], targets[1000:])


def test_majority_says_the_most_frequent_label_of_train() -> None:
    train = examples(np.zeros((6, 4, 4, 1), np.uint8), np.array([2, 2, 2, 0, 0, 3]))
    test = examples(np.zeros((3, 4, 4, 1), np.uint8), np.array([0, 1, 2]))
    outputs = baseline_outputs(test, train, 4, seed=0)["majority"]
    assert outputs.shape == (3, 4)
    assert (outputs.argmax(axis=1) == 2).all()
    np.testing.assert_allclose(np.exp(outputs[0]), [2 / 6, 0, 3 / 6, 1 / 6])


@pytest.mark.parametrize("kept", [range(10), [3, 8]], ids=["ten labels", "two labels"])
def test_linear_pixels_is_scikit_learns_logistic_regression(digits: tuple[Examples, Examples], kept: list[int]) -> None:
    train, test = (
        examples(some.pixels[mine], some.targets[mine])
        for some in digits
        for mine in [np.flatnonzero(np.isin(some.targets, kept))]
    )
    outputs = baseline_outputs(test, train, 10, seed=0)["linear_pixels"][:, kept]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000, tol=1e-8))
    model.fit(np.asarray(train.pixels).reshape(len(train.targets), 64), train.targets)
    expected = model.predict_proba(np.asarray(test.pixels).reshape(-1, 64))
    np.testing.assert_allclose(softmax(outputs), expected, atol=2e-4)
    assert np.isneginf(baseline_outputs(test, train, 11, seed=0)["linear_pixels"][:, 10]).all()


def test_logistic_regression_where_a_column_is_twice_there_and_images_are_fewer_than_numbers() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(12, 30))
    features[:, 1] = features[:, 0]
    targets = np.arange(12) % 3
    weights = fit_logistic(features, targets, 3)
    model = LogisticRegression(max_iter=10_000, tol=1e-8).fit(features, targets)
    np.testing.assert_allclose(weights[:-1], model.coef_.T, atol=1e-3)
    np.testing.assert_allclose(weights[-1] - weights[-1].mean(), model.intercept_ - model.intercept_.mean(), atol=1e-3)
    np.testing.assert_allclose(logits_of(weights, features), features @ weights[:-1] + weights[-1])
    assert (weights == fit_logistic(features, targets, 3)).all()


def test_two_labels_of_four_and_constant_pixels() -> None:
    pixels = np.zeros((40, 4, 4, 1), np.uint8)
    targets = np.repeat([1, 3], 20)
    pixels[20:, :2] = 200
    outputs = baseline_outputs(examples(pixels, targets), examples(pixels, targets), 4, seed=0)["linear_pixels"]
    assert (outputs.argmax(axis=1) == targets).all()
    assert np.isneginf(outputs[:, [0, 2]]).all()


def test_labels_that_say_nothing_of_the_images_give_no_warning() -> None:
    rng = np.random.default_rng(0)
    noise = examples(rng.integers(0, 256, (300, 8, 8, 3), dtype=np.uint8), rng.integers(0, 5, 300))
    names = set(baseline_outputs(noise, noise, 5, seed=0))
    assert names == {"majority", "colour_histogram", "nearest_pixels", "linear_pixels"}
    assert names < set(BASELINES)


def test_what_cannot_be_fitted_is_left_out() -> None:
    pixels = np.zeros((3, 4, 4, 1), np.uint8)
    test = examples(pixels, np.array([0, 1, 0]))
    assert set(baseline_outputs(test, examples(pixels, np.array([1, 1, 1])), 2, seed=0)) == {"majority"}
    assert baseline_outputs(test, examples(pixels[:0], np.array([], np.int64)), 2, seed=0) == {}


def test_the_cap_on_training_images_is_kept(monkeypatch: pytest.MonkeyPatch, digits: tuple[Examples, Examples]) -> None:
    train, test = digits
    monkeypatch.setattr(baselines, "MOST_IMAGES", 200)
    capped = baseline_outputs(test, train, 10, seed=0)["linear_pixels"]
    rows = stratified(train.targets, 200, seed=0)
    fewer = examples(train.pixels[rows], train.targets[rows])
    np.testing.assert_allclose(capped, baseline_outputs(test, fewer, 10, seed=9)["linear_pixels"], rtol=1e-5, atol=1e-5)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=300), st.integers(1, 400), st.integers(0, 9))
def test_stratified_keeps_shares_and_every_label(targets: list[int], most: int, seed: int) -> None:
    column = np.array(targets)
    rows = stratified(column, most, seed)
    assert len(rows) == min(most, len(column))
    assert (np.diff(rows) > 0).all()
    labels, counts = np.unique(column, return_counts=True)
    kept = (column[rows, None] == labels).sum(axis=0)
    # No label gets one more image while another, that has more to give, stands at a smaller share.
    assert ((kept - 1) / counts).max() <= (kept / counts).min() + 1e-9
    assert kept.min() >= 1 or most < len(labels)


def test_stratified_depends_on_the_seed() -> None:
    targets = np.repeat([0, 1], 500)
    assert (stratified(targets, 100, 1) == stratified(targets, 100, 1)).all()
    assert (stratified(targets, 100, 1) != stratified(targets, 100, 2)).any()


def test_shrink_by_whole_areas_is_the_mean_of_blocks() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 16, 3), dtype=np.uint8)
    expected = pixels.reshape(3, 8, 4, 8, 2, 3).mean(axis=(2, 4))  # N h w C
    np.testing.assert_allclose(shrink(pixels).reshape(3, 8, 8, 3), expected, rtol=1e-5)


def test_shrink_by_part_areas_is_the_mean_of_blocks_of_pixels_cut_in_halves() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 20, 28, 1), dtype=np.uint8)
    halves = pixels[..., 0].repeat(2, axis=1).repeat(2, axis=2)  # 40 × 56: whole areas of 5 × 7
    expected = halves.reshape(2, 8, 5, 8, 7).mean(axis=(2, 4)).reshape(2, 64)
    np.testing.assert_allclose(shrink(pixels), expected, rtol=1e-5)


@given(arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3]))))
def test_shrink_keeps_the_mean_and_never_grows(pixels: np.ndarray) -> None:
    small = shrink(pixels)
    count, height, width, channels = pixels.shape
    assert small.shape == (count, min(height, 8) * min(width, 8) * channels)
    np.testing.assert_allclose(small.mean(axis=1), pixels.reshape(count, -1).mean(axis=1), rtol=1e-4, atol=1e-3)


def test_shrink_takes_rows_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 9, 9, 1), dtype=np.uint8)
    expected = shrink(pixels)[[7, 1, 1]]
    monkeypatch.setattr(baselines, "CHUNK", 100)
    np.testing.assert_allclose(shrink(pixels, np.array([7, 1, 1])), expected, rtol=1e-6)


def slow_ridge(features: np.ndarray, targets: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """Weights, and generalised cross-validation from the hat matrix itself: Golub et al. 1979, equation 1.4."""
    count = len(features)
    centered = features - features.mean(axis=0)
    inverse = np.linalg.inv(centered.T @ centered + penalty * np.eye(features.shape[1]))
    weights = inverse @ centered.T @ (targets - targets.mean())
    hat = centered @ inverse @ centered.T + 1 / count
    left = targets - hat @ targets
    return weights, (left @ left / count) / (np.trace(np.eye(count) - hat) / count) ** 2


@pytest.mark.parametrize(("n", "noise"), [(200, 0.1), (200, 10.0), (40, 1.0)])
def test_ridge_has_the_penalty_that_cross_validation_finds_best(n: int, noise: float) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, 12)) + 3
    targets = features @ rng.normal(size=(12, 2)) + noise * rng.normal(size=(n, 2)) + [5, -100]
    weights = fit_ridge(features, targets)
    for k, column in enumerate(targets.T):
        fits = [slow_ridge(features, column, n * penalty) for penalty in PENALTIES]
        best, _ = min(fits, key=lambda fit: fit[1])
        np.testing.assert_allclose(weights[:-1, k], best, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(values_of(weights, features).mean(axis=0), targets.mean(axis=0))


def test_ridge_with_fewer_images_than_numbers() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 50))
    features[:, 1] = features[:, 0]
    weights = fit_ridge(features, features[:, :1] * 2 + 7)
    assert np.isfinite(weights).all()
    assert values_of(weights, features).std() < features[:, 0].std() * 2 + 1e-9
    noise = fit_ridge(features, rng.normal(size=(20, 1)))
    assert np.isfinite(noise).all()
    one = fit_ridge(features[:1], np.array([[3.0]]))
    assert values_of(one, features).tolist() == [[3.0]] * 20


def test_the_nearest_is_that_of_all_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    known, asked = (rng.normal(size=(n, 6)).astype(np.float32) for n in (50, 31))
    known[7] = known[3]
    expected = ((asked[:, None] - known) ** 2).sum(axis=2).argmin(axis=1)
    monkeypatch.setattr("foveal.measure.nearest.CHUNK", 120)
    assert (nearest(known, asked) == expected).all()
    assert nearest(known, known[7:8]).tolist() == [3]


def test_colours_are_shares_of_an_even_grid() -> None:
    image = np.zeros((1, 64, 50, 3), np.uint8)
    image[:, 32:] = (255, 130, 70)  # levels 3, 2 and 1
    image[:, 1::2] = 99  # no row of the grid
    shares = colours(image)
    assert shares.shape == (1, 64)
    assert shares[0, [0, 3 << 4 | 2 << 2 | 1]].tolist() == [0.5, 0.5]
    gray = np.array([[[0], [15]], [[16], [255]]], np.uint8)[None]
    assert np.flatnonzero(colours(gray)[0]).tolist() == [0, 1, 15]
    assert colours(gray)[0, 0] == 0.5


def test_each_baseline_sees_what_it_is_about() -> None:
    """Labels that only colours tell wherever they are, and images that are in train, too."""
    rng = np.random.default_rng(0)
    pixels = np.where(rng.random((400, 12, 12, 1)) < 0.5, 40, 200).astype(np.uint8)  # the same mean everywhere
    plain = rng.random(400) < 0.5
    pixels[plain] = np.where(rng.random((400, 12, 12, 1)) < 0.5, 80, 160).astype(np.uint8)[plain]
    half = examples(pixels[:200], plain[:200].astype(np.int64)), examples(pixels[200:], plain[200:].astype(np.int64))
    right = {
        k: (v.argmax(axis=1) == half[1].targets).mean() for k, v in baseline_outputs(half[1], half[0], 2, 0).items()
    }
    assert right["colour_histogram"] == 1.0
    assert right["nearest_pixels"] < 0.75
    chance = examples(pixels[:200], rng.integers(0, 7, 200))
    same = baseline_outputs(chance, chance, 7, 0)
    assert (same["nearest_pixels"].argmax(axis=1) == chance.targets).all()
    assert (same["linear_pixels"].argmax(axis=1) == chance.targets).mean() < 0.95


def test_the_nearest_image_says_several_labels_and_values() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
    flags = rng.integers(0, 2, (60, 3)).astype(np.float32)
    flags[5, 1] = np.nan
    some = examples(pixels, flags)
    logits, settled = label_set_baselines(some, some, ["a", "b", "c"], 0)["nearest_pixels"]
    assert settled == {}
    assert (np.sign(logits) == np.where(np.isnan(flags), 0, 2 * flags - 1)).all()
    ages = examples(pixels, rng.normal(40, 9, (60, 2)).astype(np.float32))
    found = value_baselines(ages, ages, 0)
    assert list(found) == ["mean", "colour_histogram", "nearest_pixels", "ridge_pixels"]
    np.testing.assert_array_equal(found["nearest_pixels"], ages.targets)
    bright = examples(pixels, pixels.mean(axis=(1, 2)).astype(np.float32))
    off = {name: np.abs(said - bright.targets).mean() for name, said in value_baselines(bright, bright, 0).items()}
    assert off["colour_histogram"] < 0.25 * off["mean"]
