"""Several labels at once: how they are written, which thresholds are best, and what is not known."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from foveal.answers import Labels, LabelsPrediction
from foveal.answers.labels import sigmoid

LABELS = Labels()
NAN = np.nan


def cells(*rows: object) -> list[str]:
    return [json.dumps(row) if isinstance(row, list) else str(row) for row in rows]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["cat|dog", "dog", ""], ("cat", "dog")),
        (["cat; dog", "dog"], ("cat", "dog")),
        (["10,9", "9"], ("9", "10")),
        (["cat, big|dog", "cat, big"], ("cat, big", "dog")),
        (["cat", ""], ("cat",)),
        (["cat||cat| ", "|"], ("cat",)),
    ],
)
def test_names_are_taken_apart_at_the_strongest_mark(rows: list[str], expected: tuple[str, ...]) -> None:
    assert LABELS.labels(rows, ["tags"]) == expected
    for row in rows:
        assert LABELS.parse(row, expected).shape == (len(expected),)


def test_parse_names() -> None:
    names = ("cat", "cat, big", "dog")
    for cell, expected in {
        "": [0, 0, 0],
        "dog": [0, 0, 1],
        "cat|dog": [1, 0, 1],
        " dog ; cat ": [1, 0, 1],
        "cat,dog": [1, 0, 1],
        "cat, big": [0, 1, 0],
        "cat, big|dog": [0, 1, 1],
    }.items():
        target = LABELS.parse(cell, names)
        assert target.dtype == np.float32
        assert target.tolist() == expected, cell
    with pytest.raises(ValueError, match=r"expected labels \(cat, cat, big, dog\) .* found 'cat\|cow'"):
        LABELS.parse("cat|cow", names)


def test_parse_columns() -> None:
    names = tuple("abcdefgh")
    got = LABELS.parse(json.dumps(["1", "0", "TRUE", "no", "", "nan", "-1", "u"]), names)
    np.testing.assert_array_equal(got, [1, 0, 1, 0, NAN, NAN, NAN, NAN])
    np.testing.assert_array_equal(LABELS.parse('["1.0", "-1.0"]', ("a", "b")), [1, NAN])
    with pytest.raises(ValueError, match=r"^b: expected 1 or 0, .*, found 'maybe'$"):
        LABELS.parse('["1", "maybe"]', ("a", "b"))
    with pytest.raises(ValueError, match=r"found '\[\[\["):
        LABELS.parse("[" * 10_000, ("a", "b"))


@pytest.mark.parametrize(
    ("rows", "columns", "suits"),
    [
        ([["1", "0"], ["0", "u"]], ["a", "b"], True),
        ([["yes", ""], ["no", "true"]], ["a", "b"], True),
        ([["1", "0"], ["0", "2"]], ["a", "b"], False),
        ([["", "u"]], ["a", "b"], False),
        ([], ["a", "b"], False),
        (["cat|dog", "dog", "cat", "dog"], ["tags"], True),
        (["cat;dog", "dog", "cat;dog", ""], ["tags"], True),
        (["cat,dog", "dog", "cat,dog"], ["tags"], False),
        (["cat", "dog", "cat"], ["tags"], False),
        (["a man; walking", "a dog; sitting"], ["caption"], False),
        (["cat|dog", "dog", "cat|dog"], [], False),
        (["1", "0"], ["smiling"], False),
    ],
)
def test_which_targets_are_several_labels(rows: list[object], columns: list[str], suits: bool) -> None:
    assert LABELS.suits(cells(*rows), columns) is suits


def test_several_columns_are_the_labels_in_their_order() -> None:
    assert LABELS.labels(cells(["1", "0"]), ("z", "a")) == ("z", "a")


def test_strata_are_the_rarest_labels() -> None:
    targets = np.array([[1, 1, 0], [1, 0, NAN], [1, 0, 1], [0, 0, 0], [0, NAN, 0], [1, 0, 1]], np.float32)
    assert LABELS.strata(targets).tolist() == [1, 0, 2, 3, 3, 2]
    assert LABELS.strata(np.array([])).shape == (0,)


def test_summary_counts_what_is_there_and_what_is_known() -> None:
    targets = np.array([[1, NAN], [1, 0], [0, NAN]], np.float32)
    assert LABELS.summary(targets, ("a", "b")) == {"labels": {"a": 2, "b": 0}, "known": {"a": 3, "b": 1}}
    assert LABELS.summary(np.array([]), ("a", "b"))["known"] == {"a": 0, "b": 0}


def logit(*probabilities: float) -> np.ndarray:
    p = np.array(probabilities)
    return np.log(p / (1 - p))


def threshold(probabilities: list[float], truth: list[float], times: int = 5) -> float:
    """As it would be on the probabilities that are given: before the temperature."""
    outputs, targets = logit(*probabilities * times)[:, None], np.array(truth * times, np.float32)[:, None]
    settled = LABELS.settle(outputs, targets, ("a",))
    assert json.loads(json.dumps(settled)) == settled
    at = settled["thresholds"]["a"]
    return at if at in (0, 1) else float(sigmoid(logit(at) * settled.get("temperature", 1.0))[0])


def test_thresholds_by_hand() -> None:
    assert 0.2 < threshold([0.2, 0.4, 0.1, 0.3], [0, 1, 0, 1]) < 0.3
    assert threshold([0.9, 0.8, 0.2], [1, 0, 1]) < 0.2, "all of them"
    assert 0.2 < threshold([0.9, 0.6, 0.6, 0.2], [1, 1, 1, 0]) < 0.6, "equal ones stay together"
    assert 0.3 < threshold([0.9, 0.8, 0.3], [1, NAN, 0]) < 0.9, "what is not known counts nowhere"
    # F1 is 2/3 with the first alone, and with the first four.
    assert 0.1 < threshold([0.99, 0.6, 0.55, 0.5, 0.1], [1, 0, 0, 1, 0]) < 0.5
    # Without a temperature, of fewer than 20 cells, half way between two.
    assert threshold([0.2, 0.4, 0.1, 0.3, 0.05, 0.3], [0, 1, 0, 1, 0, 1], times=3) == pytest.approx(0.25)
    for truth in ([0, 0, NAN], [1, NAN, 1], [NAN, NAN, NAN]):
        assert threshold([0.9, 0.5, 0.1], truth) == 0.5
    assert LABELS.settle(np.zeros((0, 1)), np.array([]), ("a",)) == {}


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=2, max_size=40))
def test_no_threshold_has_a_larger_f1(pairs: list[tuple[int, bool]]) -> None:
    probabilities, truth = np.array([tenth / 10 for tenth, _ in pairs]), np.array([yes for _, yes in pairs])
    at = threshold(probabilities.tolist(), truth.astype(float).tolist())
    if truth.all() or not truth.any():
        assert at == 0.5
        return
    others = [f1_score(truth, probabilities > tenth / 10 + 0.05, zero_division=0) for tenth in range(-1, 10)]
    assert f1_score(truth, probabilities >= at) == pytest.approx(max(others))


def test_few_images_settle_no_threshold() -> None:
    scores, truth = [0.9, 0.8, 0.7, 0.6, 0.2, 0.1, 0.1, 0.1, 0.1], [1.0] * 4 + [0.0] * 5
    assert threshold(scores, truth, times=1) == 0.5
    assert threshold(scores, [1 - yes for yes in truth], times=1) == 0.5
    assert threshold([0.9, *scores], [1, *truth], times=1) == pytest.approx(0.4)


def test_a_few_wrong_cells_do_not_change_the_task() -> None:
    flags = ['["1", "0"]', '["0", "1"]'] * 10
    assert LABELS.suits([*flags, '["2", "0"]'], ("a", "b"))
    assert not LABELS.suits([*flags, *['["2", "0"]'] * 5], ("a", "b"))


def test_decode_says_what_is_at_or_above_its_threshold() -> None:
    outputs = logit(0.3, 0.6, 0.9)[None]
    (plain,) = LABELS.decode(outputs, [None], ("a", "b", "c"))
    assert plain.labels == ("c", "b")
    assert list(plain.probabilities) == ["c", "b", "a"]
    assert str(plain) == "c 0.900  b 0.600"
    (settled,) = LABELS.decode(outputs, [None], ("a", "b", "c"), {"thresholds": {"a": 0.2, "b": 0.7, "c": 0.95}})
    assert settled.labels == ("a",)
    assert json.loads(json.dumps(settled.as_dict())) == settled.as_dict()
    assert str(LabelsPrediction((), {"a": 0.1})) == "(none)"


def test_the_score_while_training_ranks_and_needs_no_threshold() -> None:
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(40, 3)).round(1)  # ties
    targets = rng.integers(0, 2, (40, 3)).astype(np.float32)
    targets[rng.random((40, 3)) < 0.2] = np.nan
    known = ~np.isnan(targets)
    each = [roc_auc_score(targets[known[:, k], k], outputs[known[:, k], k]) for k in range(3)]
    assert LABELS.score(outputs, targets) == {"macro_auroc": pytest.approx(np.mean(each))}
    assert LABELS.score(outputs - 9, targets) == {"macro_auroc": pytest.approx(np.mean(each))}
    assert LABELS.score(np.ones((2, 1)), np.zeros((2, 1))) == {"macro_auroc": 0.5}


def test_sigmoid_is_safe() -> None:
    np.testing.assert_allclose(sigmoid(np.array([-np.inf, -1e30, 0, 1e30, np.inf])), [0, 0, 0.5, 1, 1])
    assert sigmoid(np.array([-50.0]))[0] == pytest.approx(np.exp(-50), rel=1e-9)
