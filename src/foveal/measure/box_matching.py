"""Which found box is which true one, as COCO decides it, once an image: every score of boxes rests on it.

True boxes are rows x0 y0 x1 y1 label crowd, found ones x0 y0 x1 y1 score label, by falling score; float64, in pixels of
the original image. Each question is asked for T overlaps (an IoU of 0.50, 0.55, … 0.95) and A ranges of area.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from foveal.answers.detections import CROWD, FOUND_LABEL, LABEL, MOST
from foveal.extras import extra

__all__ = ["ALL", "AREAS", "IOUS", "Judged", "judged", "xywh"]

IOUS = np.linspace(0.5, 0.95, 10)
ALL = {"all": (0.0, 1e10)}
AREAS: dict[str, tuple[float, float]] = {
    **ALL,
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
"""COCO's, in square pixels; both ends belong to a range."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One image.

    Args:
        truth: (m, 6).
        found: (D, 6), at most 100 of a label.
        overlap: (D, m) IoU, whatever the labels; with a crowd the share of the found box that lies in it.
        taken: (T, A, D) the row of `truth` that a found box takes; -1 where it takes none.
        ignored: (T, A, D) whether a found box counts neither as right nor as wrong.
        counted: (A, m) whether a true box counts.
    """

    truth: np.ndarray
    found: np.ndarray
    overlap: np.ndarray
    taken: np.ndarray
    ignored: np.ndarray
    counted: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """(T, A, D)"""
        return (self.taken >= 0) & ~self.ignored


def judged(truth: np.ndarray, found: np.ndarray, areas: Mapping[str, tuple[float, float]] = AREAS) -> Judged:
    """Match the boxes of an image.

    By falling score, a found box takes the true box of its label that it overlaps most, and enough, and that no
    stronger one has taken: one that counts if there is any, otherwise one that does not (a crowd, which many may take,
    or one out of the range of areas); of equal overlaps the last. It is ignored when it takes one that does not count,
    and when it takes none and is out of the range itself.

    Source: Lin et al., "Microsoft COCO", ECCV 2014; what the paper leaves open is as in pycocotools 2.0.
    """
    found = found[_rank_in_label(found) < MOST]
    crowd = truth[:, CROWD] > 0
    overlap = _overlap(found, truth, crowd)
    low, high = np.array(list(areas.values())).T[..., None]
    size, own_size = (np.prod(xywh(boxes)[:, 2:], axis=1) for boxes in (truth, found))
    counted = ~crowd & (size >= low) & (size <= high)
    taken = _taken(np.where(found[:, FOUND_LABEL, None] == truth[:, LABEL], overlap, -1.0), counted, crowd)
    lost = np.concatenate([~counted, np.zeros((len(areas), 1), bool)], axis=1)  # the last for those that take none
    beyond = (own_size < low) | (own_size > high)
    ignored = lost[np.arange(len(areas))[:, None], taken] | ((taken < 0) & beyond)
    return Judged(truth, found, overlap, taken, ignored, counted)


def xywh(boxes: np.ndarray) -> np.ndarray:
    """(D, ≥4) to (D, 4): left, top, width, height."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]], axis=1)


def _taken(rivals: np.ndarray, counted: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """(T, A, D) of overlaps (D, m), which are -1 where labels differ."""
    least = np.minimum(IOUS, 1 - 1e-10)[:, None, None]
    taken = np.full((len(IOUS), len(counted), len(rivals)), -1)
    free = np.ones((len(IOUS), *counted.shape), bool)
    for row in np.flatnonzero(rivals.max(axis=1, initial=-1.0) >= IOUS[0]):
        enough = (free | crowd) & (rivals[row] >= least)
        first = enough & counted
        choice = np.where(first.any(axis=2, keepdims=True), first, enough)
        best = len(crowd) - 1 - np.where(choice, rivals[row], -1.0)[..., ::-1].argmax(axis=2)
        overlaps, ranges = np.nonzero(enough.any(axis=2))
        best = best[overlaps, ranges]
        taken[overlaps, ranges, row] = best
        free[overlaps, ranges, best] = False
    return taken


def _overlap(found: np.ndarray, truth: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Not with `answers.detections.iou`: at an overlap of exactly 0.5 the last bit decides, and the scores themselves
    come from this library."""
    if not len(found) or not len(truth):
        return np.zeros((len(found), len(truth)))
    with extra("detection"):
        from faster_coco_eval.core import mask
    return np.asarray(mask.iou(xywh(found), xywh(truth), crowd.astype(int).tolist()))


def _rank_in_label(found: np.ndarray) -> np.ndarray:
    """(D,) how many stronger ones of its label a box has before it."""
    rank = np.zeros(len(found), np.int64)
    for label in np.unique(found[:, FOUND_LABEL]):
        mine = np.flatnonzero(found[:, FOUND_LABEL] == label)
        rank[mine] = np.arange(len(mine))
    return rank
