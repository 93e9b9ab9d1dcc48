"""Values: what counts as a number, which columns are values, and intervals that hold what they promise."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.answers import Value, ValuePrediction
from foveal.answers.value import shown

VALUE = Value()


def cells(*rows: object) -> list[str]:
    return [json.dumps(row) if isinstance(row, list) else str(row) for row in rows]


@pytest.mark.parametrize(
    ("cell", "value"),
    [("31", 31), (" 31.5 ", 31.5), ("1e3", 1000), ("-.5", -0.5), ("+2.", 2), ("1E-3", 0.001), ("3.4e38", 3.4e38)],
)
def test_numbers(cell: str, value: float) -> None:
    target = VALUE.parse(cell, ("age",))
    assert (target.shape, target.dtype) == ((1,), np.float32)
    assert target[0] == np.float32(value)


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("", "found nothing"),
        ("31,5", "'31,5': a comma is no decimal point"),
        ("old", "finite number such as 31.5, found 'old'"),
        ("nan", "finite number"),
        ("-inf", "finite number"),
        ("1e39", "finite number"),
        ("1_000", "finite number"),
        ("0x1f", "finite number"),
        ("٣١", "finite number"),
        ("31 years", "finite number"),
    ],
)
def test_what_is_no_number(cell: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        VALUE.parse(cell, ("age",))


def test_several_columns() -> None:
    assert VALUE.labels(["1"], ("x", "y")) == ("x", "y")
    assert VALUE.labels(["1"]) == ("value",)
    np.testing.assert_array_equal(VALUE.parse('["1.5", "2"]', ("x", "y")), [1.5, 2])
    with pytest.raises(ValueError, match=r"^y: expected a number such as 31.5, found '2,5'"):
        VALUE.parse('["1", "2,5"]', ("x", "y"))
    for cell in ("1", '["1"]', '{"x": 1}', "[" * 10_000):
        with pytest.raises(ValueError, match="JSON array of 2 cells"):
            VALUE.parse(cell, ("x", "y"))


@pytest.mark.parametrize(
    ("rows", "columns", "suits"),
    [
        (["1.5", "2"], ["age"], True),
        (["1.5", "2", ""], ["age"], True),
        ([str(k) for k in range(21)], ["age"], True),
        ([str(k % 20) for k in range(99)], ["stars"], False),
        (["1.5", "2,5"], ["age"], False),
        (["1.5", "two"], ["age"], False),
        (["", ""], ["age"], False),
        ([], ["age"], False),
        (["1.5", "2"], [], False),
        ([["1", "2.5"], ["2", "3"]], ["x", "y"], True),
        ([["1", "2"], ["2", "3"]], ["x", "y"], False),
        ([["1.5", ""], ["2", ""]], ["x", "y"], False),
        ([["1.5", "a"]], ["x", "y"], False),
    ],
)
def test_which_targets_are_values(rows: list[object], columns: list[str], suits: bool) -> None:
    assert VALUE.suits(cells(*rows), columns) is suits


@given(st.lists(st.floats(-1e6, 1e6, width=32), max_size=300))
def test_strata_are_tenths_in_order(values: list[float]) -> None:
    column = np.array(values, np.float32)
    strata = VALUE.strata(column[:, None] if len(column) else np.array([]))
    assert (strata.dtype, strata.shape) == (np.int64, column.shape)
    order = np.argsort(column, kind="stable")
    assert (np.diff(strata[order]) >= 0).all()
    assert all(len(set(strata[column == value])) == 1 for value in set(values))
    assert len(set(strata.tolist())) <= max(1, min(10, len(column) // 10))


def test_strata_have_a_tenth_each() -> None:
    targets = np.random.default_rng(0).permutation(200).astype(np.float32)
    np.testing.assert_array_equal(np.bincount(VALUE.strata(np.stack([targets, 0 * targets], axis=1))), [20] * 10)


def test_summary() -> None:
    told = VALUE.summary(np.array([[1, 10], [2, 20], [6, 60]], np.float32), ("x", "y"))
    assert told["labels"] == {}
    assert told["values"]["x"] == {"smallest": 1, "median": 2, "mean": 3, "largest": 6}
    assert list(told["values"]) == ["x", "y"]
    assert json.loads(json.dumps(told)) == told
    assert VALUE.summary(np.array([]), ("x",)) == {"labels": {}, "values": {}}


def test_half_width_is_the_order_statistic_of_split_conformal_prediction() -> None:
    errors = np.random.default_rng(0).permutation(np.arange(1, 20)).astype(np.float32)
    targets = np.full((19, 1), 100, np.float32)
    signs = np.where(np.arange(19) % 2, 1, -1)[:, None]
    settled = VALUE.settle(targets + signs * errors[:, None], targets, ("age",))
    assert settled == {"level": 0.9, "half_width": {"age": 18.0}, "n": 19}
    assert VALUE.settle(targets[:8], targets[:8], ("age",)) == {}
    assert VALUE.settle(np.zeros((0, 1)), np.array([]), ("age",)) == {}
    nine = VALUE.settle(targets[:9] + np.arange(9)[:, None], targets[:9], ("age",))
    assert nine["half_width"] == {"age": 8.0}, "the largest: ten tenths of nine"


def test_intervals_hold_at_least_their_level() -> None:
    """Over many draws of 30 validation errors and one more of the same kind; exactly 28/31 of them in expectation."""
    rng = np.random.default_rng(0)
    errors = rng.standard_t(3, (4000, 31))
    held = [
        abs(row[30]) <= VALUE.settle(row[:30, None], np.zeros((30, 1)), ("x",))["half_width"]["x"] for row in errors
    ]
    assert np.mean(held) == pytest.approx(28 / 31, abs=0.015)


def test_decode_with_and_without_intervals() -> None:
    outputs = np.array([[31.25, -2.5]], np.float32)
    (plain,) = VALUE.decode(outputs, [None], ("age", "score"))
    assert plain == ValuePrediction({"age": 31.25, "score": -2.5}, {})
    assert plain.as_dict() == {"values": {"age": 31.25, "score": -2.5}, "intervals": {}}
    (told,) = VALUE.decode(outputs, [None], ("age", "score"), {"half_width": {"age": 7.25}})
    assert told.intervals == {"age": (24.0, 38.5)}
    assert json.loads(json.dumps(told.as_dict())) == told.as_dict()
    assert str(told) == "age 31.2 [24.0, 38.5]  score -2.500"


@pytest.mark.parametrize(
    ("value", "size", "text"),
    [
        (31.234, 7.2, "31.2"),
        (31.234, 0.072, "31.234"),
        (31.234, 72, "31"),
        (1234.5, 12.3, "1,234"),
        (0.0, 0.0, "0.0"),
        (1e30, 1e28, "1e+30"),
        (float("inf"), 1, "inf"),
    ],
)
def test_numbers_as_shown(value: float, size: float, text: str) -> None:
    assert shown(value, size) == text


def test_score_is_the_mean_absolute_error() -> None:
    outputs, targets = np.array([[1.0, 2], [3, 4]]), np.array([[2.0, 2], [1, 5]])
    assert VALUE.score(outputs, targets) == {"mae": 1.0}
    assert not VALUE.larger_is_better


def test_a_few_wrong_cells_do_not_change_the_task() -> None:
    numbers = [str(k / 2) for k in range(40)]
    assert Value().suits([*numbers, "abc", "1,5"], ("age",))
    assert not Value().suits([*numbers, *["abc"] * 10], ("age",))
