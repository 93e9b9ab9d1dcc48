"""Scores of values against scikit-learn, by hand, and where there is next to nothing to measure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, median_absolute_error, r2_score, root_mean_squared_error

from foveal.examples import Examples
from foveal.measure import PER_LABEL, SCORES, measure_values, value, wilson
from foveal.measured import Measurement, Score


def examples(targets: np.ndarray) -> Examples:
    pixels = np.random.default_rng(len(targets)).integers(0, 256, (len(targets), 2, 2, 1), dtype=np.uint8)
    return Examples([f"test/{i}.png" for i in range(len(targets))], pixels, targets.astype(np.float32))


TRAIN = examples(np.random.default_rng(5).normal(50, 10, (40, 1)))
HALVES = np.arange(150), np.arange(150, 300)


def measure(outputs: np.ndarray, truth: np.ndarray, **options: object) -> Measurement:
    names = ["age", "height", "weight"][: truth.shape[1]]
    train = examples(np.tile(TRAIN.targets, (1, truth.shape[1])))
    return measure_values(outputs, examples(truth), train, names, 0, **options)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(1, 3))
def test_agrees_with_scikit_learn(seed: int, n: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(50, 10, (n, columns)).astype(np.float32)
    outputs = (truth + rng.normal(0, 4, (n, columns))).astype(np.float32)
    got, pair = measure(outputs, truth), (truth.astype(np.float64), outputs.astype(np.float64))
    theirs = {
        "mae": mean_absolute_error,
        "rmse": root_mean_squared_error,
        "r2": r2_score,
        "median_error": median_absolute_error,
    }
    assert list(got.scores) == list(theirs)
    for name, score in theirs.items():
        assert got.scores[name].value == pytest.approx(score(*pair), rel=1e-5, abs=1e-6)
        assert (got.scores[name].n, got.scores[name].method) == (n, "bootstrap")
        each = score(*pair, multioutput="raw_values")
        for row, expected in zip(got.per_label.values(), each):
            one = row[name]
            assert isinstance(one, Score)
            assert one.value == pytest.approx(expected, rel=1e-5, abs=1e-6)
            assert one.low <= one.value <= one.high
    assert [row["support"] for row in got.per_label.values()] == [n] * columns


def test_every_score_has_a_meaning() -> None:
    truth = np.arange(30.0)[:, None]
    got = measure(truth + 1, truth, settled={"level": 0.9, "half_width": {"age": 2.0}})
    assert set(got.scores) <= set(SCORES)
    assert set(got.per_label["age"]) <= set(PER_LABEL)


def test_coverage_of_the_intervals() -> None:
    truth = np.arange(10.0)[:, None] * [1, 1]
    outputs = truth + np.arange(10)[:, None] * [1, -2]
    got = measure(outputs, truth, settled={"half_width": {"age": 4.0, "height": 4.0}})
    assert got.per_label["age"]["coverage"] == wilson(5, 10)
    assert got.per_label["height"]["coverage"] == wilson(3, 10)
    assert got.scores["coverage"] == wilson(4, 10)
    assert [points.half_width for points in got.points] == [4, 4]
    without = measure(outputs, truth)
    assert "coverage" not in without.scores
    assert without.points[0].half_width is None


def test_intervals_are_seeded_and_in_the_unit_of_the_values() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(50, 10, (80, 1))
    outputs = truth + rng.normal(size=(80, 1))
    names, train = ["age"], TRAIN
    first, again, other = (measure_values(outputs, examples(truth), train, names, s).scores["mae"] for s in (1, 1, 2))
    assert first == again
    assert first.low != other.low
    thousandfold = measure(1000 * outputs, 1000 * truth).scores
    for name, score in measure(outputs, truth).scores.items():
        unit = 1 if name == "r2" else 1000
        got = thousandfold[name]
        assert (got.value, got.low, got.high) == pytest.approx(
            (unit * score.value, unit * score.low, unit * score.high), rel=1e-4
        )


def test_baselines() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (300, 4, 4, 1), dtype=np.uint8)
    truth = pixels.mean(axis=(1, 2)) + rng.normal(0, 1, (300, 1))
    train, test = (Examples([str(k) for k in range(150)], *(a[rows] for a in (pixels, truth))) for rows in HALVES)
    got = measure_values(test.targets + 50, test, train, ["brightness"], 0)
    assert list(got.baselines) == ["mean", "colour_histogram", "nearest_pixels", "ridge_pixels"]
    expected = np.abs(test.targets - train.targets.mean()).mean()
    assert got.baselines["mean"]["mae"].value == pytest.approx(expected)
    assert got.baselines["ridge_pixels"]["mae"].value < 1.2
    assert got.baselines["ridge_pixels"]["r2"].value > 0.99
    assert got.scores["mae"].value == pytest.approx(50)
    assert got.scores["r2"].value < 0


def test_largest_errors_are_told_in_the_unit() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(100.0)[:, None]
    error = rng.permutation(100)[:, None] * 0.25
    mistakes = measure(truth + error, truth).mistakes
    assert len(mistakes) == 24
    assert all(mistake.probability is None for mistake in mistakes)
    worst = int(error.argmax())
    assert mistakes[0].file == f"test/{worst}.png"
    assert mistakes[0].truth == f"{worst}"
    assert float(mistakes[0].predicted) == pytest.approx(worst + 99 * 0.25, abs=0.5)
    assert measure(truth, truth).mistakes == ()


def test_of_several_values_errors_are_compared_by_spread() -> None:
    truth = np.stack([np.arange(50.0), np.arange(50.0) * 1000], axis=1)
    outputs = truth.copy()
    outputs[3, 0] += 30
    outputs[7, 1] += 3000
    mistakes = measure(outputs, truth).mistakes
    assert [(m.file, m.truth) for m in mistakes] == [("test/3.png", "age 3"), ("test/7.png", "height 7000")]
    assert mistakes[0].predicted == "age 33.00"


def test_points_are_some_of_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = np.arange(50.0)[:, None] / 3
    outputs = truth + 1
    (points,) = measure(outputs, truth).points
    assert points.name == "age"
    np.testing.assert_allclose(points.truth, truth[:, 0], rtol=1e-6)
    np.testing.assert_allclose(points.predicted, outputs[:, 0], rtol=1e-6)
    monkeypatch.setattr(value, "MOST_POINTS", 20)
    (fewer,) = measure(outputs, truth).points
    assert len(fewer.truth) == len(set(fewer.truth)) == 20
    assert set(fewer.truth) < set(points.truth)
    np.testing.assert_allclose(np.subtract(fewer.predicted, fewer.truth), 1, rtol=1e-5)


def test_truth_that_is_always_the_same_has_no_r_squared() -> None:
    got = measure(np.arange(9.0)[:, None], np.full((9, 1), 0.1))
    assert list(got.scores) == ["mae", "rmse", "median_error"]
    several = measure(np.ones((9, 2)), np.stack([np.arange(9.0), np.ones(9)], axis=1))
    assert several.scores["r2"].value == several.per_label["age"]["r2"].value
    assert "r2" not in several.per_label["height"]


def test_one_image_and_none() -> None:
    got = measure(np.array([[31.0]]), np.array([[35.0]]))
    assert got.scores["mae"].value == 4
    assert got.scores["mae"].low < 2
    assert got.scores["mae"].high > 8
    assert "r2" not in got.scores
    nothing = measure_values(np.zeros((0, 0)), examples(np.zeros((0, 1))), TRAIN, ["age"], 0)
    assert (nothing.scores, nothing.baselines, nothing.points) == ({}, {}, ())
    assert nothing.per_label == {"age": {"support": 0}}
    untrained = measure_values(np.zeros((2, 1)), examples(np.zeros((2, 1))), examples(np.zeros((0, 1))), ["age"], 0)
    assert untrained.baselines == {}
