"""One label an image: names, indices, and what a cell must be."""

import numpy as np
import pytest

from foveal.answers import Label

LABEL = Label()


def test_names_are_in_natural_order_and_empty_cells_are_none() -> None:
    assert LABEL.labels(["10", "9", "b", "a", "", "  ", "9"]) == ("9", "10", "a", "b")


def test_parse_and_its_complaints() -> None:
    assert LABEL.parse("dog", ("cat", "dog")) == 1
    for cell in ("", " "):
        with pytest.raises(ValueError, match=r"^expected a label, found nothing$"):
            LABEL.parse(cell, ("cat", "dog"))
    with pytest.raises(ValueError, match=r"^expected a label \(cat, dog\), found 'cow'$"):
        LABEL.parse("cow", ("cat", "dog"))
    with pytest.raises(ValueError, match=r"\(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …\), found 'x{60}…'$"):
        LABEL.parse("x" * 1000, tuple(map(str, range(12))))


def test_anything_suits_and_every_label_is_a_stratum() -> None:
    assert LABEL.suits([], [])
    targets = np.array([2, 0, 2])
    assert LABEL.strata(targets).tolist() == [2, 0, 2]
    assert LABEL.summary(targets, ("a", "b", "c")) == {"labels": {"a": 1, "b": 0, "c": 2}}
    assert LABEL.summary(np.array([]), ("a",)) == {"labels": {"a": 0}}
    assert LABEL.settle(np.zeros((3, 3)), targets, ("a", "b", "c")) == {}


def test_a_prediction_in_a_line() -> None:
    (prediction,) = LABEL.decode(np.array([[0.0, 4.0]]), [None], ("cat", "dog"))
    assert str(prediction) == "dog  0.982"
    assert prediction.as_dict()["label"] == "dog"


def test_score_is_accuracy() -> None:
    assert LABEL.score(np.array([[1, 0], [0, 1], [1, 0]]), np.array([0, 1, 1])) == {"accuracy": pytest.approx(2 / 3)}
