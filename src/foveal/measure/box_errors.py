"""What kinds of wrong boxes there are, and what each kind costs.

Source: Bolya, Foley, Hays and Hoffman, "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020,
arXiv 2008.08115, sections 2.2 and 2.3. Where several kinds fit a box, the first in the order of the authors' program.
"""

from collections.abc import Sequence

import numpy as np

from foveal.answers.detections import FOUND_LABEL, LABEL, SCORE, average_precision
from foveal.measure.box_matching import Judged
from foveal.measure.meanings import ERROR_KINDS
from foveal.measured import ErrorKind

__all__ = ["box_errors"]

FOREGROUND, BACKGROUND = 0.5, 0.1  # IoU
KINDS = ("misplaced", "wrong_class", "duplicate", "background", "misplaced_and_wrong_class")
NONE = -1


def box_errors(images: Sequence[Judged], shown: Sequence[np.ndarray], labels: int) -> dict[str, ErrorKind]:
    """Kind to how many boxes are wrong so among those that are shown, and what `ap50` would gain without that kind.

    Of the false boxes, by their IoU with true ones (crowds apart): `misplaced`, 0.1 to 0.5 with one of its label;
    `wrong_class`, 0.5 and more with one of another label; `duplicate`, 0.5 and more with one of its label that a
    stronger box has; `background`, 0.1 and less with any; otherwise `misplaced_and_wrong_class`. `missed` are the true
    boxes that no box found, and none that is misplaced or of a wrong class is about.

    The gain is of all boxes, whatever their scores. Without misplaced boxes: the strongest about a true box that nobody
    found is right, the others are gone; likewise those of a wrong class. Without missed ones: those do not count; a
    label that has no others is left out. Other kinds: the boxes are gone.

    Args:
        shown: (D,) of each image: which found boxes are at or above their label's threshold.
    """
    at_threshold = [_Sorted(image, seen) for image, seen in zip(images, shown)]
    every = [_Sorted(image, np.ones(len(image.found), bool)) for image in images]
    counts = {kind: sum(int((one.kind == k).sum()) for one in at_threshold) for k, kind in enumerate(KINDS)}
    counts["missed"] = sum(int(one.missed.sum()) for one in at_threshold)
    gains = _gains(images, every, labels)
    return {kind: ErrorKind(counts[kind], gains[kind]) for kind in ERROR_KINDS}


class _Sorted:
    """The wrong boxes of an image by kind.

    Args:
        image: its first overlap is 0.5, its first range of areas holds all.
        seen: (D,) bool: the other found boxes are not there.

    Attributes:
        kind: (D,) number in `KINDS`; `NONE` where a box is not false.
        mended: (D,) whether a box would be right if its kind were put right.
        label: (D,) that a box then has.
        missed: (m,) bool.
    """

    def __init__(self, image: Judged, seen: np.ndarray) -> None:
        single, right = image.counted[0], image.right[0, 0] & seen
        overlap = np.where(single, image.overlap, 0.0)
        same = image.found[:, FOUND_LABEL, None] == image.truth[:, LABEL]
        own, other = np.where(same, overlap, 0.0), np.where(same, 0.0, overlap)
        best_own, best_other = own.max(axis=1, initial=0.0), other.max(axis=1, initial=0.0)
        tests = (
            (best_own >= BACKGROUND) & (best_own < FOREGROUND),
            best_other >= FOREGROUND,
            best_own >= FOREGROUND,
            np.maximum(best_own, best_other) <= BACKGROUND,
        )
        false = seen & ~right & ~image.ignored[0, 0]
        self.kind = np.where(false, np.select(tests, range(len(tests)), len(tests)), NONE)
        found, about = np.zeros(len(single), bool), np.zeros(len(single), bool)
        found[image.taken[0, 0][right]] = True
        self.mended, self.label = np.zeros(len(seen), bool), image.found[:, FOUND_LABEL].astype(np.int64)
        for number, overlaps in enumerate((own, other)):
            rows = np.flatnonzero(self.kind == number)
            if not len(rows):
                continue
            targets, strongest = np.unique(overlaps[rows].argmax(axis=1), return_index=True)
            about[targets] = True
            open_to = ~found[targets]
            self.mended[rows[strongest[open_to]]] = True
            self.label[rows[strongest[open_to]]] = image.truth[targets[open_to], LABEL]
        self.missed = single & ~found & ~about


def _gains(images: Sequence[Judged], every: Sequence[_Sorted], labels: int) -> dict[str, float]:
    scores, label = np.concatenate([image.found[:, [SCORE, FOUND_LABEL]] for image in images]).T
    right, ignored = (np.concatenate(part) for part in zip(*((i.right[0, 0], i.ignored[0, 0]) for i in images)))
    kind, mended, mended_label = (
        np.concatenate(part) for part in zip(*((one.kind, one.mended, one.label) for one in every))
    )
    single = [image.truth[image.counted[0], LABEL] for image in images]
    missed = [image.truth[one.missed, LABEL] for image, one in zip(images, every)]
    true, true_missed = (np.bincount(np.concatenate(p).astype(np.int64), minlength=labels) for p in (single, missed))

    def ap50(kept: np.ndarray, right: np.ndarray, label: np.ndarray, true: np.ndarray) -> float:
        rows = [kept & (label == k) for k in range(labels)]
        found = [average_precision(scores[row], right[row], int(n)) for row, n in zip(rows, true) if n]
        return float(np.mean(found)) if found else 1.0

    before = ap50(~ignored, right, label, true)
    gains = {"missed": ap50(~ignored, right, label, true - true_missed) - before}
    for number, name in enumerate(KINDS):
        mine = kind == number
        kept, now_right = ~ignored & (~mine | mended), right | (mine & mended)
        gains[name] = ap50(kept, now_right, np.where(mine & mended, mended_label, label), true) - before
    return {name: max(0.0, gain) for name, gain in gains.items()}
