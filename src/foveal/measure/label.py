"""How good the `label` answer is: one true label an image against K outputs an image."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from foveal.answers.deciding import temperature_of, tempered
from foveal.answers.label import decided, softmax
from foveal.examples import Examples, Rated
from foveal.measure.baselines import baseline_outputs
from foveal.measure.calibration import calibration
from foveal.measure.costs import costs_of_labels
from foveal.measure.groups import Groups, groups_of
from foveal.measure.intervals import Statistic, bootstrap, counted, share_among, share_of, wilson
from foveal.measure.meanings import TOP
from foveal.measure.selective import operating_points, selective
from foveal.measured import Confusion, Measurement, Mistake, Score

__all__ = ["MOST_MISTAKES", "label_scores", "macro_f1", "macro_f1_of", "measure_labels", "rate_labels"]

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
    drawn with `seed`. Where images belong together, all of them are of whole groups (see `share_of` and `resampled`).
    The answers are those of `decided`: at the operating point or by the costs of `settled`, where it
    has them.
    Without test images there are no scores and no baselines, every support is 0 and nothing is raised.
    """
    truth = test.targets.astype(np.int64)
    answers = decided(outputs, labels, settled)
    counts = _confusion(answers, truth, len(labels))
    groups = groups_of(test.groups)
    rows = _per_label(answers.argmax(axis=1), truth, labels, groups)
    measured = Measurement(
        scores=_scores(answers, truth, seed, groups),
        per_label=rows,
        confusion=Confusion(tuple(labels), tuple(tuple(row) for row in counts.tolist())),
        mistakes=_mistakes(outputs, answers, truth, test.files, labels, settled),
    )
    if not len(truth):
        return measured
    before, after = softmax(outputs), softmax(tempered(outputs, settled))
    right, sure = outputs.argmax(axis=1) == truth, after.max(axis=1)
    one = np.s_[:, None]
    calibrated = calibration(before.max(axis=1)[one], sure[one], right[one], temperature_of(settled), seed, groups)
    guesses, called = baseline_outputs(test, train, len(labels), seed), answers.argmax(axis=1)

    def at_point(k: int, row: Mapping[str, Score | int]) -> dict[str, Score]:
        return _at_point(called != k, truth != k, row, groups)

    return replace(
        measured,
        scores={**measured.scores, "ece": calibrated.ece},
        baselines={name: _scores(guess, truth, seed, groups) for name, guess in guesses.items()},
        calibration=calibrated,
        selective=None if settled.get("at") or "costs" in settled else selective(sure, right, settled, groups),
        operating=operating_points(settled, lambda label: at_point(list(labels).index(label), rows[label])),
        costs=costs_of_labels(outputs, truth, labels, settled, seed, groups),
    )


def _at_point(
    rejected: np.ndarray, others: np.ndarray, row: Mapping[str, Score | int], groups: Groups
) -> dict[str, Score]:
    """One label against all others.

    Args:
        rejected: (N,) whether an image was not called so.
        others: (N,) whether it is of another label.
    """
    found = {"sensitivity": row.get("recall"), "specificity": share_among(others, rejected, groups)}
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


def _scores(outputs: np.ndarray, truth: np.ndarray, seed: int, groups: Groups) -> dict[str, Score]:
    if not len(truth):
        return {}
    rank, labels = _rank(outputs, truth), outputs.shape[1]
    scores = {"accuracy": share_of(rank == 0, groups)}
    if labels > TOP:
        scores["top5_accuracy"] = share_of(rank < TOP, groups)
    scores["macro_f1"] = macro_f1_of(_cells(outputs.argmax(axis=1), truth, labels), labels, seed, groups)
    return scores


def _rank(outputs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N,) how many labels come before the true one; of equal outputs the first label comes first, as in argmax."""
    own = np.take_along_axis(outputs, truth[:, None], axis=1)
    before = np.arange(outputs.shape[1]) < truth[:, None]
    return ((outputs > own) | ((outputs == own) & before)).sum(axis=1)


def _cells(called: np.ndarray, truth: np.ndarray, labels: int) -> np.ndarray:
    """(N,) of the confusion each image is in, 0 to K² - 1."""
    return truth * labels + called


def _confusion(outputs: np.ndarray, truth: np.ndarray, labels: int) -> np.ndarray:
    """(K, K) images by true label (row) and predicted label (column)."""
    cells = _cells(outputs.argmax(axis=1), truth, labels)
    return np.bincount(cells, minlength=labels * labels).reshape(labels, labels)


def macro_f1(counts: np.ndarray, seed: int) -> Score:
    """Of (K, K) images by true and predicted label."""
    right, n = int(counts.trace()), int(counts.sum())
    if right in (0, n):
        # Every resample would say 0 (or 1) again, an interval of no width. Macro F1 equals accuracy here: take its.
        return wilson(right, n)
    rows, columns = np.nonzero(counts)
    return bootstrap(counts[rows, columns], _macro_f1_statistic(rows, columns, len(counts)), seed)


def macro_f1_of(cells: np.ndarray, labels: int, seed: int, groups: Groups) -> Score:
    """From the cell of each image."""
    if groups is None:
        return macro_f1(np.bincount(cells, minlength=labels * labels).reshape(labels, labels), seed)
    used, outcomes = np.unique(cells, return_inverse=True)
    rows, columns = np.divmod(used, labels)
    right = (rows == columns)[outcomes]
    if right.all() or not right.any():
        return share_of(right, groups)
    return counted(outcomes, len(used), _macro_f1_statistic(rows, columns, labels), seed, groups)


def _macro_f1_statistic(rows: np.ndarray, columns: np.ndarray, count: int) -> Statistic:
    """(R, M) images in those M cells to (R,) macro F1."""
    labels = np.arange(count)
    hits = 2.0 * ((rows == columns)[:, None] & (rows[:, None] == labels))  # (M, K) a cell's share in 2 TP
    uses = (rows[:, None] == labels) + 1.0 * (columns[:, None] == labels)  # (M, K) a cell's share in 2 TP + FP + FN

    def statistic(cells: np.ndarray) -> np.ndarray:
        used = cells @ uses
        f1 = np.divide(cells @ hits, used, out=np.zeros_like(used), where=used > 0)
        return f1.sum(axis=1) / (used > 0).sum(axis=1)

    return statistic


def _per_label(
    called: np.ndarray, truth: np.ndarray, labels: Sequence[str], groups: Groups
) -> dict[str, dict[str, Score | int]]:
    return {label: label_scores(truth == k, called == k, groups) for k, label in enumerate(labels)}


def label_scores(true: np.ndarray, called: np.ndarray, groups: Groups) -> dict[str, Score | int]:
    """`precision`, `recall`, `f1` and `support` of one label; what is not defined is left out.

    Args:
        true, called: (N,) whether an image has it, and whether it was said to.
    """
    row: dict[str, Score | int] = {}
    right, involved = true & called, true | called
    for name, of in (("precision", called), ("recall", true)):
        if score := share_among(of, right, groups):
            row[name] = score
    if jaccard := share_among(involved, right, groups):
        row["f1"] = _f1(jaccard)
    row["support"] = int(true.sum())
    return row


def _f1(share: Score) -> Score:
    """F1 = 2J / (1 + J), J the share right of the images where the label is true or predicted (Jaccard's index).

    Given how many images are involved, those right among them are binomial, and F1 rises with J: so Wilson's interval
    of J, carried over, is one of F1. Unlike a bootstrap it stays honest for three images that are all right.
    """
    value, low, high = (2 * j / (1 + j) for j in (share.value, share.low, share.high))
    return Score(value, low, high, share.level, share.n, share.method)


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
