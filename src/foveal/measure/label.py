"""How good the `label` answer is: one true label an image against K outputs an image."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from foveal.answers.deciding import temperature_of, tempered
from foveal.answers.label import decided, softmax
from foveal.measure.baselines import baseline_outputs
from foveal.measure.calibration import calibration
from foveal.measure.costs import costs_of_labels
from foveal.measure.intervals import bootstrap, wilson
from foveal.measure.meanings import TOP
from foveal.measure.selective import operating_points, selective
from foveal.measured import Confusion, Measurement, Mistake, Score
from foveal.task import Examples, Rated

__all__ = ["MOST_MISTAKES", "label_scores", "macro_f1", "measure_labels", "rate_labels"]

MOST_MISTAKES = 24


def measure_labels(
    outputs: np.ndarray,
    test: Examples,
    train: Examples,
    labels: Sequence[str],
    seed: int,
    settled: Mapping[str, Any] = {},
) -> Measurement:
    """Scores, baselines, per label, confusion and the most confident mistakes of raw outputs (N, K); their calibration,
    and what becomes of the error when the network may stay silent.

    Shares have Wilson's interval, and so has F1 (see `_f1`); macro F1 and ECE have a bootstrap interval over images,
    drawn with `seed`. The answers are those of `decided`: at the operating point or by the costs of `settled`, where it
    has them.
    Without test images there are no scores and no baselines, every support is 0 and nothing is raised.
    """
    truth = test.targets.astype(np.int64)
    answers = decided(outputs, labels, settled)
    counts = _confusion(answers, truth, len(labels))
    rows = _per_label(counts, labels)
    measured = Measurement(
        scores=_scores(answers, truth, seed),
        per_label=rows,
        confusion=Confusion(tuple(labels), tuple(tuple(row) for row in counts.tolist())),
        mistakes=_mistakes(outputs, answers, truth, test.files, labels, settled),
    )
    if not len(truth):
        return measured
    before, after = softmax(outputs), softmax(tempered(outputs, settled))
    right, sure = outputs.argmax(axis=1) == truth, after.max(axis=1)
    one = np.s_[:, None]
    calibrated = calibration(before.max(axis=1)[one], sure[one], right[one], temperature_of(settled), seed)
    guesses = baseline_outputs(test, train, len(labels), seed)
    return replace(
        measured,
        scores={**measured.scores, "ece": calibrated.ece},
        baselines={name: _scores(guess, truth, seed) for name, guess in guesses.items()},
        calibration=calibrated,
        selective=None if settled.get("at") or "costs" in settled else selective(sure, right, settled),
        operating=operating_points(settled, lambda label: _at_point(counts, list(labels).index(label), rows[label])),
        costs=costs_of_labels(outputs, truth, labels, settled, seed),
    )


def _at_point(counts: np.ndarray, k: int, row: Mapping[str, Score | int]) -> dict[str, Score]:
    """One label against all others."""
    others = int(counts.sum() - counts[k].sum())
    rejected = others - int(counts[:, k].sum() - counts[k, k])
    found = {"sensitivity": row.get("recall"), "specificity": wilson(rejected, others) if others else None}
    found["precision"] = row.get("precision")
    return {name: score for name, score in found.items() if isinstance(score, Score)}


def rate_labels(outputs: np.ndarray, test: Examples, labels: Sequence[str], settled: Mapping[str, Any] = {}) -> Rated:
    """Of raw outputs (N, K): accuracy and top-5 accuracy, shares of the images, and macro F1; of a label recall, a
    share of its images, and F1."""
    truth, answers = test.targets.astype(np.int64), decided(outputs, labels, settled)
    rank = _rank(answers, truth)
    numbers, right = np.arange(len(labels))[:, None], rank == 0
    true, called = truth == numbers, answers.argmax(axis=1) == numbers  # (K, N)
    shares = {"accuracy": right, **({"top5_accuracy": rank < TOP} if len(labels) > TOP else {})}
    columns = [part.astype(np.float64) for part in (true & called, true, called)]

    def under(weights: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        hits, there, said = (part @ weights for part in columns)  # (K, R)
        with np.errstate(invalid="ignore", divide="ignore"):
            counted = {name: share @ weights / weights.sum(axis=0) for name, share in shares.items()}
            f1 = 2 * hits / (there + said)
            macro = np.nansum(f1, axis=0) / np.isfinite(f1).sum(axis=0)
            return {**counted, "macro_f1": macro}, {"recall": hits / there, "f1": f1}

    return Rated(
        wrong=(~right).astype(np.float64),
        first=lambda weights: right @ weights / weights.sum(axis=0),
        under=under,
        shares=shares,
        label_shares={"recall": np.where(true, right, np.nan)},
        said=answers.argmax(axis=1),
    )


def _scores(outputs: np.ndarray, truth: np.ndarray, seed: int) -> dict[str, Score]:
    if not len(truth):
        return {}
    rank, labels = _rank(outputs, truth), outputs.shape[1]
    scores = {"accuracy": wilson(int((rank == 0).sum()), len(truth))}
    if labels > TOP:
        scores["top5_accuracy"] = wilson(int((rank < TOP).sum()), len(truth))
    scores["macro_f1"] = macro_f1(_confusion(outputs, truth, labels), seed)
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


def macro_f1(counts: np.ndarray, seed: int) -> Score:
    """Of (K, K) images by true and predicted label."""
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
    outputs: np.ndarray,
    answers: np.ndarray,
    truth: np.ndarray,
    files: Sequence[str],
    labels: Sequence[str],
    settled: Mapping[str, Any],
) -> tuple[Mistake, ...]:
    predicted = answers.argmax(axis=1)
    probability = softmax(tempered(outputs, settled))[np.arange(len(truth)), predicted]
    wrong = np.flatnonzero(predicted != truth)
    worst = wrong[np.argsort(-probability[wrong], kind="stable")[:MOST_MISTAKES]]
    return tuple(
        Mistake(files[row], labels[int(truth[row])], labels[int(predicted[row])], float(probability[row]))
        for row in map(int, worst)
    )
