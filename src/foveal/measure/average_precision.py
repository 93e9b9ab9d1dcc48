"""COCO's average precision: of all images by its own library, and of resampled ones by the same protocol, quickly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foveal.answers.detections import CROWD, FOUND_LABEL, LABEL, SCORE
from foveal.extras import extra
from foveal.measure.box_matching import AREAS, Judged, xywh

__all__ = ["RECALLS", "Ranked", "precision_at_recalls", "ranked"]

RECALLS = np.linspace(0, 1, 101)
CHUNK = 400_000  # weights summed at once: 3 MB stay in the caches; 16 MB took three times as long
ROUNDING = 1e-9


def precision_at_recalls(images: Sequence[Judged], labels: int) -> np.ndarray:
    """(T, 101, K, A): the best precision at each of the recalls 0, 0.01, … 1, or any higher one, with at most 100 boxes
    of a label an image. NaN for a label that has no true box in a range of areas. Its mean over the first two axes is
    COCO's average precision of a label.
    """
    with extra("detection"):
        from faster_coco_eval.core.coco import COCO
        from faster_coco_eval.core.faster_eval_api import COCOeval_faster

    truth, found = COCO(), []
    annotations = []
    for number, image in enumerate(images, start=1):
        for box, row in zip(xywh(image.truth).tolist(), image.truth):
            told = {"image_id": number, "category_id": int(row[LABEL]) + 1, "bbox": box, "area": box[2] * box[3]}
            annotations.append({**told, "iscrowd": int(row[CROWD]), "id": len(annotations) + 1})
        for box, row in zip(xywh(image.found).tolist(), image.found):
            told = {"image_id": number, "category_id": int(row[FOUND_LABEL]) + 1, "bbox": box}
            found.append({**told, "score": float(row[SCORE])})
    truth.dataset = {
        "images": [{"id": number} for number in range(1, len(images) + 1)],
        "categories": [{"id": k + 1, "name": str(k)} for k in range(labels)],
        "annotations": annotations,
    }
    truth.createIndex()
    ranges = {name: list(area) for name, area in AREAS.items() if name != "all"}
    evaluation = COCOeval_faster(truth, truth.loadRes(found), "bbox", ranges=ranges)
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"])[..., -1]
    return np.where(precision > -1, precision, np.nan)


@dataclass(frozen=True, eq=False)
class Ranked:
    """The D found boxes of one label in all images, by falling score, laid out to be scored again for every resample.

    Args:
        image: (D,) the number of its image.
        right: (T, A, D).
        ignored: (T, A, D).
        true: (A, N) how many true boxes count in each image.
    """

    image: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    true: np.ndarray

    def under(self, weights: np.ndarray) -> np.ndarray:
        """(T, A, R) average precision where image i counts weights[i, r] times; NaN where there is no true box.

        Args:
            weights: (N, R) whole numbers, float64.
        """
        step = max(1, CHUNK // max(1, len(self.image)))
        starts = range(0, weights.shape[1], step)
        return np.concatenate([self._part(weights[:, start : start + step]) for start in starts], axis=2)

    def _part(self, weights: np.ndarray) -> np.ndarray:
        drawn, true = weights[self.image], self.true @ weights
        every = np.cumsum(drawn, axis=0)
        found = np.zeros((*self.right.shape[:2], weights.shape[1]))
        for overlap, area in zip(*np.nonzero(self.right.any(axis=2))):
            places = np.flatnonzero(self.right[overlap, area])
            kept = np.flatnonzero(~self.ignored[overlap, area])
            seen = every[places] if len(kept) == len(drawn) else _summed(drawn[kept], np.searchsorted(kept, places))
            found[overlap, area] = _area(np.cumsum(drawn[places], axis=0), seen, true[area])
        return np.where(true > 0, found, np.nan)


def ranked(images: Sequence[Judged], labels: int) -> list[Ranked]:
    """One a label; of equal scores the box of the earlier image comes first."""
    number = np.repeat(np.arange(len(images)), [len(image.found) for image in images])
    found = np.concatenate([image.found for image in images])
    right, ignored = (np.concatenate(part, axis=2) for part in zip(*((i.right, i.ignored) for i in images)))
    true = np.stack([_true(image, labels) for image in images], axis=2)  # (K, A, N)
    rows = []
    for k in range(labels):
        mine = np.flatnonzero(found[:, FOUND_LABEL] == k)
        mine = mine[np.argsort(-found[mine, SCORE], kind="stable")]
        rows.append(Ranked(number[mine], right[..., mine], ignored[..., mine], true[k]))
    return rows


def _true(image: Judged, labels: int) -> np.ndarray:
    """(K, A) true boxes that count."""
    return np.stack([image.counted[:, image.truth[:, LABEL] == k].sum(axis=1) for k in range(labels)])


def _summed(drawn: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(D, R) to (P, R): the sum of the rows up to each of the places, which rise."""
    starts = np.concatenate([[0], places[:-1] + 1])
    return np.cumsum(np.add.reduceat(drawn[: places[-1] + 1], starts, axis=0), axis=0)


def _area(hits: np.ndarray, seen: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(R,) the mean of the precision at the 101 recalls; 0 where nothing is true.

    Args:
        hits, seen: (P, R) boxes that are right, and those that count, up to each that is right.
        true: (R,).
    """
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    recall = np.divide(hits, true, out=np.zeros_like(hits), where=true > 0)
    reached = np.minimum(recall * 100 + ROUNDING, 100).astype(np.int64)
    reached += RECALLS[reached] <= recall  # how many of the 101: decided as by comparing floats, as COCO does
    return np.einsum("pr,pr->r", best, np.diff(reached, axis=0, prepend=0)) / len(RECALLS)
