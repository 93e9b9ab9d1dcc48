"""Which boxes look wrong, from what detectors find on images that they did not learn from.

What speaks for a missing, a wrongly labelled and a misplaced box is as in ObjectLab (Tkachenko, Thyagarajan, Mueller,
"ObjectLab: Automated Diagnosis of Mislabeled Images in Object Detection Data", arXiv 2309.00832): a confident detection
without a box, one of another label, one that overlaps badly. Here it is measured in one unit, so that the kinds can be
ranked together: how often a detection of that label and score has a box, out of fold. Boxes on each other, and those
that no detection confirms, are added; a suspect is a box, not an image.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foveal.answers.detections import CROWD, FOUND_LABEL, LABEL, SCORE, detections, iou, real, unwarped
from foveal.measure.box_matching import ALL, Judged, judged
from foveal.measure.intervals import SHARE, interval, resampled, wilson
from foveal.measure.suspects import SUSPECT
from foveal.measured import Score
from foveal.suspicion import Suspected
from foveal.types import Dataset, Entry, Finding, Geometry

__all__ = ["DOUBLED", "MISPLACED", "MISSING", "BoxSuspect", "box_suspects", "kept_boxes", "sureness", "suspected_boxes"]

MISSING, DOUBLED, MISPLACED = "missing-box-suspect", "doubled-box-suspect", "misplaced-box-suspect"
REMEDIES = {
    MISSING: "Look at the place. Add a box where the thing is there; where it is none, leave the annotation as it is.",
    DOUBLED: "Look at both boxes. Remove one where they mean the same thing; two things may well lie so close.",
    MISPLACED: "Look at the box. Draw it anew where it lies badly, remove it where nothing is; leave it where it fits.",
    SUSPECT: "Look at the box. Where its label is wrong, correct it; where it is right, leave it.",
}
COVERED = 0.8  # IoU of two boxes from which on one may be the other's double
FOUND, BESIDE = 0.5, 0.1  # IoU from which on a detection is where a box is, and beside it
APART = 0.3  # IoU of two detections from which on they are of one thing
LEAST = 0.3  # score
DECIMALS = 1  # of a pixel


@dataclass(frozen=True, slots=True)
class BoxSuspect:
    """One box that looks wrong, or that is not there.

    Args:
        kind: of the finding.
        row: of the image.
        box: number of the box among those of the image; None where it is missing.
        score: 0 to 1, how much speaks against the annotation.
        support: 0 to 1, how often a detection like the one that is where the box is has a box; 0 where there is none.
        label: that something was found as; of a double that of the other box; None where nothing was found.
        xyxy: where; None where nothing was found.
        overlap: IoU with the box; of a missing one with the nearest box.
        other: number of the box that this one doubles.
    """

    kind: str
    row: int
    box: int | None
    score: float
    support: float
    label: int | None = None
    xyxy: tuple[float, ...] | None = None
    overlap: float = 0.0
    other: int | None = None


def suspected_boxes(kept: Sequence[np.ndarray], dataset: Dataset, seed: int) -> Suspected:
    """What looks wrong of a dataset's boxes.

    The facts of a finding: `score`, 0 to 1; `given` and `suggested` labels, null where there is no box or none is
    suggested; `xyxy`, the box in pixels of the image, or where one is missing; `suggested_xyxy`, where something was
    found instead; `box`, its number among those of the image that are used, from 1; `at`, its place in the annotations,
    where that is known, otherwise the annotation's.
    """
    truth = [real(target).astype(np.float64) for target in dataset.targets]
    suspects, score = box_suspects(kept, truth, len(dataset.labels), seed)
    entries = {entry.file: entry for entry in dataset.source.entries()}
    findings = []
    for suspect in suspects:
        file, boxes = dataset.files[suspect.row], truth[suspect.row]
        at = _place(entries[file], suspect.box, len(boxes)) if file in entries else ""
        findings.append(_finding(suspect, file, boxes, dataset.labels, at))
    counted = sum(int((boxes[:, CROWD] == 0).sum()) for boxes in truth)
    return Suspected(tuple(findings), counted, None, "recall", score)


def _place(entry: Entry, box: int | None, boxes: int) -> str:
    """Of a box in the annotations, or of the image where the box is missing, or has no place that is known."""
    return str(entry.spots[box]) if box is not None and len(entry.spots) == boxes else entry.where


def _finding(suspect: BoxSuspect, file: str, boxes: np.ndarray, labels: Sequence[str], at: str) -> Finding:
    seen = None if suspect.label is None else labels[suspect.label]
    facts: dict[str, Any] = {"score": round(suspect.score, 4), "given": None, "suggested": seen}
    if suspect.box is None:
        facts |= {"xyxy": suspect.xyxy and list(suspect.xyxy)}
    else:
        box = boxes[suspect.box]
        corners = [round(float(value), DECIMALS) for value in box[:4]]
        facts |= {"given": labels[int(box[LABEL])], "xyxy": corners, "box": suspect.box + 1}
        facts["suggested_xyxy"] = suspect.xyxy and list(suspect.xyxy)
    message = _message(suspect, facts)
    return Finding(suspect.kind, (file,), message, REMEDIES[suspect.kind], {**facts, **({"at": at} if at else {})})


def _message(suspect: BoxSuspect, facts: dict[str, Any]) -> str:
    given, seen = facts["given"], facts["suggested"]
    if suspect.box is None:
        return f"{seen} was found here, and has no box; of detections this sure {suspect.support:.0%} have one"
    box = f"box {suspect.box + 1} ({given})"
    if suspect.other is not None:
        other = f"box {suspect.other + 1} ({seen})"
        return f"{box} covers {other}, IoU {suspect.overlap:.2f}, and is confirmed no better than that"
    confirmed = f"confirmed to {suspect.support:.0%}"
    if seen is None:
        return f"{box} is {confirmed}, and nothing was found beside it"
    if suspect.kind == SUSPECT:
        return f"{box} looks like {seen} (IoU {suspect.overlap:.2f}), and is {confirmed} as {given}"
    return f"{box} is {confirmed}; {seen} was found beside it, where no box is (IoU {suspect.overlap:.2f})"


def kept_boxes(outputs: np.ndarray, geometries: Sequence[Geometry]) -> list[np.ndarray]:
    """Raw outputs (B, A, 4 + K) to the found boxes of each image, (D, 6), in its own pixels."""
    return [unwarped(detections(output), geometry) for output, geometry in zip(outputs, geometries)]


def sureness(scores: np.ndarray, right: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """How often what scores so is right: a rising function of the score, between 0 and 1.

    Isotonic regression (the shares of neighbours that are not in order are put together), then straight lines between
    the means of the parts. One is added to the number in each part, so that a few that happen to be right, as those of
    a rare label, do not count as certain.

    Args:
        scores: (D,).
        right: (D,) bool.
    """
    order = np.lexsort((~right, scores))  # of equal scores the right ones first: they end in one part
    parts: list[list[float]] = []  # number, right ones, sum of scores
    for score, hit in zip(scores[order].tolist(), right[order].tolist()):
        parts.append([1.0, float(hit), score])
        while len(parts) > 1 and parts[-2][1] * parts[-1][0] >= parts[-1][1] * parts[-2][0]:
            last = parts.pop()
            parts[-1] = [one + more for one, more in zip(parts[-1], last)]
    if not parts:
        return np.zeros_like
    number, hits, sums = np.array(parts).T
    middle, share = sums / number, np.maximum.accumulate(hits / (number + 1))
    return lambda wanted: np.interp(wanted, middle, share)


def box_suspects(
    found: Sequence[np.ndarray], truth: Sequence[np.ndarray], labels: int, seed: int = 0
) -> tuple[tuple[BoxSuspect, ...], Score]:
    """The suspects, the worst first, and the share of the boxes that are found: whose support is 0.5 or more.

    What counts is p, how often a detection of that label and score has a box (`sureness`). The p of the detection that
    takes a box is the box's support. Against a box speaks, times 1 less the support, whichever of these is the first:

    - doubled: the IoU with another box, from 0.8 on; of the two the less supported one is named;
    - wrong label: the p of a detection of another label in its place that has no box;
    - misplaced: the p of a detection of its label beside it, at an IoU of 0.1 to 0.5, that has no box, times 1 less the
      IoU;
    - nothing there (of the kind misplaced): the mean support of the boxes of its label: that they are usually found.

    To wrong labels and misplaced boxes the last is added as if it were independent: 1 less the product of what each
    leaves to 1. Detections that are left, and have no box, speak for a missing one: p times 1 less the IoU with the
    nearest box. Suspects have a score of at least 0.3.

    Args:
        found: (D, 6) of each image, out of fold.
        truth: (m, 6) of each image; those that are not to be counted are no suspects.
    """
    images = [judged(boxes, some, ALL) for boxes, some in zip(truth, found)]
    sure = _sure(images, labels)
    supports = [_support(image, p) for image, p in zip(images, sure)]
    usual = _usual(images, supports, labels)
    suspects = [
        suspect
        for row, (image, p, support) in enumerate(zip(images, sure, supports))
        for suspect in _of_image(row, image, p, support, usual)
    ]
    suspects.sort(key=lambda one: -one.score)
    return tuple(suspects), _found(images, supports, seed)


def _sure(images: Sequence[Judged], labels: int) -> list[np.ndarray]:
    """(D,) of each image: how often such a detection has a box."""
    sizes = np.cumsum([len(image.found) for image in images])[:-1]
    every = np.concatenate([image.found for image in images])
    taken = np.concatenate([image.taken[0, 0] >= 0 for image in images])
    counted = ~np.concatenate([image.ignored[0, 0] for image in images])
    sure = np.zeros(len(every))
    for label in range(labels):
        mine = every[:, FOUND_LABEL] == label
        known = mine & counted
        sure[mine] = sureness(every[known, SCORE], taken[known])(every[mine, SCORE])
    return np.split(sure, sizes)


def _support(image: Judged, sure: np.ndarray) -> np.ndarray:
    """(m,) how sure the detection is that takes each box; 0 where none does."""
    support, taken = np.zeros(len(image.truth)), image.taken[0, 0]
    support[taken[taken >= 0]] = sure[taken >= 0]
    return support


def _usual(images: Sequence[Judged], supports: Sequence[np.ndarray], labels: int) -> np.ndarray:
    """(K,) the mean support of the boxes of each label."""
    single = np.concatenate([image.counted[0] for image in images])
    label = np.concatenate([image.truth[:, LABEL] for image in images]).astype(np.int64)[single]
    sums = np.bincount(label, np.concatenate(supports)[single], labels)
    return sums / np.maximum(1, np.bincount(label, minlength=labels))


def _of_image(
    row: int, image: Judged, sure: np.ndarray, support: np.ndarray, usual: np.ndarray
) -> Iterator[BoxSuspect]:
    truth, single = image.truth, image.counted[0]
    free = (image.taken[0, 0] < 0) & ~image.ignored[0, 0]
    overlap = np.where(single, image.overlap, 0.0)
    doubles = _doubles(truth, single, support)
    questioned = 1 - support
    questioned[list(doubles)] = 0.0
    explained = _explained(image, np.where(free, sure, 0.0), overlap, questioned)
    for box in np.flatnonzero(single).tolist():
        evidence = base = float(usual[int(truth[box, LABEL])])
        suspect = BoxSuspect(MISPLACED, row, box, 0.0, float(support[box]))
        if box in doubles:
            other, evidence = doubles[box]
            suspect = replace(suspect, kind=DOUBLED, other=other, **_told(truth[other], LABEL, evidence))
        elif box in explained:
            kind, one, strength = explained[box]
            evidence, free[one] = 1 - (1 - base) * (1 - strength), False
            suspect = replace(suspect, kind=kind, **_told(image.found[one], FOUND_LABEL, float(overlap[one, box])))
        if (score := evidence * (1 - suspect.support)) >= LEAST:
            yield replace(suspect, score=score)
    nearest = overlap.max(axis=1, initial=0.0)
    score = np.where(free, sure * (1 - nearest), 0.0)
    for one in _apart(image.found, score):
        told = _told(image.found[one], FOUND_LABEL, float(nearest[one]))
        yield BoxSuspect(MISSING, row, None, float(score[one]), float(sure[one]), **told)


def _apart(found: np.ndarray, score: np.ndarray) -> list[int]:
    """Those of enough score, the highest first, that no higher one overlaps: several detections of one thing."""
    kept: list[int] = []
    for one in np.argsort(-score, kind="stable")[: np.count_nonzero(score >= LEAST)].tolist():
        if not kept or iou(found[[one]], found[kept]).max() < APART:
            kept.append(one)
    return kept


def _told(box: np.ndarray, column: int, overlap: float) -> dict[str, Any]:
    corners = tuple(round(float(value), DECIMALS) for value in box[:4])
    return {"label": int(box[column]), "xyxy": corners, "overlap": overlap}


def _explained(
    image: Judged, sure: np.ndarray, overlap: np.ndarray, questioned: np.ndarray
) -> dict[int, tuple[str, int, float]]:
    """Of boxes that a detection contradicts: the kind, the detection, and how telling it is; the most telling first,
    each detection of one box.

    Args:
        sure: (D,) 0 for those that have a box.
        overlap: (D, m)
        questioned: (m,) 1 less the support; 0 for boxes that are not in question.
    """
    same = image.found[:, FOUND_LABEL, None] == image.truth[:, LABEL]
    tables = {
        SUSPECT: np.where(~same & (overlap >= FOUND), sure[:, None], 0.0),
        MISPLACED: np.where(same & (overlap >= BESIDE) & (overlap < FOUND), sure[:, None] * (1 - overlap), 0.0),
    }
    explained: dict[int, tuple[str, int, float]] = {}
    used: set[int] = set()
    for kind, table in tables.items():
        telling = table * questioned
        pairs = np.argwhere(telling >= LEAST)
        for one, box in pairs[np.argsort(-telling[tuple(pairs.T)], kind="stable")].tolist():
            if one not in used and box not in explained:
                used.add(one)
                explained[box] = kind, one, float(table[one, box])
    return explained


def _doubles(truth: np.ndarray, single: np.ndarray, support: np.ndarray) -> dict[int, tuple[int, float]]:
    """Of each two boxes that cover each other the less supported one, of equal ones the later, with the other and their
    IoU."""
    shared = np.triu(np.where(single[:, None] & single, iou(truth, truth), 0.0), 1)
    doubles: dict[int, tuple[int, float]] = {}
    for first, second in np.argwhere(shared >= COVERED).tolist():
        weaker, other = (first, second) if support[first] < support[second] else (second, first)
        if weaker not in doubles or doubles[weaker][1] < shared[first, second]:
            doubles[weaker] = other, float(shared[first, second])
    return doubles


def _found(images: Sequence[Judged], supports: Sequence[np.ndarray], seed: int) -> Score:
    """The share of the boxes that are found, with a bootstrap interval over images."""
    found = np.array([(image.counted[0] & (s >= FOUND)).sum() for image, s in zip(images, supports)], np.float64)
    there = np.array([image.counted[0].sum() for image in images], np.float64)
    value, drawn = float(found.sum() / there.sum()), []
    for weights in resampled(len(images), seed):
        with np.errstate(invalid="ignore"):
            drawn.append((found @ weights) / (there @ weights))
    together = np.concatenate(drawn)
    if np.nanstd(together) < 1e-9:  # all or nothing: the bootstrap would have no width
        few = int((there > 0).sum())
        return replace(wilson(value * few, few), n=len(images))
    return interval(value, together, len(images), SHARE)
