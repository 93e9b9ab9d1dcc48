"""Suspects among boxes against what can be worked out by hand, from detections that are made up."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import foveal
from foveal.measure.box_suspects import (
    DOUBLED,
    MISPLACED,
    MISSING,
    BoxSuspect,
    box_suspects,
    kept_boxes,
    sureness,
    suspected_boxes,
)
from foveal.measure.suspects import SUSPECT
from foveal.types import Geometry

HOME = (10.0, 10.0, 50.0, 50.0)
IMAGES = 40  # whose one box is found with a score of 0.9, beside a false one of 0.1


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, 6)


def suspects_of(truth: np.ndarray, found: np.ndarray, images: int = IMAGES, labels: int = 2) -> tuple[BoxSuspect, ...]:
    """What looks wrong of one image, beside others in which nothing does; they teach what is usual of both labels."""
    usual_truth = [boxes((*HOME, k, 0)) for k in range(labels) for _ in range(images)]
    usual_found = [boxes((*HOME, 0.9, k), (200, 200, 240, 240, 0.1, k)) for k in range(labels) for _ in range(images)]
    suspects, _ = box_suspects([*usual_found, found], [*usual_truth, truth], labels)
    assert {suspect.row for suspect in suspects} <= {images * labels}
    return suspects


def test_sureness_worked_by_hand() -> None:
    sure = sureness(np.array([0.4, 0.1, 0.3, 0.2]), np.array([True, False, False, True]))
    # parts: 0.1 (0 of 1), 0.2 and 0.3 (1 of 2), 0.4 (1 of 1); one is added to each number
    np.testing.assert_allclose(sure(np.array([0.0, 0.1, 0.25, 0.325, 0.4, 0.9])), [0, 0, 1 / 3, 5 / 12, 1 / 2, 1 / 2])
    assert sureness(np.zeros(0), np.zeros(0, bool))(np.array([0.7])).tolist() == [0.0]
    same = sureness(np.array([0.5, 0.5, 0.5]), np.array([False, True, True]))
    assert same(np.array([0.5])).tolist() == [0.5]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_the_surer_the_more_often_right(told: list[tuple[float, bool]]) -> None:
    scores, right = np.array([score for score, _ in told]), np.array([hit for _, hit in told])
    shares = sureness(scores, right)(np.linspace(0, 1, 50))
    assert (np.diff(shares) >= 0).all()
    assert shares[0] >= 0
    assert shares[-1] < 1


def test_a_confident_detection_without_a_box() -> None:
    found = boxes((*HOME, 0.9, 0), (100, 100, 140, 140, 0.9, 0), (105, 100, 145, 140, 0.8, 0))
    (suspect,) = suspects_of(boxes((*HOME, 0, 0)), found)
    # 41 of 42 that score 0.9 have a box; the weaker one of the same thing is not told again
    assert suspect.kind == MISSING
    assert suspect.box is None
    assert suspect.label == 0
    assert suspect.xyxy == (100, 100, 140, 140)
    assert suspect.score == suspect.support == pytest.approx(41 / 43)


def test_detections_that_are_often_wrong_say_nothing() -> None:
    found = boxes((*HOME, 0.9, 0), (100, 100, 140, 140, 0.1, 0))
    assert suspects_of(boxes((*HOME, 0, 0)), found) == ()


def test_a_box_on_another() -> None:
    truth = boxes((*HOME, 0, 0), (10, 10, 50, 49, 0, 0))
    (suspect,) = suspects_of(truth, boxes((*HOME, 0.9, 0)))
    assert (suspect.kind, suspect.box, suspect.other, suspect.support) == (DOUBLED, 1, 0, 0.0)
    assert suspect.score == suspect.overlap == pytest.approx(39 / 40)


def test_of_two_labels_on_one_thing_the_less_supported_is_named() -> None:
    truth = boxes((*HOME, 1, 0), (*HOME, 0, 0))
    (suspect,) = suspects_of(truth, boxes((*HOME, 0.9, 0), (*HOME, 0.1, 1)))
    assert (suspect.kind, suspect.box, suspect.other, suspect.label) == (DOUBLED, 0, 1, 0)
    # 1 of 41 detections of label 1 that score 0.1 has a box
    assert suspect.score == pytest.approx(1 - 1 / 42)


def test_two_things_that_lie_close_are_both_confirmed() -> None:
    truth = boxes((*HOME, 0, 0), (10, 10, 50, 60, 0, 0))
    found = boxes((*HOME, 0.9, 0), (10, 14, 50, 62, 0.9, 0))
    assert suspects_of(truth, found) == ()
    # the second not found: an IoU of 0.8
    (suspect,) = suspects_of(truth, found[:1])
    assert (suspect.kind, suspect.box, suspect.score) == (DOUBLED, 1, pytest.approx(0.8))


def test_a_box_beside_the_thing() -> None:
    (suspect,) = suspects_of(boxes((30, 10, 70, 50, 0, 0)), boxes((*HOME, 0.9, 0)))
    assert (suspect.kind, suspect.box, suspect.label, suspect.xyxy) == (MISPLACED, 0, 0, HOME)
    assert suspect.overlap == pytest.approx(1 / 3)
    # 40 of 41 detections have a box, and so have 40 of 41 boxes that support
    sure = 40 / 42
    assert suspect.score == pytest.approx(1 - (1 - 40 * sure / 41) * (1 - sure * 2 / 3))


def test_how_far_beside_counts_where_boxes_are_seldom_found() -> None:
    """Three boxes in four are never found: that one more is not says little, what is found beside it says more."""
    truth = [boxes((*HOME, 0, 0), *((300 + 60 * k, 10, 340 + 60 * k, 50, 0, 0) for k in range(3))) for _ in range(40)]
    found = [boxes((*HOME, 0.9, 0)) for _ in truth]
    suspects, score = box_suspects([*found, boxes((*HOME, 0.9, 0))], [*truth, boxes((30, 10, 70, 50, 0, 0))], 1)
    assert [suspect.row for suspect in suspects] == [40]
    usual = 40 * 40 / 42 / 161
    assert suspects[0].score == pytest.approx(1 - (1 - usual) * (1 - 40 / 42 * 2 / 3))
    assert score.value == pytest.approx(40 / 161)
    assert score.low < 40 / 161 < score.high
    assert score.n == 41


def test_a_box_that_nothing_confirms() -> None:
    (suspect,) = suspects_of(boxes((*HOME, 0, 0), (300, 300, 340, 340, 0, 0)), boxes((*HOME, 0.9, 0)))
    assert (suspect.kind, suspect.box, suspect.label, suspect.xyxy) == (MISPLACED, 1, None, None)
    sure = 41 / 42
    assert suspect.score == pytest.approx(41 * sure / 42)


def test_a_box_of_another_label() -> None:
    (suspect,) = suspects_of(boxes((*HOME, 1, 0)), boxes((12, 10, 50, 50, 0.9, 0)))
    assert (suspect.kind, suspect.box, suspect.label, suspect.xyxy) == (SUSPECT, 0, 0, (12, 10, 50, 50))
    # 40 of 41 detections of label 0 have a box of that label; of label 1 it is 40 of 40, and 40 of 41 boxes are found
    assert suspect.score == pytest.approx(1 - (1 - 40 / 42) * (1 - 40 / 41 * 40 / 41))


def test_a_detection_contradicts_one_box() -> None:
    """Two boxes beside one thing: the one that overlaps more is misplaced, the other is only not found."""
    truth = boxes((30, 10, 70, 50, 0, 0), (10, 38, 50, 78, 0, 0))
    told = suspects_of(truth, boxes((*HOME, 0.9, 0)))
    assert sorted((one.box, one.xyxy) for one in told) == [(0, None), (1, HOME)]


def test_crowds_are_left_alone() -> None:
    truth = boxes((*HOME, 0, 0), (100, 100, 300, 300, 0, 1), (101, 100, 300, 300, 0, 1))
    found = boxes((*HOME, 0.9, 0), (120, 120, 160, 160, 0.9, 0))
    assert suspects_of(truth, found) == ()


def test_detectors_that_find_nothing_leave_only_doubles() -> None:
    truth = [boxes((*HOME, 0, 0), (10, 10, 50, 49, 0, 0)), boxes(), boxes((*HOME, 0, 0))]
    suspects, score = box_suspects([boxes()] * 3, truth, 1)
    assert [(one.kind, one.row, one.box) for one in suspects] == [(DOUBLED, 0, 1)]
    assert score.value == 0
    assert 0 < score.high < 1


def test_kept_boxes_are_those_of_the_original_image() -> None:
    outputs = np.array([[[10, 10, 30, 30, 4.0, -20.0]]], np.float32)
    (found,) = kept_boxes(outputs, [Geometry(200, 100, 0.5, 0.5, 0.0, 5.0)])
    np.testing.assert_allclose(found, [[20, 10, 60, 50, 1 / (1 + np.exp(-4)), 0]], atol=1e-6)


def test_findings_name_the_box_and_its_line(tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / "yolo" / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = {"a": "0 0.3 0.3 0.4 0.4\n\n1 0.7 0.7 0.2 0.2\n", "b": "0 0.3 0.3 0.4 0.4\n"}
    for name, text in lines.items():
        pixels = rng.integers(0, 256, (100, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "yolo" / "images" / f"{name}.png")
        (tmp_path / "yolo" / "labels" / f"{name}.txt").write_text(text)
    (tmp_path / "yolo" / "data.yaml").write_text("names: [disc, square]\ntrain: images\n")
    dataset = foveal.look(tmp_path / "yolo")
    own = (10, 10, 50, 50, 0.9, 0)
    kept = [boxes(own, (60, 60, 80, 80, 0.9, 0)), boxes(own, (70, 10, 90, 30, 0.9, 0))]
    told = suspected_boxes(kept, dataset, 0)
    assert told.targets == 3
    assert told.wrong is None
    assert (told.measured, told.score.n) == ("recall", 2)
    wrong, missing = sorted(told.findings, key=lambda finding: finding.kind)
    assert (wrong.kind, wrong.files) == (SUSPECT, ("images/a.png",))
    # of four detections of a disc, all as sure, two have a box
    assert wrong.as_dict() | {"remedy": ""} == {
        "kind": "label-suspect",
        "files": ["images/a.png"],
        "message": "box 2 (square) looks like disc (IoU 1.00), and is confirmed to 0% as square",
        "remedy": "",
        "score": 0.4,
        "given": "square",
        "suggested": "disc",
        "xyxy": [60.0, 60.0, 80.0, 80.0],
        "box": 2,
        "suggested_xyxy": [60.0, 60.0, 80.0, 80.0],
        "at": "labels/a.txt, line 3",
    }
    assert missing.kind == MISSING
    assert missing.files == ("images/b.png",)
    assert (missing.facts["given"], missing.facts["suggested"]) == (None, "disc")
    assert (missing.facts["xyxy"], missing.facts["at"]) == ([70.0, 10.0, 90.0, 30.0], "labels/b.txt")
