"""Scores of labels against scikit-learn, by hand, and where there is next to nothing to measure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from foveal.answers.label import softmax
from foveal.examples import Examples
from foveal.measure import PER_LABEL, SCORES, measure_labels, wilson
from foveal.measured import Measurement, Score


def examples(targets: list[int] | np.ndarray) -> Examples:
    column = np.array(targets, dtype=np.int64)
    pixels = (np.arange(len(column))[:, None, None, None] * np.ones((1, 2, 2, 1))).astype(np.uint8)
    return Examples([f"test/{i}.png" for i in range(len(column))], pixels, column)


def logits(predicted: list[int], labels: int) -> np.ndarray:
    return np.eye(labels)[predicted] * 3.0


def measure(outputs: np.ndarray, truth: list[int] | np.ndarray, labels: int) -> Measurement:
    names = [f"label {k}" for k in range(labels)]
    return measure_labels(outputs, examples(truth), examples([0] if labels > 2 else [0, 0, 1]), names, seed=0)


def test_by_hand() -> None:
    truth, predicted = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 2]
    got = measure(logits(predicted, 4), truth, 4)
    assert got.confusion is not None
    assert got.confusion.counts == ((2, 1, 0, 0), (1, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 0))
    assert got.scores["accuracy"] == wilson(4, 6)
    assert got.scores["macro_f1"].value == pytest.approx((4 / 6 + 2 / 4 + 1) / 3)
    assert list(got.scores) == ["accuracy", "macro_f1", "ece"]
    zero = got.per_label["label 0"]
    assert (zero["precision"], zero["recall"], zero["support"]) == (wilson(2, 3), wilson(2, 3), 3)
    assert got.per_label["label 3"] == {"support": 0}


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 120), st.floats(0, 4))
def test_agrees_with_scikit_learn(seed: int, labels: int, n: int, strength: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, rng.integers(1, labels + 1), n)
    outputs = rng.normal(size=(n, labels))
    outputs[np.arange(n), truth] += strength
    predicted = outputs.argmax(axis=1)
    got = measure(outputs, truth, labels)
    assert got.scores["accuracy"].value == pytest.approx(accuracy_score(truth, predicted))
    assert got.scores["macro_f1"].value == pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0))
    assert ("top5_accuracy" in got.scores) == (labels > 5)
    if labels > 5:
        expected = top_k_accuracy_score(truth, outputs, k=5, labels=range(labels))
        assert got.scores["top5_accuracy"].value == pytest.approx(expected)
    assert got.confusion is not None
    np.testing.assert_array_equal(got.confusion.counts, confusion_matrix(truth, predicted, labels=range(labels)))
    theirs = precision_recall_fscore_support(truth, predicted, labels=range(labels), zero_division=np.nan)
    for row, *expected, support in zip(got.per_label.values(), *theirs):
        assert row["support"] == support
        for key, value in zip(("precision", "recall", "f1"), expected):
            score = row.get(key)
            assert (score is None) == np.isnan(value), key
            if isinstance(score, Score):
                assert score.value == pytest.approx(value)
                assert 0 <= score.low <= score.value <= score.high <= 1


def test_every_score_has_a_meaning() -> None:
    got = measure(logits([0, 1, 2], 7), [0, 1, 1], 7)
    assert list(got.scores) == ["accuracy", "top5_accuracy", "macro_f1", "ece"]
    assert set(got.scores) < set(SCORES)
    assert list(got.per_label["label 1"]) == ["precision", "recall", "f1", "support"]
    assert set(got.per_label["label 1"]) < set(PER_LABEL)


def test_f1_of_three_right_images_is_not_certain() -> None:
    f1 = measure(logits([0, 0, 0, 1], 2), [0, 0, 0, 1], 2).per_label["label 0"]["f1"]
    assert isinstance(f1, Score)
    low = wilson(3, 3).low
    assert (f1.value, f1.high, f1.n) == (1, 1, 3)
    assert f1.low == pytest.approx(2 * low / (1 + low))


def test_macro_f1_of_no_mistake_and_of_no_hit_has_the_interval_of_accuracy() -> None:
    assert measure(logits([0, 1, 1], 2), [0, 1, 1], 2).scores["macro_f1"] == wilson(3, 3)
    assert measure(logits([1, 0, 0], 2), [0, 1, 1], 2).scores["macro_f1"] == wilson(0, 3)


def test_macro_f1_interval_is_seeded() -> None:
    rng = np.random.default_rng(0)
    truth, outputs = rng.integers(0, 3, 50), rng.normal(size=(50, 3))
    names, train = ["a", "b", "c"], examples([0, 1])
    first, again, other = (
        measure_labels(outputs, examples(truth), train, names, s).scores["macro_f1"] for s in (1, 1, 2)
    )
    assert first == again
    assert first.low != other.low
    assert (first.method, first.n) == ("bootstrap", 50)


def test_equal_outputs_count_as_the_first_label_everywhere() -> None:
    got = measure(np.zeros((7, 7)), list(range(7)), 7)
    assert got.scores["accuracy"].value == pytest.approx(1 / 7)
    assert got.scores["top5_accuracy"].value == pytest.approx(5 / 7)
    assert {mistake.predicted for mistake in got.mistakes} == {"label 0"}


def test_mistakes_are_the_most_confident_ones() -> None:
    rng = np.random.default_rng(0)
    truth, outputs = rng.integers(0, 4, 200), rng.normal(size=(200, 4)) * 3
    mistakes = measure(outputs, truth, 4).mistakes
    wrong = outputs.argmax(axis=1) != truth
    assert len(mistakes) == 24
    assert [m.probability for m in mistakes] == sorted(softmax(outputs).max(axis=1)[wrong], reverse=True)[:24]
    for mistake in mistakes:
        row = int(mistake.file.removeprefix("test/").removesuffix(".png"))
        assert mistake.truth == f"label {truth[row]}" != mistake.predicted == f"label {outputs[row].argmax()}"


def test_baselines_are_scored_on_the_same_images_in_the_same_way() -> None:
    truth = [0] * 6 + [1] * 4
    got = measure(logits([0] * 10, 2), truth, 2)
    of_guess = {name: score for name, score in got.scores.items() if name != "ece"}
    assert got.baselines["majority"] == of_guess
    assert list(got.baselines) == ["majority", "colour_histogram", "nearest_pixels", "linear_pixels"]
    assert all(list(scores) == list(of_guess) for scores in got.baselines.values())


def test_no_test_images() -> None:
    got = measure(np.empty((0, 3)), [], 3)
    assert (got.scores, got.baselines, got.mistakes) == ({}, {}, ())
    assert set(got.per_label) == {"label 0", "label 1", "label 2"}
    assert all(row == {"support": 0} for row in got.per_label.values())


def test_one_image_of_one_label() -> None:
    got = measure_labels(np.ones((1, 1)), examples([0]), examples([0]), ["only"], seed=0)
    assert got.scores == {"accuracy": wilson(1, 1), "macro_f1": wilson(1, 1), "ece": wilson(0, 1)}
    assert set(got.baselines) == {"majority"}
