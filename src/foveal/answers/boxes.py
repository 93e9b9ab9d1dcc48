"""Where things are: boxes with a label, and how sure each is."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal.answers.columns import quoted
from foveal.answers.deciding import NO_WISH, aimed, refused, silence, unsure
from foveal.answers.detections import (
    CROWD,
    FOUND_LABEL,
    LABEL,
    SCORE,
    average_precision,
    candidates,
    detections,
    match,
    moved,
    real,
    unwarped,
)
from foveal.answers.label import NAMED, natural
from foveal.chosen import Chosen, number_of
from foveal.task import Link
from foveal.types import Geometry
from foveal.wishes import Wish

__all__ = ["COLUMN", "THRESHOLD", "Box", "Boxes", "BoxesPrediction", "box_thresholds", "parsed_cell"]

COLUMN = "boxes"
THRESHOLD = 0.5
SIDES = ("left", "top", "right", "bottom")
FEWEST = 5  # true boxes of a label that a threshold can be found from
FORM = "an array of [label, x0, y0, x1, y1], with a 1 after it for one that is not to be counted"


@dataclass(frozen=True, slots=True)
class Box:
    """One found thing.

    Args:
        score: 0 to 1.
        xyxy: left, top, right, bottom, in pixels of the given image; (0, 0) is the upper left corner of the first one.
    """

    label: str
    score: float
    xyxy: tuple[float, float, float, float]

    def as_dict(self) -> dict[str, Any]:
        return {"label": self.label, "score": self.score, "xyxy": list(self.xyxy)}


@dataclass(frozen=True, slots=True)
class BoxesPrediction:
    """The boxes at or above the operating point of their label, the surest first.

    Args:
        abstained, reason: as of `LabelPrediction`.
    """

    boxes: tuple[Box, ...]
    abstained: bool | None = None
    reason: str = ""

    @property
    def said(self) -> tuple[str, ...]:
        return tuple(sorted(box.label for box in self.boxes))

    def as_dict(self) -> dict[str, Any]:
        return {"boxes": [box.as_dict() for box in self.boxes], **silence(self.abstained, self.reason)}

    def rows(self) -> list[dict[str, str | float]]:
        """A box each, with its number, as `explain --box` takes it."""
        return [
            {"box": number, "label": box.label, "score": box.score, **dict(zip(SIDES, box.xyxy))}
            for number, box in enumerate(self.boxes, 1)
        ]

    def __str__(self) -> str:
        counts: dict[str, int] = {}
        for box in self.boxes:
            counts[box.label] = counts.get(box.label, 0) + 1
        return "  ".join(f"{count:,} {label}" for label, count in counts.items()) or "(none)"


class Boxes:
    """The `boxes` answer: the head gives many boxes with a logit a label; few of them are kept (`detections`)."""

    larger_is_better = True
    placed = True
    exclusive = False
    every_step = False
    link: Link = "sigmoid"

    def suits(self, cells: Sequence[str], columns: Sequence[str]) -> bool:
        """A source of boxes says so."""
        return tuple(columns) == (COLUMN,)

    def labels(self, cells: Sequence[str], columns: Sequence[str] = ()) -> tuple[str, ...]:
        """The names in the cells, in natural order; cells that cannot be read have none."""
        names: set[str] = set()
        for cell in set(cells):
            try:
                names.update(box[0] for box in parsed_cell(cell))
            except ValueError:
                continue
        return tuple(sorted(names, key=natural))

    def outputs(self, labels: Sequence[str]) -> int:
        """Logits a location; its box comes before them."""
        return len(labels)

    def parse(self, cell: str, labels: Sequence[str]) -> np.ndarray:
        """(m, 6) float32: x0 y0 x1 y1, number of the label, 1 where it is not to be counted.

        Raises:
            ValueError: the cell is no array of boxes, or a label is none of `labels`.
        """
        number = {label: k for k, label in enumerate(labels)}
        rows = []
        for label, *corners, crowd in parsed_cell(cell):
            if label not in number:
                more = ", …" if len(labels) > NAMED else ""
                raise ValueError(f"expected a label ({', '.join(labels[:NAMED])}{more}), found {quoted(label)}")
            rows.append([*corners, number[label], crowd])
        return np.array(rows, np.float32).reshape(-1, 6)

    def stack(self, parsed: Sequence[np.ndarray]) -> np.ndarray:
        """(N, M, 6) float32, M the most boxes that any has and at least 1; rows of NaN fill it up."""
        most = max((len(target) for target in parsed), default=0)
        stacked = np.full((len(parsed), max(1, most), 6), np.nan, np.float32)
        for row, target in zip(stacked, parsed):
            row[: len(target)] = target
        return stacked

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """The label that the fewest images have, of those in an image; one more than the last where it has no box."""
        there = self._there(targets)
        if not there.shape[1]:
            return np.zeros(len(targets), np.int64)
        images = np.where(there, there.sum(axis=0), len(targets) + 1)
        return np.where(there.any(axis=1), images.argmin(axis=1), there.shape[1]).astype(np.int64)

    def within(self, targets: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
        """All images, and of each the boxes of these labels."""
        return np.ones(len(targets), bool), np.where(targets[..., LABEL, None] < labels, targets, np.float32(np.nan))

    def summary(self, targets: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
        """`labels`: name to the number of images that have it; `boxes`: name to the number of boxes; `empty`: images
        without any."""
        there = self._there(targets, len(labels))
        every = targets[..., LABEL][~np.isnan(targets[..., LABEL])].astype(np.int64)
        counts = there.sum(axis=0), np.bincount(every, minlength=len(labels))
        told = {kind: dict(zip(labels, count.tolist())) for kind, count in zip(("labels", "boxes"), counts)}
        return {**told, "empty": int((~there.any(axis=1)).sum())}

    def told(self, target: np.ndarray, labels: Sequence[str]) -> str:
        """How many boxes there are of each label."""
        numbers = np.bincount(real(target)[:, LABEL].astype(np.int64), minlength=len(labels))
        return ", ".join(f"{count} {name}" for name, count in zip(labels, numbers.tolist()) if count) or "no box"

    def check(self, wish: Wish, labels: Sequence[str]) -> None:
        """An operating point a label, of its boxes at an IoU of 0.5.

        Raises:
            ValueError: it does not say whose it is, asks for a specificity (there is no number of boxes that are not
                there), images are to be left without an answer, or mistakes have costs.
        """
        silent = "an image has any number of boxes: it is those that are left out where the network is not sure of them"
        costs = (
            "an image has any number of boxes, found, missed and false: --at LABEL:sensitivity=0.9 decides between them"
        )
        refused(wish, labels, silence=silent, quantities=("sensitivity", "precision"), costs=costs)
        for aim in wish.at:
            if aim.label is None and len(labels) > 1:
                raise ValueError(f"expected LABEL:{aim} where there are {len(labels)} labels, found {aim}")

    def settle(
        self, outputs: np.ndarray, targets: np.ndarray, labels: Sequence[str], wish: Wish = NO_WISH
    ) -> dict[str, Any]:
        """`thresholds`: name to the score from which on a box is shown, where F1 at an IoU of 0.5 on validation is
        largest; 0.5 where that has fewer than five boxes of the label. `at`: the operating points that are wished,
        which take their place.

        Args:
            outputs: (N, A, 4 + K).
            targets: (N, M, 6) in pixels of the network's input.
        """
        if not len(targets):
            return {}
        scores, right, label, true = _judged(outputs, targets, len(labels))
        found = {name: _threshold(scores[label == k], right[label == k], int(true[k])) for k, name in enumerate(labels)}
        points = []
        for aim in wish.at:
            k = 0 if aim.label is None else list(labels).index(aim.label)
            points.append(aimed(scores[label == k], right[label == k], int(true[k]), aim, labels[k]))
            found[labels[k]] = points[-1]["threshold"]
        return {"thresholds": found, **({"at": points} if points else {})}

    def warp(self, target: np.ndarray, geometry: Geometry, height: int, width: int) -> np.ndarray:
        """(M, 6) as it stands in the frame; rows whose centre lies outside become NaN, the others are clipped."""
        return moved(target, geometry, height, width)

    def decode(
        self,
        outputs: np.ndarray,
        geometries: Sequence[Geometry | None],
        labels: Sequence[str],
        settled: Mapping[str, Any] = {},
    ) -> list[BoxesPrediction]:
        """(B, A, 4 + K) to the boxes at or above their label's threshold, in the original image's pixels."""
        answers, silent = [], unsure(1.0, settled)
        for raw, geometry in zip(outputs, geometries, strict=True):
            found = _shown(raw, labels, settled)[0]
            found = found if geometry is None else unwarped(found, geometry)
            boxes = (Box(labels[int(k)], score, (x0, y0, x1, y1)) for x0, y0, x1, y1, score, k in found.tolist())
            answers.append(BoxesPrediction(tuple(boxes), silent))
        return answers

    def columns(self, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> tuple[str, ...]:
        """`box`, `label`, `score`, and the sides."""
        return "box", "label", "score", *SIDES

    def choose(
        self,
        outputs: np.ndarray,
        geometry: Geometry | None,
        labels: Sequence[str],
        settled: Mapping[str, Any] = {},
        target: str | None = None,
        box: int | None = None,
    ) -> Chosen:
        """One of the boxes that `decode` gives. Of a label that has none of them, the surest candidate, however unsure:
        what there is that speaks for it.

        Raises:
            ValueError: the target is no label, there are fewer boxes, or none and nothing is named.
        """
        found, places = _shown(outputs, labels, settled)
        if target is not None:
            number = number_of(target, labels)
            mine = found[:, FOUND_LABEL] == number
            found, places = found[mine], places[mine]
            if not len(found) and box is None:
                place = int(outputs[:, 4 + number].argmax())
                row = np.array([*outputs[place, :4], 0.0, number], np.float64)
                found, places = row[None], np.array([place])
        wanted = 1 if box is None else box
        if not 1 <= wanted <= len(found):
            what = "boxes" if target is None else f"boxes of {target}"
            there = f"1 to {len(found)}" if len(found) else "none: the network shows no such box in this image"
            raise ValueError(f"box {wanted} is asked for, and the numbers of the {what} are {there}")
        row = found[wanted - 1 : wanted]
        left, top, right, bottom = (row if geometry is None else unwarped(row, geometry))[0, :4].tolist()
        number = int(row[0, FOUND_LABEL])
        return Chosen(number, labels[number], int(places[wanted - 1]), (left, top, right, bottom))

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """`ap50`: average precision at an IoU of 0.5, the mean over the labels that there are; 0 where there are none.

        Args:
            outputs: (N, A, 4 + K).
            targets: (N, M, 6) in pixels of the network's input.
        """
        labels = outputs.shape[2] - 4 if outputs.ndim == 3 else 0
        scores, right, label, true = _judged(outputs, targets, labels)
        found = [average_precision(scores[label == k], right[label == k], int(true[k])) for k in np.flatnonzero(true)]
        return {"ap50": float(np.mean(found)) if found else 0.0}

    def _there(self, targets: np.ndarray, labels: int = 0) -> np.ndarray:
        """(N, K) whether an image has a box of each label."""
        rows, boxes = np.nonzero(~np.isnan(targets[..., LABEL]))
        label = targets[rows, boxes, LABEL].astype(np.int64)
        there = np.zeros((len(targets), max(labels, int(label.max(initial=-1)) + 1)), bool)
        there[rows, label] = True
        return there


def _shown(outputs: np.ndarray, labels: Sequence[str], settled: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Of raw outputs (A, 4 + K) the found boxes that reach their label's threshold, and which of the A each is."""
    limits = box_thresholds(labels, settled)
    found, places = candidates(outputs, least=float(np.clip(limits.min(initial=THRESHOLD), 1e-6, 1 - 1e-6)))
    shown = found[:, SCORE] >= limits[found[:, FOUND_LABEL].astype(int)]
    return found[shown], places[shown]


def box_thresholds(labels: Sequence[str], settled: Mapping[str, Any]) -> np.ndarray:
    """(K,) scores: those that `settle` found, otherwise 0.5."""
    found = settled.get("thresholds", {})
    return np.array([found.get(name, THRESHOLD) for name in labels], np.float64)


def parsed_cell(cell: str) -> list[tuple[str, float, float, float, float, float]]:
    """Label, left, top, right, bottom, and 1 where it is not to be counted, of each box in a cell.

    Raises:
        ValueError: it is no array of boxes; the message says what was expected and found.
    """
    try:
        rows = json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected {FORM}, found {quoted(cell)}") from error
    if not isinstance(rows, list):
        raise ValueError(f"expected {FORM}, found {quoted(cell)}")
    boxes = []
    for row in rows:
        if not isinstance(row, list) or len(row) not in (5, 6) or not isinstance(row[0], str) or not _numbers(row[1:]):
            raise ValueError(f"expected {FORM}, found {quoted(json.dumps(row))} in it")
        left, top, right, bottom = map(float, row[1:5])
        if not (right > left and bottom > top):
            raise ValueError(f"expected a box with x1 > x0 and y1 > y0, found {quoted(json.dumps(row))}")
        boxes.append((row[0], left, top, right, bottom, float(bool(row[5])) if len(row) == 6 else 0.0))
    return boxes


def _numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)


def _judged(
    outputs: np.ndarray, targets: np.ndarray, labels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of all found boxes that count: (D,) scores, whether right, label; and (K,) how many true ones there are."""
    found, right, true = [], [], np.zeros(labels, np.int64)
    for output, target in zip(outputs, targets):
        boxes, truth = detections(output), real(target)
        hits, ignored = match(boxes, truth)
        found.append(boxes[~ignored])
        right.append(hits[~ignored])
        counted = truth[truth[:, CROWD] == 0, LABEL].astype(np.int64)
        true += np.bincount(counted, minlength=labels)
    boxes = np.concatenate(found) if found else np.zeros((0, 6))
    return boxes[:, SCORE], np.concatenate(right) if right else np.zeros(0, bool), boxes[:, FOUND_LABEL], true


def _threshold(scores: np.ndarray, right: np.ndarray, true: int) -> float:
    """Half way between two neighbouring scores, where F1 is largest; of equal ones the nearest to 0.5."""
    if true < FEWEST or not right.any():
        return THRESHOLD
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], right[order].cumsum()
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # of those with the same score
    f1 = 2 * hits[last] / (last + 1 + true)
    middle = (scores[last] + np.append(scores, 0.0)[last + 1]) / 2
    best = middle[f1 >= f1.max() - 1e-12]
    return float(best[np.abs(best - THRESHOLD).argmin()])
