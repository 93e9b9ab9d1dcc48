"""How well a few numbers of each image tell a label, several labels, or values: a linear regression of each kind."""

from statistics import NormalDist

import numpy as np

from foveal.measure.intervals import LEVEL, wilson
from foveal.measure.logistic import fit_logistic, logits_of
from foveal.measure.ridge import fit_ridge, values_of
from foveal.measure.told import told_labels, told_values
from foveal.measured import Score
from foveal.suspicion import Telling

__all__ = ["LABEL", "LABELS", "VALUES"]

FEWEST = 10  # images with a label, and without, below which it is left out
HALF = 0.5
BY_DEFINITION = "definition"
# Of a yes and no that are equally frequent and told by one normal score, where 75% are right: half of the way from 50%.
HALF_BY_RANK = 2 * NormalDist().cdf(2**0.5 * NormalDist().inv_cdf(0.75)) - 1


def _said_labels(learned: np.ndarray, targets: np.ndarray, held: np.ndarray) -> np.ndarray:
    """(H,) numbers of labels; -1 where there is nothing to learn from."""
    known, numbers = np.unique(targets, return_inverse=True)
    if len(known) < 2:
        return np.full(len(held), known[0] if len(known) else -1)
    weights = fit_logistic(learned, numbers, len(known))
    return known[logits_of(weights, held).argmax(axis=1)]


def _right(outputs: np.ndarray, targets: np.ndarray, seed: int) -> tuple[Score, tuple[()]]:
    return wilson(int((outputs == targets).sum()), len(targets)), ()


def _most_frequent(targets: np.ndarray) -> Score:
    return wilson(int(np.unique(targets, return_counts=True)[1].max()), len(targets))


def _said_yes(learned: np.ndarray, targets: np.ndarray, held: np.ndarray) -> np.ndarray:
    """(H, K) logits, a regression a label, of the images of which it is known; 0 where those are all alike."""
    outputs = np.zeros((len(held), targets.shape[1]))
    for k, cells in enumerate(targets.T):
        rows = np.flatnonzero(~np.isnan(cells))
        yes = cells[rows] == 1
        if 0 < yes.sum() < len(yes):
            weights = fit_logistic(learned[rows], yes.astype(np.int64), 2)
            no, logit = logits_of(weights, held).T
            outputs[:, k] = logit - no
    return outputs


def _said_values(learned: np.ndarray, targets: np.ndarray, held: np.ndarray) -> np.ndarray:
    """(H, K)."""
    if not len(learned):
        return np.zeros((len(held), targets.shape[1]))
    return values_of(fit_ridge(learned, targets), held)


def _constantly(value: float, targets: np.ndarray) -> Score:
    return Score(value, value, value, LEVEL, len(targets), BY_DEFINITION)


LABEL = Telling(
    measured="accuracy",
    it="the label",
    one="one class",
    constant="always saying the most frequent label",
    much=HALF,
    shown=lambda value: f"{100 * value:.0f}% right",
    outputs=_said_labels,
    score=_right,
    nothing=_most_frequent,
)
LABELS = Telling(
    measured="macro_auroc",
    it="the labels",
    one="a label",
    constant="the same answer for all images",
    much=HALF_BY_RANK,
    shown=lambda value: f"AUROC {value:.2f}",
    outputs=_said_yes,
    score=lambda outputs, targets, seed: told_labels(outputs, targets, FEWEST),
    nothing=lambda targets: _constantly(0.5, targets),
)
VALUES = Telling(
    measured="r2",
    it="the value",
    one="one range of values",
    constant="always saying the mean",
    much=HALF,
    shown=lambda value: f"R² {value:.2f}",
    outputs=_said_values,
    score=told_values,
    nothing=lambda targets: _constantly(0.0, targets),
)
