"""The first headline score of each answer, under any weights of the images: what two outputs are compared by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from foveal.answers.deciding import tempered
from foveal.answers.detections import detections, real, unwarped
from foveal.answers.label import decided
from foveal.answers.labels import sigmoid, thresholds
from foveal.task import Examples, Judge

__all__ = ["judge_boxes", "judge_label_sets", "judge_labels", "judge_values"]

Under = Callable[[np.ndarray], np.ndarray]


def judge_labels(test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> Judge:
    """By accuracy, of outputs (N, K)."""
    truth = test.targets.astype(np.int64)

    def said(outputs: np.ndarray) -> np.ndarray:
        return decided(outputs, labels, settled).argmax(axis=1)

    def right(outputs: np.ndarray) -> np.ndarray:
        return said(outputs) == truth

    def under(outputs: np.ndarray) -> Under:
        hits = right(outputs).astype(np.float64)
        return lambda weights: hits @ weights / weights.sum(axis=0)

    def same(outputs: np.ndarray, others: np.ndarray) -> np.ndarray:
        return said(outputs) == said(others)

    return Judge(right, under, change=same)


def judge_label_sets(test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> Judge:
    """By the mean average precision, of logits (N, K). An answer is the same when all its labels are."""
    from foveal.measure.ranking import Ranking

    truth, at = test.targets.reshape(len(test.files), len(labels)), thresholds(labels, settled)

    def under(outputs: np.ndarray) -> Under:
        rankings = [Ranking.of(*column) for column in zip(outputs.T, truth.T)]
        return lambda weights: _mean([ranking.under(weights)[0] for ranking in rankings])

    def same(outputs: np.ndarray, others: np.ndarray) -> np.ndarray:
        said, then = (sigmoid(tempered(one, settled)) >= at for one in (outputs, others))
        return (said == then).all(axis=1)

    return Judge(None, under, change=same)


def judge_values(test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> Judge:
    """By the mean absolute error, of outputs (N, K), the mean over values. A change is the mean over values, too, each
    in units of the standard deviation of its true ones."""
    truth = test.targets.reshape(len(test.files), len(labels)).astype(np.float64)
    spread = truth.std(axis=0)
    spread[spread <= 0] = 1

    def under(outputs: np.ndarray) -> Under:
        errors = np.abs(outputs.reshape(truth.shape) - truth).mean(axis=1)
        return lambda weights: errors @ weights / weights.sum(axis=0)

    def change(outputs: np.ndarray, others: np.ndarray) -> np.ndarray:
        return (np.abs(outputs.astype(np.float64) - others).reshape(truth.shape) / spread).mean(axis=1)

    return Judge(None, under, error=True, change=change)


def judge_boxes(test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> Judge:
    """By the average precision at an IoU of 0.5, of outputs (N, A, 4 + K), the mean over the labels that there are."""
    from foveal.measure.average_precision import ranked
    from foveal.measure.box_matching import ALL, judged

    truth = [real(target).astype(np.float64) for target in test.targets]

    def under(outputs: np.ndarray) -> Under:
        found = [unwarped(detections(output), geometry) for output, geometry in zip(outputs, test.geometries)]
        rows = ranked([judged(*pair, areas=ALL) for pair in zip(truth, found)], len(labels))
        half = [replace(row, right=row.right[:1], ignored=row.ignored[:1]) for row in rows]  # the first IoU is 0.5
        return lambda weights: _mean([row.under(weights)[0, 0] for row in half])

    return Judge(None, under)


def _mean(values: Sequence[np.ndarray]) -> np.ndarray:
    """K times (R,) to (R,): over those labels where it is defined; NaN where it is for none."""
    each = np.stack(values)
    defined = np.isfinite(each)
    with np.errstate(invalid="ignore"):
        return np.where(defined, each, 0).sum(axis=0) / defined.sum(axis=0)
