"""Scores of several labels at once against scikit-learn, by hand, and where there is next to nothing to measure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from foveal.answers.labels import sigmoid
from foveal.examples import Examples
from foveal.measure import PER_LABEL, SCORES, measure_label_sets, wilson
from foveal.measured import Measurement, Score

NAN = np.nan


def examples(targets: np.ndarray) -> Examples:
    pixels = np.random.default_rng(len(targets)).integers(0, 256, (len(targets), 2, 2, 1), dtype=np.uint8)
    return Examples([f"test/{i}.png" for i in range(len(targets))], pixels, targets.astype(np.float32))


def draw(seed: int, n: int, labels: int, share: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, labels)) < share).astype(np.float32)
    return rng.normal(size=(n, labels)) + 2 * truth - 1, truth


def measure(outputs: np.ndarray, truth: np.ndarray, **options: object) -> Measurement:
    names = [f"label {k}" for k in range(truth.shape[1])]
    train = examples(np.arange(8)[:, None] % 2 * np.ones(truth.shape[1]))
    return measure_label_sets(outputs, examples(truth), train, names, 0, **options)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(2, 5))
def test_agrees_with_scikit_learn(seed: int, n: int, labels: int) -> None:
    outputs, truth = draw(seed, n, labels)
    truth[0], truth[1] = 1, 0
    got = measure(outputs, truth)
    truth, said, average = truth.astype(int), (outputs >= 0).astype(int), {"average": "macro"}
    assert list(got.scores) == ["map", "macro_auroc", "macro_f1", "micro_f1", "ece"]
    assert got.scores["map"].value == pytest.approx(average_precision_score(truth, outputs, **average))
    assert got.scores["macro_auroc"].value == pytest.approx(roc_auc_score(truth, outputs, **average))
    assert got.scores["macro_f1"].value == pytest.approx(f1_score(truth, said, **average, zero_division=0))
    assert got.scores["micro_f1"].value == pytest.approx(f1_score(truth, said, average="micro", zero_division=0))
    for score in got.scores.values():
        assert 0 <= score.low <= score.value <= score.high <= 1
        assert score.n == n
    for k, row in enumerate(got.per_label.values()):
        column, called = truth[:, k], said[:, k]
        expected = {
            "ap": average_precision_score(column, outputs[:, k]),
            "auroc": roc_auc_score(column, outputs[:, k]),
            "precision": precision_score(column, called, zero_division=NAN),
            "recall": recall_score(column, called),
            "f1": f1_score(column, called, zero_division=0),
        }
        for name, value in expected.items():
            score = row.get(name)
            assert (score is None) == np.isnan(value), name
            if isinstance(score, Score):
                assert score.value == pytest.approx(value)
                assert 0 <= score.low <= score.value <= score.high <= 1
        assert (row["support"], row["known"]) == (column.sum(), n)


def test_every_score_has_a_meaning() -> None:
    got = measure(*draw(0, 50, 2))
    assert set(got.scores) <= set(SCORES)
    assert set(got.per_label["label 0"]) <= set(PER_LABEL)


def test_what_is_not_known_counts_nowhere() -> None:
    outputs, truth = draw(1, 60, 3)
    truth[20:, 0] = NAN
    truth[:, 2] = NAN
    got = measure(outputs, truth)
    alone = measure(outputs[:20, :1], truth[:20, :1])
    assert got.per_label["label 0"] == alone.per_label["label 0"]
    assert got.per_label["label 2"] == {"support": 0, "known": 0}
    known = ~np.isnan(truth)
    assert got.scores["micro_f1"].value == pytest.approx(f1_score(truth[known] == 1, outputs[known] >= 0))
    each = [score.value for k in (0, 1) if isinstance(score := got.per_label[f"label {k}"]["ap"], Score)]
    assert got.scores["map"].value == pytest.approx(np.mean(each))


def test_thresholds_are_those_that_were_settled() -> None:
    outputs, truth = draw(2, 200, 2)
    at = {"label 0": 0.9, "label 1": 0.1}
    got = measure(outputs, truth, settled={"thresholds": at})
    said = sigmoid(outputs) >= list(at.values())
    assert got.scores["macro_f1"].value == pytest.approx(f1_score(truth == 1, said, average="macro"))
    assert got.scores["map"] == measure(outputs, truth).scores["map"]


def test_labels_that_are_never_there_are_left_out_of_means() -> None:
    outputs, truth = draw(3, 50, 2)
    truth[:, 1], outputs[:, 1] = 0, -5
    got = measure(outputs, truth)
    for name, key in {"map": "ap", "macro_auroc": "auroc", "macro_f1": "f1"}.items():
        own = got.per_label["label 0"][key]
        assert isinstance(own, Score)
        assert got.scores[name].value == pytest.approx(own.value)
    assert got.per_label["label 1"] == {"support": 0, "known": 50}


def test_all_right_is_not_certain() -> None:
    truth = (np.arange(12)[:, None] % [2, 3] == 0).astype(np.float32)
    got = measure(20 * truth - 10, truth)
    with_any = int((truth == 1).any(axis=1).sum())
    assert got.scores["ece"].value < 1e-4
    for name in ("map", "macro_auroc", "macro_f1", "micro_f1"):
        score = got.scores[name]
        assert (score.value, score.high, score.n, score.method) == (1, 1, 12, "wilson")
        assert score.low == wilson(with_any, with_any).low
    wrong = measure(10 - 20 * truth, truth).scores["macro_f1"]
    assert (wrong.value, wrong.low) == (0, 0)
    assert wrong.high == wilson(0, with_any).high


def test_intervals_hold_the_truth() -> None:
    """Three labels of the same kind, 40 images: the true mean AUROC of two normals two spreads apart is 0.921."""
    held = []
    for seed in range(200):
        outputs, truth = draw(seed, 40, 3)
        truth[0], truth[1] = 1, 0
        outputs[:2] = np.random.default_rng((seed, 1)).normal(size=(2, 3)) + 2 * truth[:2] - 1
        score = measure_label_sets(outputs, examples(truth), examples(truth[:0]), ["a", "b", "c"], seed).scores[
            "macro_auroc"
        ]
        held.append(score.low <= 0.9214 <= score.high)
    assert 0.9 <= np.mean(held) <= 0.99


def test_baselines_have_the_thresholds_that_serve_them() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (400, 4, 4, 1), dtype=np.uint8)
    bright = pixels.mean(axis=(1, 2, 3))
    truth = np.stack([bright > 130, bright < 110, np.zeros(400), rng.random(400) < 0.2], axis=1).astype(np.float32)
    truth[::3, 1] = NAN
    train, test = (
        Examples([str(k) for k in range(200)], pixels[rows], truth[rows])
        for rows in (np.arange(200), np.arange(200, 400))
    )
    got = measure_label_sets(rng.normal(size=(200, 4)), test, train, list("abcd"), 0)
    assert list(got.baselines) == ["prevalence", "colour_histogram", "nearest_pixels", "linear_pixels"]
    always = got.baselines["prevalence"]
    assert always["macro_auroc"].value == 0.5
    shares = np.nanmean(test.targets, axis=0)
    assert always["map"].value == pytest.approx(shares[[0, 1, 3]].mean())
    assert always["macro_f1"].value == pytest.approx((2 * shares / (1 + shares))[[0, 1, 3]].mean()), "it says yes"
    assert got.baselines["linear_pixels"]["macro_auroc"].value > 0.75


def test_mistakes_are_the_most_confident_ones_one_an_image() -> None:
    truth = np.array([[1, 0], [0, 1], [1, 1], [0, NAN]], np.float32)
    outputs = np.array([[2.0, 3.0], [-1, -4.0], [5, 5], [-5, 9]])
    mistakes = measure(outputs, truth).mistakes
    assert [(m.file, m.truth, m.predicted) for m in mistakes] == [
        ("test/1.png", "label 1", "not label 1"),
        ("test/0.png", "not label 1", "label 1"),
    ]
    assert [m.probability for m in mistakes] == pytest.approx([1 - sigmoid(np.array(-4.0)), sigmoid(np.array(3.0))])
    outputs, truth = draw(0, 300, 3)
    many = measure(outputs, truth).mistakes
    assert len({mistake.file for mistake in many}) == len(many) == 24
    sure = [mistake.probability or 0 for mistake in many]
    assert sure == sorted(sure, reverse=True)


def test_no_test_images_and_one() -> None:
    nothing = measure_label_sets(np.zeros((0, 0)), examples(np.zeros((0, 2))), examples(np.eye(2)), ["a", "b"], 0)
    assert (nothing.scores, nothing.baselines, nothing.mistakes) == ({}, {}, ())
    assert nothing.per_label == {"a": {"support": 0, "known": 0}, "b": {"support": 0, "known": 0}}
    one = measure(np.array([[3.0, -3.0]]), np.array([[1, 0]], np.float32))
    assert one.scores["map"].value == 1
    assert one.scores["map"].low == wilson(1, 1).low
    assert "macro_auroc" not in one.scores
    blank = measure(np.zeros((2, 1)), np.full((2, 1), NAN, np.float32))
    assert blank.scores == {}
