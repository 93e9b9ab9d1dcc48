"""Which labels look wrong: confident learning, from what a network says of images that it did not learn from.

Source: Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of
Artificial Intelligence Research 70 (2021) 1373-1411, arXiv 1911.00068.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foveal.types import Finding

__all__ = ["SUSPECT", "Suspects", "confident_thresholds", "find_suspects", "suspect_findings"]

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
        margins: (N,) of every image, how far the probability of the likeliest other label is above that of its own, -1
            to 1.
        wrong: how many labels are wrong, as estimated: not all of them can be told which.
    """

    rows: np.ndarray
    suggested: np.ndarray
    margins: np.ndarray
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
    """The images off the diagonal of the confident joint (equation 1), ranked by margin.

    An image looks like the likeliest of those labels whose threshold it reaches; like none, where it reaches no
    threshold. How many labels are wrong is estimated from the joint, each row brought to the number of images of its
    label (equation 3).

    Args:
        probabilities: (N, K) out of fold: each row from a network that did not see the image.
        labels: (N,) int64, as given.
    """
    names = probabilities.shape[1]
    reached = np.where(probabilities >= confident_thresholds(probabilities, labels), probabilities, -1.0)
    like = np.where(reached.max(axis=1, initial=-1.0) >= 0, reached.argmax(axis=1), -1)
    margins = _margins(probabilities, labels)
    found = np.flatnonzero((like >= 0) & (like != labels))
    depth = probabilities[found, like[found]] - probabilities[found, labels[found]]
    order = np.argsort(-depth, kind="stable")
    sure = like >= 0
    joint = np.bincount(labels[sure] * names + like[sure], minlength=names * names).reshape(names, names)
    given, seen = np.bincount(labels, minlength=names), joint.sum(axis=1)
    share = np.divide(joint.diagonal(), seen, out=np.ones(names), where=seen > 0)
    return Suspects(found[order], like[found[order]], margins, float((given * (1 - share)).sum()))


def _margins(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) the largest probability of another label, less that of the label."""
    rows = np.arange(len(labels))
    others = probabilities.astype(np.float64).copy()
    own = others[rows, labels].copy()
    others[rows, labels] = 0.0
    return others.max(axis=1, initial=0.0) - own


def suspect_findings(
    found: Suspects, probabilities: np.ndarray, labels: np.ndarray, names: Sequence[str], files: Sequence[str]
) -> tuple[Finding, ...]:
    """One a suspect, the worst first. `facts` has its `score` (the margin, 0 to 1), and the `given` and the `suggested`
    label."""
    findings = []
    for row, like in zip(map(int, found.rows), map(int, found.suggested)):
        own, other = (float(probabilities[row, k]) for k in (labels[row], like))
        given, suggested = names[int(labels[row])], names[like]
        message = f"labelled {given}, looks like {suggested} (probability {other:.2f}, of {given} {own:.2f})"
        facts = {"score": round(other - own, 4), "given": given, "suggested": suggested}
        findings.append(Finding(SUSPECT, (files[row],), message, REMEDY, facts))
    return tuple(findings)
