"""Calibration error by hand and by simulation, error over coverage, and parts of the images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from foveal.answers.label import softmax
from foveal.examples import Examples
from foveal.measure import measure_label_sets, measure_labels, wilson
from foveal.measure.calibration import expected_calibration_error
from foveal.measure.selective import selective
from foveal.measure.slices import slices
from foveal.measured import Measurement, Score


def ece(probability: Sequence[float], right: Sequence[bool]) -> Score:
    return expected_calibration_error(np.array(probability)[:, None], np.array(right)[:, None], 0)


def test_calibration_error_by_hand() -> None:
    # Bins of 1/15: 0.95 and 0.96 lie in the last, 0.62 in the tenth, 0.2 just in the third.
    got = ece([0.95, 0.96, 0.62, 0.2], [True, False, True, False])
    assert got.value == pytest.approx((abs(0.95 + 0.96 - 1) + abs(0.62 - 1) + 0.2) / 4)
    assert (got.n, got.method) == (4, "bootstrap")
    assert ece([1.0, 1.0, 1.0], [True, True, True]).value == 0
    assert ece([1.0, 1.0, 1.0], [True, True, True]).high == wilson(0, 3).high


def test_bins_take_their_upper_end() -> None:
    """1/3 is in the bin that ends there: together with 0.3, and apart from 0.35."""
    together = ece([1 / 3, 0.3], [True, False]).value
    assert together == pytest.approx(abs(1 / 3 + 0.3 - 1) / 2)
    apart = ece([1 / 3, 0.35], [True, False]).value
    assert apart == pytest.approx((abs(1 / 3 - 1) + 0.35) / 2)


def test_what_is_not_known_counts_for_nothing() -> None:
    probability = np.array([[0.9, np.nan], [0.8, 0.3]])
    got = expected_calibration_error(probability, np.array([[True, False], [False, False]]), 0)
    assert got.value == pytest.approx((0.1 + 0.8 + 0.3) / 3)


def tempered(n: int, temper: float, labels: int = 4) -> tuple[np.ndarray, Examples]:
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(n, labels))
    truth = (softmax(logits).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return temper * logits, Examples([str(i) for i in range(n)], np.zeros((n, 1, 1, 1), np.uint8), truth)


def test_a_temperature_lowers_the_error_and_moves_no_answer() -> None:
    logits, test = tempered(3000, 3.0)
    plain = measure_labels(logits, test, test, list("abcd"), 0)
    better = measure_labels(logits, test, test, list("abcd"), 0, {"temperature": 3.0})
    assert plain.calibration is not None
    assert better.calibration is not None
    assert plain.scores["ece"] == plain.calibration.ece == plain.calibration.ece_before == better.calibration.ece_before
    assert better.scores["ece"].high < plain.scores["ece"].low
    assert better.scores["ece"].value < 0.03
    assert better.scores["accuracy"] == plain.scores["accuracy"]
    assert better.confusion == plain.confusion
    assert sum(part.share.n for part in better.calibration.bins) == 3000
    for part in better.calibration.bins:
        assert part.low < part.confidence <= part.high
    assert "ece" not in better.baselines["majority"]


def test_several_labels_have_it_over_all_known_cells() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(500, 3)) * 2
    truth = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    truth[rng.random(truth.shape) < 0.2] = np.nan
    test = Examples([str(i) for i in range(500)], np.zeros((500, 1, 1, 1), np.uint8), truth)
    train = Examples([], test.pixels[:0], truth[:0])
    got = measure_label_sets(4 * logits, test, train, list("abc"), 0, {"temperature": 4.0})
    assert got.calibration is not None
    assert got.calibration.ece.high < got.calibration.ece_before.low
    assert sum(part.share.n for part in got.calibration.bins) == (~np.isnan(truth)).sum()
    assert got.scores["ece"] == got.calibration.ece


def test_error_over_coverage_by_counting() -> None:
    confidence = np.linspace(1, 0.5, 200)
    right = np.arange(200) < 150
    got = selective(confidence, right, {})
    assert (got.error, got.error_at_80) == (wilson(50, 200), wilson(10, 160))
    assert len(got.errors) == 100
    assert got.errors[:75] == (0,) * 75
    assert got.errors[99] == 0.25
    assert (got.threshold, got.answered) == (None, None)
    at = selective(confidence, right, {"abstain": {"confidence": 0.75, "risk": 0.01, "met": True}})
    given = confidence >= 0.75
    assert at.answered == wilson(int(given.sum()), 200)
    assert at.error_answered == wilson(int((given & ~right).sum()), int(given.sum()))
    assert at.wanted == {"risk": 0.01}


def test_images_of_the_same_confidence_count_with_their_mean() -> None:
    right = np.arange(100) < 50
    for order in (np.arange(100), np.arange(100)[::-1]):
        got = selective(np.full(100, 0.7), right[order], {})
        assert got.error_at_80.value == pytest.approx(0.5)
        assert set(got.errors) == {0.5}


def accuracy(
    outputs: np.ndarray,
    test: Examples,
    train: Examples,
    labels: Sequence[str],
    seed: int,
    settled: Mapping[str, Any] = {},
) -> Measurement:
    assert not len(train.files)
    assert len(outputs) == len(test.files) == len(test.pixels) == len(test.targets)
    return Measurement({"accuracy": wilson(int((outputs.argmax(axis=1) == test.targets).sum()), len(outputs))})


def test_the_dark_third_is_found_out() -> None:
    level = np.arange(150)
    pixels = np.broadcast_to(level[:, None, None, None], (150, 4, 4, 3)).astype(np.uint8)
    truth = np.zeros(150, np.int64)
    outputs = np.eye(2)[(level < 45).astype(int)]
    test = Examples([str(i) for i in range(150)], pixels, truth)
    whole = wilson(105, 150)
    groups = ["ward A" if i % 2 else "ward B" if i % 4 else None for i in range(150)]
    found = slices(accuracy, outputs, test, ["a", "b"], 0, {}, "accuracy", whole, np.full((150, 2), 8), groups)
    told = {(part.kind, part.name): part for part in found}
    assert list(told) == [
        ("brightness", "darkest third, 0 to 49 of 255"),
        ("brightness", "middle third, 50 to 99 of 255"),
        ("brightness", "brightest third, 100 to 149 of 255"),
        ("group", "ward A"),
        ("group", "ward B"),
    ]
    dark = told["brightness", "darkest third, 0 to 49 of 255"]
    assert (dark.score, dark.images, dark.worse) == (wilson(5, 50), 50, True)
    assert [part.worse for part in found] == [True, False, False, False, False]


def test_parts_too_small_to_score_are_left_out() -> None:
    pixels = np.arange(30, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    test = Examples([str(i) for i in range(30)], pixels, np.zeros(30, np.int64))
    sizes = np.stack([np.arange(30) + 1] * 2, axis=1)
    at = np.ones((30, 1)), test, ["a"], 0, {}, "accuracy", wilson(30, 30), sizes
    assert slices(accuracy, *at, ["g"] * 10 + [None] * 20) == ()
