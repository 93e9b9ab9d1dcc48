"""Suspects among several labels and among values, against what can be worked out by hand; how well both are told."""

import numpy as np
import pytest

from foveal.measure.label_set_suspects import find_cell_suspects, image_quality
from foveal.measure.ranking import auroc
from foveal.measure.told import told_labels, told_values
from foveal.measure.value_suspects import times_usual


def test_each_label_is_judged_by_itself_and_unknown_cells_never() -> None:
    first = [0.9, 0.8, 0.9, 0.1, 0.2, 0.05]
    probabilities = np.array([first, [0.9, 0.9, 0.1, 0.1, 0.1, 0.9]]).T
    targets = np.array([[1, 1, 1, 0, 0, 1], [1, 1, 0, 0, 0, np.nan]], float).T
    found = find_cell_suspects(probabilities, targets)
    # yes of the first label: the mean of 0.9, 0.8, 0.9 and 0.05 is 0.6625, reached by three; the fourth is a sure no
    assert list(zip(found.rows.tolist(), found.columns.tolist())) == [(5, 0)]
    assert found.wrong == pytest.approx(1.0)
    targets[5, 0] = np.nan
    assert not len(find_cell_suspects(probabilities, targets).rows)


def test_labels_are_ranked_together() -> None:
    one = np.array([0.9, 0.9, 0.9, 0.2, 0.2, 0.2, 0.1])
    probabilities = np.stack([one, np.where(one == 0.1, 0.03, one)], axis=1)
    targets = np.stack([[1, 1, 1, 0, 0, 0, 1]] * 2, axis=1).astype(float)
    found = find_cell_suspects(probabilities, targets)
    assert list(zip(found.rows.tolist(), found.columns.tolist())) == [(6, 1), (6, 0)]


def test_an_image_is_as_good_as_its_worst_labels_mostly() -> None:
    probabilities, targets = np.array([[0.9, 0.4, 0.2], [0.3, 0.5, 0.5]]), np.array([[1, 0, 1], [np.nan] * 3])
    after = 0.8 * 0.6 + 0.2 * 0.9
    np.testing.assert_allclose(image_quality(probabilities, targets), [0.8 * 0.2 + 0.2 * after, 1.0])
    targets[0, 1] = np.nan
    assert image_quality(probabilities, targets)[0] == pytest.approx(0.8 * 0.2 + 0.2 * 0.9)


def test_values_are_counted_in_what_is_usual_where_they_are() -> None:
    predicted = np.arange(400.0)
    usual = np.where(predicted < 200, 1.0, 10.0)
    given = predicted + usual * np.tile([-1, 1], 200)
    given[50] = predicted[50] + 12.0
    given[350] = predicted[350] + 12.0
    times, distance = times_usual(predicted, given)
    assert (distance[50], distance[350]) == (1, 10)
    assert times[50] == 12
    assert times[350] == pytest.approx(1.2)
    assert np.argmax(times) == 50


def test_shifting_and_scaling_values_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    given = rng.normal(size=200)
    predicted = given + rng.normal(size=200)
    times, usual = times_usual(predicted, given)
    again, larger = times_usual(1000 * (predicted + 5), 1000 * (given + 5))
    np.testing.assert_allclose(again, times, rtol=1e-9)
    np.testing.assert_allclose(larger, 1000 * usual, rtol=1e-9)


def test_values_that_are_all_the_same_are_no_suspects() -> None:
    times, _ = times_usual(np.full(40, 3.0), np.full(40, 3.0))
    assert not times.any()


def test_one_label_is_told_as_delong_says() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random(100) < 0.3).astype(float)
    outputs = truth + rng.normal(size=100)
    score, (only,) = told_labels(outputs[:, None], truth[:, None])
    own = auroc(outputs, truth == 1)
    assert only == own
    assert (score.value, score.low, score.high) == pytest.approx((own.value, own.low, own.high))


def test_the_same_label_twice_makes_the_mean_no_surer_and_another_does() -> None:
    rng = np.random.default_rng(1)
    truth = (rng.random((200, 2)) < 0.4).astype(float)
    outputs = truth + rng.normal(size=(200, 2))

    def width(columns: list[int]) -> float:
        score, _ = told_labels(outputs[:, columns], truth[:, columns])
        return score.high - score.low

    assert width([0, 0]) == pytest.approx(width([0]))
    assert width([0, 1]) == pytest.approx((width([0]) + width([1])) / 2 / 2**0.5, rel=0.15)


def test_labels_that_are_never_there_say_nothing() -> None:
    score, each = told_labels(np.zeros((40, 1)), np.zeros((40, 1)))
    assert (score.low, score.value, score.high, each) == (0.0, 0.5, 1.0, (None,))


def test_values_are_told_by_the_variance_that_is_explained() -> None:
    rng = np.random.default_rng(0)
    truth = np.stack([rng.normal(size=300), np.full(300, 2.0)], axis=1)
    outputs = truth + rng.normal(size=(300, 2)) / 2
    score, (first, second) = told_values(outputs, truth, 0)
    expected = 1 - ((outputs - truth)[:, 0] ** 2).mean() / truth[:, 0].var()
    assert first
    assert (score.value, first.value, second) == (pytest.approx(expected), pytest.approx(expected), None)
    assert score.low < 0.75 < score.high
