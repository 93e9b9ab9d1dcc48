"""How good the `label` answer is: one true label an image against K outputs an image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foveal.answers.label import softmax
from foveal.measure.baselines import baseline_outputs
from foveal.measure.intervals import bootstrap, wilson
from foveal.measure.meanings import TOP
from foveal.task import Examples, Rated
from foveal.types import Confusion, Measurement, Mistake, Score

__all__ = ["MOST_MISTAKES", "label_scores", "measure_labels", "rate_labels"]

MOST_MISTAKES = 24


def measure_labels(
    outputs: np.ndarray,
    test: Examples,
    train: Examples,
    labels: Sequence[str],
    seed: int,
    settled: Mapping[str, Any] = {},
) -> Measurement:
    """Scores, baselines, per label, confusion and the most confident mistakes of raw outputs (N, K).

    Shares have Wilson's interval, and so has F1 (see `_f1`); macro F1 has a bootstrap interval over images, drawn with
    `seed`. Without test images there are no scores and no baselines, every support is 0 and nothing is raised.
    """
    truth = test.targets.astype(np.int64)
    counts = _confusion(outputs, truth, len(labels))
    guesses = baseline_outputs(test, train, len(labels), seed) if len(truth) else {}
    return Measurement(
        scores=_scores(outputs, truth, seed),
        baselines={name: _scores(guess, truth, seed) for name, guess in guesses.items()},
        per_label=_per_label(counts, labels),
        confusion=Confusion(tuple(labels), tuple(tuple(row) for row in counts.tolist())),
        mistakes=_mistakes(outputs, truth, test.files, labels),
    )


def rate_labels(outputs: np.ndarray, test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> Rated:
    """Of raw outputs (N, K): accuracy and top-5 accuracy, shares of the images, and macro F1; of a label recall, a
    share of its images, and F1."""
    truth, rank = test.targets.astype(np.int64), _rank(outputs, test.targets.astype(np.int64))
    numbers, right = np.arange(len(labels))[:, None], rank == 0
    true, called = truth == numbers, outputs.argmax(axis=1) == numbers  # (K, N)
    shares = {"accuracy": right, **({"top5_accuracy": rank < TOP} if len(labels) > TOP else {})}
    columns = [part.astype(np.float64) for part in (true & called, true, called)]

    def under(weights: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        hits, there, said = (part @ weights for part in columns)  # (K, R)
        with np.errstate(invalid="ignore", divide="ignore"):
            counted = {name: share @ weights / weights.sum(axis=0) for name, share in shares.items()}
            f1 = 2 * hits / (there + said)
            macro = np.nansum(f1, axis=0) / np.isfinite(f1).sum(axis=0)
            return {**counted, "macro_f1": macro}, {"recall": hits / there, "f1": f1}

    return Rated((~right).astype(np.float64), under, shares, {"recall": np.where(true, right, np.nan)})


def _scores(outputs: np.ndarray, truth: np.ndarray, seed: int) -> dict[str, Score]:
    if not len(truth):
        return {}
    rank, labels = _rank(outputs, truth), outputs.shape[1]
    scores = {"accuracy": wilson(int((rank == 0).sum()), len(truth))}
    if labels > TOP:
        scores["top5_accuracy"] = wilson(int((rank < TOP).sum()), len(truth))
    scores["macro_f1"] = _macro_f1(_confusion(outputs, truth, labels), seed)
    return scores


def _rank(outputs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N,) how many labels come before the true one; of equal outputs the first label comes first, as in argmax."""
    own = np.take_along_axis(outputs, truth[:, None], axis=1)
    before = np.arange(outputs.shape[1]) < truth[:, None]
    return ((outputs > own) | ((outputs == own) & before)).sum(axis=1)


def _confusion(outputs: np.ndarray, truth: np.ndarray, labels: int) -> np.ndarray:
    """(K, K) images by true label (row) and predicted label (column)."""
    cells = truth * labels + outputs.argmax(axis=1)
    return np.bincount(cells, minlength=labels * labels).reshape(labels, labels)


def _macro_f1(counts: np.ndarray, seed: int) -> Score:
    right, n = int(counts.trace()), int(counts.sum())
    if right in (0, n):
        # Every resample would say 0 (or 1) again, an interval of no width. Macro F1 equals accuracy here: take its.
        return wilson(right, n)
    rows, columns = np.nonzero(counts)
    labels = np.arange(len(counts))
    hits = 2.0 * ((rows == columns)[:, None] & (rows[:, None] == labels))  # (M, K) a cell's share in 2 TP
    uses = (rows[:, None] == labels) + 1.0 * (columns[:, None] == labels)  # (M, K) a cell's share in 2 TP + FP + FN

    def statistic(cells: np.ndarray) -> np.ndarray:
        used = cells @ uses
        f1 = np.divide(cells @ hits, used, out=np.zeros_like(used), where=used > 0)
        return f1.sum(axis=1) / (used > 0).sum(axis=1)

    return bootstrap(counts[rows, columns], statistic, seed)


def _per_label(counts: np.ndarray, labels: Sequence[str]) -> dict[str, dict[str, Score | int]]:
    columns = zip(labels, counts.diagonal().tolist(), counts.sum(axis=1).tolist(), counts.sum(axis=0).tolist())
    return {label: label_scores(right, true, called) for label, right, true, called in columns}


def label_scores(right: int, true: int, called: int) -> dict[str, Score | int]:
    """`precision`, `recall`, `f1` and `support` of a label that `true` images have and `called` ones were said to have,
    `right` of them rightly; what is not defined is left out."""
    row: dict[str, Score | int] = {}
    if called:
        row["precision"] = wilson(right, called)
    if true:
        row["recall"] = wilson(right, true)
    if true or called:
        row["f1"] = _f1(right, true + called - right)
    row["support"] = true
    return row


def _f1(right: int, involved: int) -> Score:
    """F1 = 2J / (1 + J), J the share right of the images where the label is true or predicted (Jaccard's index).

    Given how many images are involved, those right among them are binomial, and F1 rises with J: so Wilson's interval
    of J, carried over, is one of F1. Unlike a bootstrap it stays honest for three images that are all right.
    """
    share = wilson(right, involved)
    value, low, high = (2 * j / (1 + j) for j in (share.value, share.low, share.high))
    return Score(value, low, high, share.level, involved, share.method)


def _mistakes(
    outputs: np.ndarray, truth: np.ndarray, files: Sequence[str], labels: Sequence[str]
) -> tuple[Mistake, ...]:
    predicted, probability = outputs.argmax(axis=1), softmax(outputs).max(axis=1)
    wrong = np.flatnonzero(predicted != truth)
    worst = wrong[np.argsort(-probability[wrong], kind="stable")[:MOST_MISTAKES]]
    return tuple(
        Mistake(files[row], labels[int(truth[row])], labels[int(predicted[row])], float(probability[row]))
        for row in map(int, worst)
    )
