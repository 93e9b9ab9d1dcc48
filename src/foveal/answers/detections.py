"""Boxes as arrays: overlap, what of a network's many boxes is kept, and which of those are right. numpy only.

Rows are x0 y0 x1 y1 and more; found boxes are x0 y0 x1 y1 score label, true ones x0 y0 x1 y1 label crowd. Coordinates
are continuous pixels: (0, 0) is the upper left corner of the first pixel.
"""

import numpy as np

from foveal.types import Geometry

__all__ = [
    "CROWD",
    "FOUND_LABEL",
    "LABEL",
    "MOST",
    "SCORE",
    "average_precision",
    "candidates",
    "detections",
    "iou",
    "match",
    "moved",
    "real",
    "unwarped",
]

LABEL, CROWD = 4, 5  # columns of true boxes
SCORE, FOUND_LABEL = 4, 5  # columns of found boxes
LEAST = 0.001  # score; what is less counts for nothing in average precision
CANDIDATES = 500  # of the highest scores, before overlaps are taken out
OVERLAP = 0.6  # IoU above which the weaker of two boxes of a label is taken out
MOST = 100  # boxes an image, COCO's limit
RIGHT = 0.5  # IoU from which on a box is found
FARTHEST = 1e6  # pixels; a network that went astray must not overflow areas


def real(target: np.ndarray) -> np.ndarray:
    """(M, 6) to the rows that are boxes, (m, 6): the others are NaN."""
    return target[~np.isnan(target[:, 0])]


def iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(m, ≥4) and (n, ≥4) to (m, n): intersection over union, 0 where a box has no area."""
    shared = _shared(one, other)
    first, second = (np.prod(np.clip(boxes[:, 2:4] - boxes[:, :2], 0, None), axis=1) for boxes in (one, other))
    union = first[:, None] + second[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def detections(outputs: np.ndarray, least: float = LEAST) -> np.ndarray:
    """`candidates` without their numbers."""
    return candidates(outputs, least)[0]


def candidates(outputs: np.ndarray, least: float = LEAST) -> tuple[np.ndarray, np.ndarray]:
    """What a network says of one image, raw (A, 4 + K), to its found boxes (D, 6) float64, by falling score, and (D,)
    which of the A each is.

    A location may give a box for several labels. Boxes of a label that overlap a stronger one by more than an IoU of
    0.6 are taken out (greedy non-maximum suppression); at most 100 are left.

    Args:
        least: score below which nothing is a box.
    """
    labels = outputs.shape[1] - 4
    logits = outputs[:, 4:].astype(np.float64).ravel()
    best = np.flatnonzero(logits >= np.log(least) - np.log1p(-least))
    best = best[np.argsort(-logits[best], kind="stable")[:CANDIDATES]]
    place, label = best // labels, best % labels
    boxes = np.clip(np.nan_to_num(outputs[place, :4].astype(np.float64)), -FARTHEST, FARTHEST)
    scores = np.exp(-np.logaddexp(0, -logits[best]))
    kept = np.flatnonzero(_unsuppressed(boxes, label))[:MOST]
    return np.concatenate([boxes[kept], scores[kept, None], label[kept, None]], axis=1), place[kept]


def _unsuppressed(boxes: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(D,) whether each box, by falling score, is overlapped by no stronger one of its label that stays."""
    rivals = np.triu((iou(boxes, boxes) > OVERLAP) & (label[:, None] == label), 1)
    stays = np.ones(len(boxes), bool)
    for row in np.flatnonzero(rivals.any(axis=1)):
        if stays[row]:
            stays &= ~rivals[row]
    return stays


def match(found: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which found boxes are right, and which are not to be counted: two (D,) of bool.

    As PASCAL VOC and COCO do it: by falling score, each takes the true box of its label that it overlaps most and that
    is not taken, from an IoU of 0.5 on; what only lies in a crowd (a share of it in there of 0.5) is not counted.

    Args:
        found: (D, 6) by falling score.
        truth: (m, 6).
    """
    right, ignored = np.zeros(len(found), bool), np.zeros(len(found), bool)
    crowd = truth[:, CROWD] > 0
    single, crowds = truth[~crowd], truth[crowd]
    overlap = np.where(found[:, FOUND_LABEL, None] == single[None, :, LABEL], iou(found, single), 0.0)
    inside = np.where(found[:, FOUND_LABEL, None] == crowds[None, :, LABEL], _share_inside(found, crowds), 0.0)
    for row in range(len(found)):
        best = int(overlap[row].argmax()) if len(single) else -1
        if best >= 0 and overlap[row, best] >= RIGHT:
            right[row] = True
            overlap[:, best] = 0.0
        elif len(crowds):
            ignored[row] = inside[row].max() >= RIGHT
    return right, ignored


def _share_inside(found: np.ndarray, crowds: np.ndarray) -> np.ndarray:
    """(D, m): how much of each found box lies in each crowd."""
    shared = _shared(found, crowds)
    area = np.prod(np.clip(found[:, 2:4] - found[:, :2], 0, None), axis=1)[:, None]
    return np.divide(shared, area, out=np.zeros_like(shared), where=area > 0)


def _shared(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(m, n) the area that two boxes have in common; an axis at a time, which numpy does in a quarter of the time."""
    sides = [
        np.minimum(one[:, None, axis + 2], other[None, :, axis + 2])
        - np.maximum(one[:, None, axis], other[None, :, axis])
        for axis in (0, 1)
    ]
    return np.clip(sides[0], 0, None) * np.clip(sides[1], 0, None)


def average_precision(scores: np.ndarray, right: np.ndarray, true: int) -> float:
    """The mean of the best precision at recalls of 0, 0.01, … 1 (COCO's), of one label over all images.

    Args:
        scores: (D,).
        right: (D,) bool.
        true: boxes there are, at least 1.
    """
    hits = right[np.argsort(-scores, kind="stable")].cumsum()
    if not len(hits):
        return 0.0
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    at = np.searchsorted(hits / true, np.linspace(0, 1, 101), side="left")
    return float(np.append(precision, 0.0)[np.minimum(at, len(hits))].mean())


def moved(boxes: np.ndarray, geometry: Geometry, height: float, width: float) -> np.ndarray:
    """Boxes of the original image as they stand in a frame; (M, ≥4), clipped to it. NaN rows where a box's centre lies
    outside.

    Args:
        geometry: from the image to the frame; a negative scale mirrors.
    """
    scale = np.array([geometry.scale_x, geometry.scale_y] * 2)
    offset = np.array([geometry.offset_x, geometry.offset_y] * 2)
    here = boxes.copy()
    corners = boxes[:, :4] * scale + offset
    low, high = np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])
    frame = np.array([width, height])
    centre = (low + high) / 2
    inside = ((centre >= 0) & (centre < frame)).all(axis=1)
    here[:, :2], here[:, 2:4] = np.clip(low, 0, frame), np.clip(high, 0, frame)
    here[~inside] = np.nan
    return here


def unwarped(boxes: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Boxes (D, ≥4) of the network's input as they stand in the original image, clipped to it."""
    scale = np.array([geometry.scale_x, geometry.scale_y] * 2)
    offset = np.array([geometry.offset_x, geometry.offset_y] * 2)
    there = boxes.copy()
    frame = [geometry.width, geometry.height] * 2
    there[:, :4] = np.clip((boxes[:, :4] - offset) / scale, 0, frame)
    return there
