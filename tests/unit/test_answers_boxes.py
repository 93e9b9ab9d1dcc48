"""The `boxes` answer: cells, columns, what is kept of many boxes, what is right, and the way back to the image."""

import json
import math

import numpy as np
import pytest

from foveal.answers import Box, Boxes, BoxesPrediction
from foveal.answers.detections import average_precision, detections, iou, match, moved, real, unwarped
from foveal.types import Geometry

LABELS = ("cat", "dog")


def logit(score: float) -> float:
    return math.log(score / (1 - score))


def outputs(*rows: tuple[float, ...]) -> np.ndarray:
    """Boxes with a score a label to raw outputs."""
    return np.array([[*row[:4], *map(logit, row[4:])] for row in rows], np.float32)


def test_a_cell_becomes_rows() -> None:
    cell = json.dumps([["dog", 1, 2, 3.5, 4], ["cat", 0, 0, 9, 9, 1]])
    assert Boxes().parse(cell, LABELS).tolist() == [[1, 2, 3.5, 4, 1, 0], [0, 0, 9, 9, 0, 1]]
    assert Boxes().parse("[]", LABELS).shape == (0, 6)
    assert Boxes().labels([cell, "[]", "broken"], ("boxes",)) == LABELS


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("cat", "found 'cat'"),
        ("{}", "found '{}'"),
        ("", "found nothing"),
        ('[["cat", 1, 2, 3]]', "in it"),
        ('[["cat", 1, 2, "3", 4]]', "in it"),
        ('[["cat", 1, 2, NaN, 4]]', "in it"),
        ("[[7, 1, 2, 3, 4]]", "in it"),
        ('[["cat", 3, 2, 1, 4]]', "x1 > x0"),
        ('[["cow", 1, 2, 3, 4]]', "found 'cow'"),
        ("[" * 100_000, "expected an array"),
    ],
)
def test_what_is_no_cell_is_told(cell: str, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("[", r"\[")):
        Boxes().parse(cell, LABELS)


def test_a_column_is_filled_up_with_nan() -> None:
    answer = Boxes()
    column = answer.stack([answer.parse(cell, LABELS) for cell in ('[["cat",0,0,1,1],["dog",0,0,2,2]]', "[]")])
    assert column.shape == (2, 2, 6)
    assert column.dtype == np.float32
    assert np.isnan(column[1]).all()
    assert real(column[1]).shape == (0, 6)
    assert answer.stack([answer.parse("[]", LABELS)]).shape == (1, 1, 6), "one row at least"
    told = answer.summary(column, LABELS)
    assert told == {"labels": {"cat": 1, "dog": 1}, "boxes": {"cat": 1, "dog": 1}, "empty": 1}
    assert answer.strata(column).tolist() == [0, 2]


def test_iou_of_known_boxes() -> None:
    one = np.array([[0, 0, 2, 2], [0, 0, 1, 1], [5, 5, 5, 9]], float)
    other = np.array([[1, 1, 3, 3], [0, 0, 2, 2]], float)
    assert iou(one, other) == pytest.approx(np.array([[1 / 7, 1], [0, 1 / 4], [0, 0]]))


def test_the_weaker_of_two_that_overlap_is_taken_out_within_its_label_alone() -> None:
    found = detections(
        outputs((0, 0, 10, 10, 0.6, 0.001), (0, 0, 10, 9, 0.9, 0.5), (0, 0, 5, 5, 0.3, 1e-5), (20, 0, 30, 9, 1e-5, 0.7))
    )
    assert found[:, 4] == pytest.approx([0.9, 0.7, 0.5, 0.3], rel=1e-5)
    assert found[:, 5].tolist() == [0, 1, 1, 0]
    assert found[0, :4].tolist() == [0, 0, 10, 9]


def test_what_is_suppressed_suppresses_nothing() -> None:
    chain = outputs((0, 0, 10, 10, 0.9, 1e-6), (0, 2, 10, 12, 0.8, 1e-6), (0, 4, 10, 14, 0.7, 1e-6))
    assert detections(chain)[:, 4] == pytest.approx([0.9, 0.7], rel=1e-5), "the third overlaps only what is gone"


def test_at_most_a_hundred_and_nothing_that_is_not_finite() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 1000, (2000, 2))
    wild = np.concatenate([corners, corners + 5, rng.normal(0, 3, (2000, 2))], axis=1).astype(np.float32)
    wild[:3, 0], wild[3, 2] = np.nan, np.inf
    found = detections(wild)
    assert len(found) == 100
    assert np.isfinite(found).all()
    assert (np.diff(found[:, 4]) <= 0).all()
    assert len(detections(np.zeros((0, 6), np.float32))) == 0


def test_each_true_box_is_found_once() -> None:
    truth = np.array([[0, 0, 10, 10, 0, 0], [20, 0, 30, 10, 1, 0]], float)
    found = np.array([[0, 0, 10, 9, 0.9, 0], [0, 0, 10, 10, 0.8, 0], [20, 0, 30, 10, 0.7, 0], [21, 0, 30, 10, 0.6, 1]])
    right, ignored = match(found, truth)
    assert right.tolist() == [True, False, False, True]
    assert not ignored.any()


def test_what_lies_in_a_crowd_is_not_counted() -> None:
    truth = np.array([[0, 0, 100, 100, 0, 1]], float)
    found = np.array([[10, 10, 20, 20, 0.9, 0], [90, 90, 120, 120, 0.8, 0], [10, 10, 20, 20, 0.7, 1]])
    right, ignored = match(found, truth)
    assert not right.any()
    assert ignored.tolist() == [True, False, False]


def test_average_precision_by_hand() -> None:
    # Right, wrong, right of two true ones: precision 1 up to a recall of 0.5, then 2/3.
    value = average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2)
    assert value == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert average_precision(np.zeros(0), np.zeros(0, bool), 3) == 0
    assert average_precision(np.array([0.5]), np.array([True]), 1) == 1


def test_there_and_back() -> None:
    answer = Boxes()
    geometry = Geometry(200, 100, 0.5, 0.25, 3.0, -2.0)
    boxes = np.array([[10, 20, 50, 60, 1, 0], [190, 90, 200, 100, 0, 0]], np.float32)
    seen = answer.warp(boxes, geometry, 100, 200)
    assert seen[0].tolist() == [8, 3, 28, 13, 1, 0]
    assert unwarped(seen, geometry) == pytest.approx(boxes)


def test_a_mirror_keeps_the_corners_in_order_and_what_leaves_the_frame_is_gone() -> None:
    mirrored = Geometry(100, 50, -1.0, 1.0, 100.0, 0.0)
    boxes = np.array([[10, 5, 30, 20, 0, 0], [-30, 0, 10, 10, 1, 0], [-4, 0, 10, 60, 1, 0]], np.float32)
    seen = moved(boxes, mirrored, 50, 100)
    assert seen[0].tolist() == [70, 5, 90, 20, 0, 0]
    assert np.isnan(seen[1]).all(), "its centre lies outside"
    assert seen[2].tolist() == [90, 0, 100, 50, 1, 0]


def test_the_answer_is_in_the_images_own_pixels_and_above_the_threshold() -> None:
    raw = outputs((8, 3, 28, 13, 0.01, 0.8), (50, 50, 70, 70, 0.4, 0.01), (90, 90, 150, 150, 0.3, 0.01))
    settled = {"thresholds": {"cat": 0.35, "dog": 0.5}}
    (answer,) = Boxes().decode(raw[None], [Geometry(200, 100, 0.5, 0.25, 3.0, -2.0)], LABELS, settled)
    assert [box.label for box in answer.boxes] == ["dog", "cat"]
    assert answer.boxes[0].xyxy == pytest.approx((10, 20, 50, 60))
    assert answer.boxes[1].xyxy[3] == 100, "clipped to the image"
    assert str(answer) == "1 dog  1 cat"
    told = json.loads(json.dumps(answer.as_dict()))
    assert told["boxes"][0]["label"] == "dog"
    assert set(told["boxes"][0]) == {"label", "score", "xyxy"}
    assert str(BoxesPrediction(())) == "(none)"
    assert Box("a", 1.0, (0, 0, 1, 1)).as_dict()["xyxy"] == [0, 0, 1, 1]


def test_the_score_and_the_threshold_of_a_perfect_network() -> None:
    answer, rng = Boxes(), np.random.default_rng(1)
    cells, raw = [], []
    for _ in range(8):
        x, y = rng.integers(0, 50, 2).tolist()
        cells.append(json.dumps([["cat", x, y, x + 10, y + 10], ["dog", x + 30, y, x + 60, y + 20]]))
        raw.append(
            outputs(
                (x, y, x + 10, y + 10, 0.8, 0.001),
                (x + 30, y, x + 60, y + 20, 0.001, 0.7),
                (x, y + 70, x + 9, y + 90, 0.2, 0.2),
            )
        )
    targets = answer.stack([answer.parse(cell, LABELS) for cell in cells])
    assert answer.score(np.stack(raw), targets) == {"ap50": pytest.approx(1.0)}
    settled = answer.settle(np.stack(raw), targets, LABELS)
    assert settled["thresholds"] == {"cat": pytest.approx(0.5, abs=1e-3), "dog": pytest.approx(0.45, abs=1e-3)}
    assert answer.settle(np.zeros((0, 2), np.float32), targets[:0], LABELS) == {}


def test_no_box_anywhere_is_no_mistake() -> None:
    answer = Boxes()
    nothing = answer.stack([answer.parse("[]", LABELS)] * 3)
    raw = np.stack([outputs((0, 0, 5, 5, 0.01, 0.9))] * 3)
    assert answer.score(raw, nothing) == {"ap50": 0.0}
    assert answer.settle(raw, nothing, LABELS)["thresholds"] == {"cat": 0.5, "dog": 0.5}
    assert answer.strata(nothing).tolist() == [0, 0, 0]
