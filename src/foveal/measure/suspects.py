"""Which labels look wrong: confident learning, from what a network says of images that it did not learn from.

Source: Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of
Artificial Intelligence Research 70 (2021) 1373-1411, arXiv 1911.00068.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foveal.answers.label import softmax
from foveal.measure.intervals import wilson
from foveal.suspicion import Suspected
from foveal.types import Dataset, Finding, Geometry

__all__ = [
    "SUSPECT",
    "Suspects",
    "confident_thresholds",
    "find_suspects",
    "kept_probabilities",
    "suspect_findings",
    "suspected_labels",
]

SUSPECT = "label-suspect"
REMEDY = (
    "Look at the image. Where the label is wrong, correct it and train again; where it is right, leave it: hard images "
    "of a label are worth more than easy ones."
)


@dataclass(frozen=True, eq=False)
class Suspects:
    """What the probabilities make of the labels.

    Args:
        rows: (S,) those whose label looks wrong, the worst first.
        suggested: (S,) the label that they look like.
        wrong: how many labels are wrong, as estimated; too many, where the networks are often wrong themselves.
    """

    rows: np.ndarray
    suggested: np.ndarray
    wrong: float


def confident_thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(K,) for each label the mean of its probability over the images that have it (equation 2): from there on an image
    is counted as looking like it. Infinite for a label without images.

    Args:
        probabilities: (N, K).
        labels: (N,).
    """
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    own = np.bincount(labels, probabilities[np.arange(len(labels)), labels], probabilities.shape[1])
    return np.divide(own, counts, out=np.full(len(counts), np.inf), where=counts > 0)


def find_suspects(probabilities: np.ndarray, labels: np.ndarray) -> Suspects:
    """As many images of each label as the confident joint says are of another one: those whose own label is least
    likely, of which another is likelier ("prune by class", section 3.2). Ranked by the probability of their own label.

    In the joint (equation 1) an image looks like the likeliest of those labels whose threshold it reaches, and is not
    counted where it reaches none. Its rows are brought to the number of images of each label (equation 3).

    Args:
        probabilities: (N, K) out of fold: each row from a network that did not see the image.
        labels: (N,) int64, as given.
    """
    names = probabilities.shape[1]
    reached = np.where(probabilities >= confident_thresholds(probabilities, labels), probabilities, -1.0)
    like = np.where(reached.max(axis=1, initial=-1.0) >= 0, reached.argmax(axis=1), -1)
    sure = like >= 0
    joint = np.bincount(labels[sure] * names + like[sure], minlength=names * names).reshape(names, names)
    given, seen = np.bincount(labels, minlength=names), joint.sum(axis=1)
    wrong = given * (1 - np.divide(joint.diagonal(), seen, out=np.ones(names), where=seen > 0))
    own, likeliest = probabilities[np.arange(len(labels)), labels], probabilities.argmax(axis=1)
    order = np.argsort(own, kind="stable")
    order = order[likeliest[order] != labels[order]]
    place = _place(labels[order], names)  # among those of its label
    rows = order[place < np.round(wrong)[labels[order]]]
    return Suspects(rows, likeliest[rows], float(wrong.sum()))


def _place(labels: np.ndarray, names: int) -> np.ndarray:
    """(n,) how many of the same label come before each."""
    place = np.empty(len(labels), np.int64)
    for k in range(names):
        mine = labels == k
        place[mine] = np.arange(mine.sum())
    return place


def suspect_findings(
    found: Suspects, probabilities: np.ndarray, labels: np.ndarray, names: Sequence[str], files: Sequence[str]
) -> tuple[Finding, ...]:
    """One a suspect, the worst first. `facts` has its `score` (how unlikely its own label is, 0 to 1), and the `given`
    and the `suggested` label."""
    findings = []
    for row, like in zip(map(int, found.rows), map(int, found.suggested)):
        own, other = (float(probabilities[row, k]) for k in (labels[row], like))
        given, suggested = names[int(labels[row])], names[like]
        message = f"labelled {given}, looks like {suggested} (probability {other:.2f}, of {given} {own:.2f})"
        facts = {"score": round(1 - own, 4), "given": given, "suggested": suggested}
        findings.append(Finding(SUSPECT, (files[row],), message, REMEDY, facts))
    return tuple(findings)


def kept_probabilities(outputs: np.ndarray, geometries: Sequence[Geometry] = ()) -> list[np.ndarray]:
    """Raw outputs (B, K) to the probabilities of each image, (K,)."""
    return list(softmax(outputs))


def suspected_labels(kept: Sequence[np.ndarray], dataset: Dataset, seed: int) -> Suspected:
    """What looks wrong of a dataset's labels, one an image, from the probabilities of all images."""
    found, labels = np.stack(kept), dataset.targets.astype(np.int64)
    suspects = find_suspects(found, labels)
    findings = suspect_findings(suspects, found, labels, dataset.labels, dataset.files)
    accuracy = wilson(int((found.argmax(axis=1) == labels).sum()), len(labels))
    return Suspected(findings, len(labels), suspects.wrong, "accuracy", accuracy)
