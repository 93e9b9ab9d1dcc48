"""Average precision of boxes is that of pycocotools, whatever the boxes; and a resample is scored as if it were one."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from foveal.measure.average_precision import precision_at_recalls, ranked
from foveal.measure.box_matching import Judged, judged

LABELS = 3
Images = list[tuple[np.ndarray, np.ndarray]]


def by_pycocotools(images: Images) -> np.ndarray:
    """(T, 101, K, A) at most 100 boxes of a label an image; NaN where there is no true box."""
    true, found = [], []
    for number, (truth, boxes) in enumerate(images, start=1):
        for x0, y0, x1, y1, label, crowd in truth.tolist():
            told = {"image_id": number, "category_id": int(label) + 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}
            true.append({**told, "area": (x1 - x0) * (y1 - y0), "iscrowd": int(crowd), "id": len(true) + 1})
        for x0, y0, x1, y1, score, label in boxes.tolist():
            told = {"image_id": number, "category_id": int(label) + 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}
            found.append({**told, "score": score})
    theirs = [COCO(), COCO()]
    numbers = [{"id": number} for number in range(1, len(images) + 1)]
    labels = [{"id": k + 1, "name": str(k)} for k in range(LABELS)]
    with contextlib.redirect_stdout(io.StringIO()):
        for one in theirs:
            one.dataset = {"info": {}, "images": numbers, "categories": labels, "annotations": []}
            one.createIndex()
        theirs[0].dataset["annotations"] = true
        theirs[0].createIndex()
        evaluation = COCOeval(theirs[0], theirs[0].loadRes(found) if found else theirs[1], "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., -1]
    return np.where(precision > -1, precision, np.nan)


def draw(seed: int, images: int, *, found: int = 25, crowds: float = 0.0, ties: bool = False) -> Images:
    """Boxes of all sizes, most found ones near a true one, some of another label, some anywhere."""
    rng = np.random.default_rng(seed)

    def boxes(count: int) -> np.ndarray:
        corners = rng.uniform(0, 200, (count, 2))
        return np.concatenate([corners, corners + np.exp(rng.uniform(1, 5.3, (count, 2)))], axis=1)

    drawn = []
    for _ in range(images):
        count, many = rng.integers(0, 9), rng.integers(0, found + 1)
        label = rng.integers(0, LABELS - 1, count)  # the last one is never true
        truth = np.column_stack([boxes(count), label, rng.random(count) < crowds]).astype(np.float32)
        truth = truth.astype(np.float64)
        near = rng.integers(0, max(1, count), many) if count else np.zeros(0, np.int64)
        side = np.tile(truth[near, 2:4] - truth[near, :2], 2)
        moved = truth[near, :4] + rng.normal(0, 1, side.shape) * rng.choice([0, 0.05, 0.2], (len(near), 1)) * side
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        other = boxes(int(rng.integers(0, 5)))
        labels = np.concatenate([truth[near, 4], rng.integers(0, LABELS, len(other))])
        labels = np.where(rng.random(len(labels)) < 0.1, rng.integers(0, LABELS, len(labels)), labels)
        scores = rng.random(len(labels))
        guess = np.column_stack([np.concatenate([moved, other]), scores.round(1) if ties else scores, labels])
        drawn.append((truth, guess[np.argsort(-guess[:, 4], kind="stable")]))
    return drawn


def match(images: Images) -> list[Judged]:
    return [judged(*image) for image in images]


def own(images: list[Judged], weights: np.ndarray) -> np.ndarray:
    """(T, K, A, R)"""
    return np.stack([row.under(weights) for row in ranked(images, LABELS)], axis=1)


def agree(images: Images) -> np.ndarray:
    """Average precision (T, K, A), when all three say the same."""
    theirs, matched = by_pycocotools(images), match(images)
    ours = precision_at_recalls(matched, LABELS)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    means = ours.mean(axis=1)
    np.testing.assert_allclose(own(matched, np.ones((len(images), 1)))[..., 0], means, rtol=0, atol=1e-9)
    return means


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 6), st.sampled_from([0.0, 0.3]), st.booleans())
def test_is_that_of_pycocotools(seed: int, images: int, crowds: float, ties: bool) -> None:
    agree(draw(seed, images, crowds=crowds, ties=ties))


def test_more_than_a_hundred_boxes_of_a_label() -> None:
    images = draw(5, 2, found=600)
    assert max(np.bincount(found[:, 5].astype(int)).max() for _, found in images) > 130
    agree(images)


def test_a_hundred_and_first_box_does_not_count() -> None:
    truth = np.array([[0, 0, 10, 10, 0, 0.0]])
    wrong = np.column_stack([np.full((100, 4), [50, 50, 60, 60]), np.linspace(0.9, 0.5, 100), np.zeros(100)])
    right = np.array([[0, 0, 10, 10, 0.1, 0]])
    assert agree([(truth, np.concatenate([wrong, right]))])[0, 0, 0] == 0
    assert agree([(truth, np.concatenate([wrong[1:], right]))])[0, 0, 0] == pytest.approx(0.01)


def test_crowds_excuse_boxes_and_need_not_be_found() -> None:
    truth = np.array([[0, 0, 100, 100, 0, 1], [200, 0, 210, 10, 0, 0.0]])
    inside = [[10 * k, 10, 10 * k + 9, 20, 0.9, 0] for k in range(5)]
    found = np.array([*inside, [200, 0, 210, 10, 0.5, 0]])
    assert agree([(truth, found)])[0, 0, 0] == pytest.approx(1)
    assert agree([(truth[1:], found)])[0, 0, 0] == pytest.approx(1 / 6)


def test_of_equal_scores_the_first_comes_first() -> None:
    truth = np.array([[0, 0, 10, 10, 0, 0.0]])
    right, wrong = [0, 0, 10, 10, 0.5, 0], [50, 50, 60, 60, 0.5, 0]
    empty = np.zeros((0, 6))
    assert agree([(truth, np.array([right, wrong]))])[0, 0, 0] == pytest.approx(1)
    assert agree([(truth, np.array([wrong, right]))])[0, 0, 0] == pytest.approx(0.5)
    assert agree([(empty, np.array([wrong])), (truth, np.array([right]))])[0, 0, 0] == pytest.approx(0.5)


def test_overlaps_are_decided_as_there() -> None:
    """IoUs of exactly 0.5 and 0.75."""
    truth = np.array([[0, 0, 10, 10, 0, 0], [20, 0, 30, 10, 1, 0.0]])
    found = np.array([[0, 0, 10, 5, 0.9, 0], [20, 0, 30, 7.5, 0.8, 1]])
    ap = agree([(truth, found)])
    assert np.count_nonzero(ap[:, 0, 0]) == 1
    assert np.count_nonzero(ap[:, 1, 0]) == 6


def test_of_equal_overlaps_the_last_is_taken() -> None:
    one, other = [0, 0, 10, 10, 0, 0.0], [4, 0, 14, 10, 0, 0.0]
    between, exact = [2, 0, 12, 10, 0.9, 0], [4, 0, 14, 10, 0.8, 0]
    assert agree([(np.array([one, other]), np.array([between, exact]))])[0, 0, 0] == pytest.approx(51 / 101)
    assert agree([(np.array([other, one]), np.array([between, exact]))])[0, 0, 0] == pytest.approx(1)


def test_nothing_found_and_nothing_there() -> None:
    empty, truth = np.zeros((0, 6)), np.array([[0, 0, 40, 40, 0, 0.0]])
    ap = agree([(truth, empty), (empty, empty)])
    assert ap[:, 0, 0].tolist() == [0] * 10
    assert np.isnan(ap[:, 1:]).all()
    assert np.isnan(ap[:, 0, [1, 3]]).all(), "40 × 40 is neither small nor large"
    assert ap[:, 0, 2].tolist() == [0] * 10
    assert np.isnan(agree([(empty, np.array([[0, 0, 9, 9, 0.5, 1.0]]))])).all()


def test_found_boxes_without_an_area() -> None:
    """A network may say anything; and what lies outside the image is clipped to its edge."""
    truth = np.array([[0, 0, 10, 10, 0, 0], [20, 0, 90, 90, 0, 1.0]])
    found = np.array([[0, 0, 0, 10, 0.9, 0], [30, 30, 30, 30, 0.8, 0], [9, 9, 1, 1, 0.7, 0], [0, 0, 10, 10, 0.6, 0]])
    assert agree([(truth, found)])[0, 0, 0] == pytest.approx(1 / 4)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.booleans())
def test_a_weight_is_how_often_an_image_is_there(seed: int, crowds: bool) -> None:
    images = draw(seed, 5, crowds=0.3 * crowds)
    weights = np.random.default_rng(seed).integers(0, 4, (5, 2)).astype(np.float64)
    ours = own(match(images), weights)
    for column, counts in enumerate(weights.T):
        repeated = [image for image, count in zip(images, counts) for _ in range(int(count))]
        if repeated:
            expected = precision_at_recalls(match(repeated), LABELS).mean(axis=1)
            np.testing.assert_allclose(ours[..., column], expected, rtol=0, atol=1e-9)
