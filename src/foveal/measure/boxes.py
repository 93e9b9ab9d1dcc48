"""How good the `boxes` answer is: of every image, the boxes that a network finds against the true ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np

from foveal.answers.boxes import box_thresholds
from foveal.answers.detections import FOUND_LABEL, LABEL, SCORE, detections, real, unwarped
from foveal.examples import Examples, Rated
from foveal.measure.average_precision import Ranked, precision_at_recalls, ranked
from foveal.measure.box_baselines import box_baselines
from foveal.measure.box_errors import box_errors
from foveal.measure.box_matching import ALL, AREAS, Judged, judged
from foveal.measure.groups import Groups, groups_of
from foveal.measure.intervals import bounded, resampled
from foveal.measure.selective import operating_points
from foveal.measured import DrawnBox, Measurement, Mistake, PrecisionRecall, Score
from foveal.types import Geometry

__all__ = ["measure_boxes", "rate_boxes"]

QUANTITIES = ("ap", "ap50", "ap75", *(f"ap_{name}" for name in AREAS if name != "all"), "precision", "recall")
OF_A_LABEL = ("ap", "ap50", "precision", "recall")
AT_75 = 5  # among the overlaps
DRAWS = 15_000_000  # boxes drawn in all resamples, where that leaves 200 of them: some two seconds of one core
MOST_MISTAKES = 12
DECIMALS = 4  # of what is only drawn


def measure_boxes(
    outputs: np.ndarray,
    test: Examples,
    train: Examples,
    labels: Sequence[str],
    seed: int,
    settled: Mapping[str, Any] = {},
) -> Measurement:
    """Scores, baselines, each label on its own, kinds of errors, curves and the worst images of outputs (N, A, 4 + K).

    Average precision is COCO's, an object's area that of its box. Precision and recall are at the thresholds of
    `settled`, 0.5 where it has none, and at an IoU of 0.5. All have a bootstrap interval over images, drawn with
    `seed`: the boxes of an image are right or wrong together (with three labels, the rarest in one box of twelve, a
    nominal 95% held the truth 88 to 96 times in 100 with 72 to 300 images, 82 to 97 times with 20). Means leave out
    labels that no test image has; a size that no object has is left out, too. Without test images, or without a true
    box in them, there are no scores and no baselines, and nothing is raised.
    """
    if not len(test.files):
        return Measurement(scores={}, per_label={name: {"support": 0, "boxes": 0} for name in labels})
    limits = box_thresholds(labels, settled)
    truth, images, shown = _judged(outputs, test, limits)
    counts = _Counts.of(images, shown, len(labels))
    mistakes = _mistakes(images, shown, test.files, test.geometries, labels)
    if not counts.true.any():
        return Measurement(scores={}, per_label=_per_label([{}] * len(labels), counts, labels), mistakes=mistakes)
    guesses = box_baselines(test, train, len(labels), seed)
    rated = {"": _Rated.of(images, len(labels), counts)} | {
        name: _Rated.of([judged(*pair, areas=ALL) for pair in zip(truth, guess)], len(labels), None)
        for name, guess in guesses.items()
    }
    (own, *columns), *others = _scores(rated, counts, seed, groups_of(test.groups))
    rows = _per_label(columns, counts, labels)
    return Measurement(
        scores=own,
        baselines={name: row for name, (row, *_) in zip(guesses, others)},
        per_label=rows,
        mistakes=mistakes,
        curves=_curves(rated[""].precision[0, :, :, 0], counts, labels, limits),
        errors=box_errors(images, shown, len(labels)),
        operating=operating_points(settled, lambda label: _at_point(rows[label])),
    )


def _at_point(row: Mapping[str, Score | int]) -> dict[str, Score]:
    found = {"sensitivity": row.get("recall"), "precision": row.get("precision")}
    return {name: score for name, score in found.items() if isinstance(score, Score)}


def rate_boxes(outputs: np.ndarray, test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> Rated:
    """Of outputs (N, A, 4 + K): the scores of `QUANTITIES`; of a label those of `OF_A_LABEL`, AP50 the first. What is
    wrong is counted in boxes at the thresholds, missed ones and false ones."""
    limits = box_thresholds(labels, settled)
    _, images, shown = _judged(outputs, test, limits, ALL)
    counts = _Counts.of(images, shown, len(labels))
    rows = [replace(row, right=row.right[:1], ignored=row.ignored[:1]) for row in ranked(images, len(labels))]
    columns = sorted(OF_A_LABEL, key=lambda name: name != "ap50")
    order = sorted(QUANTITIES, key=lambda name: name != "ap50")

    @cache
    def rated() -> _Rated:
        _, images, _ = _judged(outputs, test, limits)
        return _Rated.of(images, len(labels), counts)

    def under(weights: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        drawn = dict(zip(QUANTITIES, rated().under(weights)))  # (1 + K, R) each
        return {name: drawn[name][0] for name in order}, {name: drawn[name][1:] for name in columns}

    return Rated(
        wrong=(counts.shown + counts.true - 2 * counts.right).sum(axis=1).astype(np.float64),
        first=lambda weights: _mean(np.stack([row.under(weights)[0, 0] for row in rows]))[0],  # the first IoU is 0.5
        under=under,
    )


def _judged(
    outputs: np.ndarray, test: Examples, limits: np.ndarray, areas: Mapping[str, tuple[float, float]] = AREAS
) -> tuple[list[np.ndarray], list[Judged], list[np.ndarray]]:
    """Of each image the true boxes, the found ones matched to them, and which of those are shown."""
    truth = [real(target).astype(np.float64) for target in test.targets]
    found = [unwarped(detections(output), geometry) for output, geometry in zip(outputs, test.geometries)]
    images = [judged(*pair, areas=areas) for pair in zip(truth, found)]
    shown = [image.found[:, SCORE] >= limits[image.found[:, FOUND_LABEL].astype(np.int64)] for image in images]
    return truth, images, shown


@dataclass(frozen=True, eq=False)
class _Counts:
    """(N, K) boxes an image and label at the operating point: those that are right, shown, and there."""

    right: np.ndarray
    shown: np.ndarray
    true: np.ndarray

    @classmethod
    def of(cls, images: Sequence[Judged], shown: Sequence[np.ndarray], labels: int) -> "_Counts":
        def counted(column: np.ndarray) -> np.ndarray:
            return np.bincount(column.astype(np.int64), minlength=labels)

        parts = []
        for image, seen in zip(images, shown):
            label, counts = image.found[:, FOUND_LABEL], ~image.ignored[0, 0] & seen
            true = image.truth[image.counted[0], LABEL]
            parts.append([counted(column) for column in (label[counts & image.right[0, 0]], label[counts], true)])
        return cls(*np.array(parts).swapaxes(0, 1))

    def under(self, weights: np.ndarray) -> np.ndarray:
        """(2, 1 + K, R) precision and recall, of all labels together and of each; NaN where not defined."""
        right, shown, true = (
            _with_sum(part.T.astype(np.float64) @ weights) for part in (self.right, self.shown, self.true)
        )
        with np.errstate(invalid="ignore"):
            return np.stack([right / shown, right / true])

    def alone(self, groups: Groups) -> np.ndarray:
        """(2, 1 + K) images, or groups, with a box that is shown, and with a true one."""
        numbers = np.arange(len(self.true)) if groups is None else groups
        boxes = [_with_sum(part.T).astype(bool) for part in (self.shown, self.true)]
        return np.array([[len(np.unique(numbers[row])) for row in part] for part in boxes])


@dataclass(frozen=True, eq=False)
class _Rated:
    """What one answer's scores are made of.

    Args:
        precision: (T, 101, K, A), see `precision_at_recalls`.
        rows: one a label.
        counts: None where there is no operating point.
    """

    precision: np.ndarray
    rows: Sequence[Ranked]
    counts: _Counts | None

    @classmethod
    def of(cls, images: Sequence[Judged], labels: int, counts: _Counts | None) -> "_Rated":
        rows = ranked(images, labels)
        return cls(precision_at_recalls(images, labels)[..., : rows[0].right.shape[1]], rows, counts)

    def values(self) -> np.ndarray:
        """(Q, 1 + K, 1) `QUANTITIES`, as far as there are any, of all labels together and of each."""
        return self._joined(self.precision.mean(axis=1)[..., None], np.ones((self.rows[0].true.shape[1], 1)))

    def under(self, weights: np.ndarray) -> np.ndarray:
        """(Q, 1 + K, R) likewise, where image i counts weights[i, r] times."""
        return self._joined(np.stack([row.under(weights) for row in self.rows], axis=1), weights)

    def _joined(self, ap: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """
        Args:
            ap: (T, K, A, R).
        """
        over_all = ap.mean(axis=0)  # (K, A, R)
        kinds = [over_all[:, 0], ap[0, :, 0], ap[AT_75, :, 0], *over_all.swapaxes(0, 1)[1:]]
        each = np.stack(kinds)
        every = np.concatenate([_mean(each), each], axis=1)
        return every if self.counts is None else np.concatenate([every, self.counts.under(weights)])


def _mean(each: np.ndarray) -> np.ndarray:
    """(…, K, R) to (…, 1, R): over those labels where it is defined; NaN where it is for none."""
    defined = np.isfinite(each)
    with np.errstate(invalid="ignore"):
        return np.where(defined, each, 0).sum(axis=-2, keepdims=True) / defined.sum(axis=-2, keepdims=True)


def _with_sum(rows: np.ndarray) -> np.ndarray:
    """(K, R) to (1 + K, R)."""
    return np.concatenate([rows.sum(axis=0, keepdims=True), rows])


def _scores(rated: Mapping[str, _Rated], counts: _Counts, seed: int, groups: Groups) -> list[list[dict[str, Score]]]:
    """Of each answer those of all labels together, then those of each; over the same resamples."""
    n = len(counts.true)
    parts: list[list[np.ndarray]] = [[] for _ in rated]
    boxes = max(1, sum(len(row.image) for row in rated[""].rows))
    for weights in resampled(n, seed, DRAWS * n // boxes, groups):
        for part, one in zip(parts, rated.values()):
            part.append(one.under(weights))
    with_shown, with_true = counts.alone(groups)
    found = []
    for part, one in zip(parts, rated.values()):
        values, drawn = one.values()[..., 0], np.concatenate(part, axis=2)
        columns: list[dict[str, Score]] = [{} for _ in with_true]
        for name, of_value, of_drawn in zip(QUANTITIES, values, drawn):
            least = with_shown if name == "precision" else with_true
            for column in np.flatnonzero(np.isfinite(of_value)):
                value, alone = float(of_value[column]), int(least[column])
                columns[column][name] = bounded(value, of_drawn[column], n, alone, groups)
        found.append(columns)
    return found


def _per_label(
    columns: Sequence[Mapping[str, Score]], counts: _Counts, labels: Sequence[str]
) -> dict[str, dict[str, Score | int]]:
    images, boxes = (counts.true > 0).sum(axis=0).tolist(), counts.true.sum(axis=0).tolist()
    return {
        name: {**{key: column[key] for key in OF_A_LABEL if key in column}, "support": has, "boxes": count}
        for name, column, has, count in zip(labels, columns, images, boxes)
    }


def _curves(
    precision: np.ndarray, counts: _Counts, labels: Sequence[str], limits: np.ndarray
) -> tuple[PrecisionRecall, ...]:
    """One for each label that has a true box.

    Args:
        precision: (101, K) at an IoU of 0.5.
    """
    totals = (part.sum(axis=0).tolist() for part in (counts.right, counts.shown, counts.true))
    curves = []
    for k, (right, shown, true) in enumerate(zip(*totals)):
        if true:
            reached = precision[: np.count_nonzero(precision[:, k]), k]
            at = (round(right / true, DECIMALS), round(right / shown, DECIMALS)) if shown else None
            points = tuple(round(value, DECIMALS) for value in reached.tolist())
            curves.append(PrecisionRecall(labels[k], points, float(limits[k]), at))
    return tuple(curves)


def _mistakes(
    images: Sequence[Judged],
    shown: Sequence[np.ndarray],
    files: Sequence[str],
    geometries: Sequence[Geometry],
    labels: Sequence[str],
) -> tuple[Mistake, ...]:
    """The images with the most boxes that are missed or false."""
    drawn = [_drawn(*image, labels) for image in zip(images, shown, geometries)]
    wrong = np.array([sum(box.kind != "right" for box in boxes) for boxes in drawn])
    mistakes = []
    for row in map(int, np.argsort(-wrong, kind="stable")[:MOST_MISTAKES]):
        if wrong[row]:
            kinds = [box.kind for box in drawn[row]]
            right, missed, false = (kinds.count(kind) for kind in ("right", "missed", "false"))
            true = right + missed
            told = [f"{right} right", *([f"{missed} missed"] if missed else []), *([f"{false} false"] if false else [])]
            truth = f"{true or 'no'} box{'es' if true != 1 else ''}"
            mistakes.append(Mistake(files[row], truth, ", ".join(told), None, drawn[row]))
    return tuple(mistakes)


def _drawn(image: Judged, seen: np.ndarray, geometry: Geometry, labels: Sequence[str]) -> tuple[DrawnBox, ...]:
    """The true boxes that were missed, and those that are shown, the surest last, so that it lies on top."""
    right = image.right[0, 0] & seen
    missed = image.counted[0].copy()
    missed[image.taken[0, 0][right]] = False
    kinds: tuple[tuple[Literal["right", "missed", "false"], np.ndarray, int], ...] = (
        ("missed", image.truth[missed], LABEL),
        ("false", image.found[seen & ~right & ~image.ignored[0, 0]][::-1], FOUND_LABEL),
        ("right", image.found[right][::-1], FOUND_LABEL),
    )
    size = np.array([geometry.width, geometry.height] * 2)
    boxes = []
    for kind, rows, column in kinds:
        for corners, label in zip(np.clip(rows[:, :4] / size, 0, 1).round(DECIMALS).tolist(), rows[:, column]):
            boxes.append(DrawnBox(tuple(corners), labels[int(label)], kind))
    return tuple(boxes)
