"""Which of several labels at once look wrong: confident learning of each label, which is a yes or no of its own.

Source: Northcutt, Jiang and Chuang, "Confident Learning", JAIR 70 (2021) 1373-1411, arXiv 1911.00068, of each label;
how one image's labels come to one score: Thyagarajan, Snorrason, Northcutt and Mueller, "Identifying Incorrect
Annotations in Multi-Label Classification Data", arXiv 2211.13895.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foveal.answers.labels import sigmoid
from foveal.measure.suspects import SUSPECT, find_suspects
from foveal.measure.told import told_labels
from foveal.suspicion import Suspected
from foveal.types import Dataset, Finding, Geometry

__all__ = ["CellSuspects", "find_cell_suspects", "image_quality", "kept_logits", "suspected_label_sets"]

NEWEST = 0.8  # weight of each quality in the moving average over an image's, which ends with the lowest
LEAST = 0.65  # AUROC: as far from 0.5 to 1 as an accuracy of 0.3 from 0
YES, NO = "yes", "no"
REMEDY = (
    "Look at the image. Where it has the label and is not said to, or the other way round, correct it and train again; "
    "where it is right, leave it."
)


@dataclass(frozen=True, eq=False)
class CellSuspects:
    """
    Args:
        rows, columns: (S,) of the yes and no that look wrong, the worst first.
        wrong: how many are wrong, as estimated.
    """

    rows: np.ndarray
    columns: np.ndarray
    wrong: float


def find_cell_suspects(probabilities: np.ndarray, targets: np.ndarray) -> CellSuspects:
    """Of each label those that confident learning says of the images of which it is known, the yes and the no being its
    two classes (`find_suspects`); all labels are ranked together by the probability of what is given.

    Args:
        probabilities: (N, K) out of fold.
        targets: (N, K) 1, 0, or NaN where it is not known: that is never a suspect.
    """
    rows, columns, wrong = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0.0
    for k, (likely, cells) in enumerate(zip(probabilities.T, targets.T)):
        known = np.flatnonzero(~np.isnan(cells))
        found = find_suspects(np.stack([1 - likely[known], likely[known]], axis=1), cells[known].astype(np.int64))
        rows.append(known[found.rows])
        columns.append(np.full(len(found.rows), k))
        wrong += found.wrong
    row, column = np.concatenate(rows), np.concatenate(columns)
    order = np.argsort(_quality(probabilities, targets)[row, column], kind="stable")
    return CellSuspects(row[order], column[order], wrong)


def image_quality(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N,) how likely an image's labels are as a whole, 0 to 1: the moving average (weight 0.8) of the probabilities of
    what is given, from the highest to the lowest, so that the lowest count most; 1 where nothing is known.

    Args:
        probabilities: (N, K).
        targets: (N, K), as for `find_cell_suspects`.
    """
    quality = -np.sort(-_quality(probabilities, targets), axis=1)  # NaN last
    average = np.where(np.isnan(quality[:, 0]), 1.0, quality[:, 0])
    for column in quality.T[1:]:
        average = np.where(np.isnan(column), average, NEWEST * column + (1 - NEWEST) * average)
    return average


def _quality(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N, K) the probability of what is given; NaN where it is not known."""
    return np.where(np.isnan(targets), np.nan, np.where(targets == 1, probabilities, 1 - probabilities))


def kept_logits(outputs: np.ndarray, geometries: Sequence[Geometry] = ()) -> list[np.ndarray]:
    """Raw outputs (B, K) as they are, (K,) of each image."""
    return list(outputs)


def suspected_label_sets(kept: Sequence[np.ndarray], dataset: Dataset, seed: int) -> Suspected:
    """What looks wrong of several labels an image, from the logits of all images: a finding a yes or no.

    The facts of a finding: `score`, how unlikely what is given is, 0 to 1; `name` of the label; `given` and
    `suggested`, yes or no; `image_score`, how unlikely the labels of the image are as a whole (1 - `image_quality`).
    """
    logits = np.stack(kept)
    targets = dataset.targets.reshape(logits.shape)
    probabilities = sigmoid(logits).astype(np.float64)
    suspects, whole = find_cell_suspects(probabilities, targets), image_quality(probabilities, targets)
    findings = []
    for row, column in zip(suspects.rows.tolist(), suspects.columns.tolist()):
        name, has, likely = dataset.labels[column], targets[row, column] == 1, float(probabilities[row, column])
        told = "labelled as having it, looks without it" if has else "labelled as without it, looks as having it"
        message = f"{name}: {told} (its probability {likely:.2f})"
        given, suggested = (YES, NO) if has else (NO, YES)
        own = likely if has else 1 - likely
        facts = {"score": round(1 - own, 4), "name": name, "given": given, "suggested": suggested}
        facts["image_score"] = round(1 - float(whole[row]), 4)
        findings.append(Finding(SUSPECT, (dataset.files[row],), message, REMEDY, facts))
    score, _ = told_labels(logits, targets)
    known = int((~np.isnan(targets)).sum())
    return Suspected(tuple(findings), known, suspects.wrong, "macro_auroc", score, LEAST)
