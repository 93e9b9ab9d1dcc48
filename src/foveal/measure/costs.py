"""What the answers cost where costs decide, beside the answers that take no notice of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from foveal.answers.costs import cheapest, cost_matrix, label_costs
from foveal.answers.deciding import tempered
from foveal.answers.label import softmax
from foveal.answers.labels import THRESHOLD
from foveal.measure.differences import drawn_difference
from foveal.measure.groups import Groups
from foveal.measure.intervals import RESAMPLES, bounded, counted, resampled, share_among, share_of
from foveal.measured import Score
from foveal.trust import Costs

__all__ = ["costs_of_labels", "costs_of_sets", "mean_cost"]


def costs_of_labels(
    outputs: np.ndarray,
    truth: np.ndarray,
    labels: Sequence[str],
    settled: Mapping[str, Any],
    seed: int,
    groups: Groups = None,
) -> Costs | None:
    """Of logits (N, K), N at least 1, against the numbers of the true labels (N,). None where costs do not decide."""
    if "costs" not in settled:
        return None
    costs = settled["costs"]
    matrix, scaled = cost_matrix(costs["mistakes"], labels), tempered(outputs, settled)
    said, silent = cheapest(scaled, softmax(scaled), labels, costs)
    abstain, constant, n = costs.get("abstain"), costs["constant"], len(truth)
    own = np.where(silent, abstain or 0.0, matrix[truth, said])
    plain = matrix[truth, scaled.argmax(axis=1)]
    always = np.full(n, abstain) if constant is None else matrix[truth, list(labels).index(constant)]
    found = _costs(own, plain, always, max(float(matrix.max()), abstain or 0.0), costs, seed, groups)
    if abstain is None:
        return found
    return replace(
        found, answered=share_of(~silent, groups), error_answered=share_among(~silent, said != truth, groups)
    )


def costs_of_sets(
    probability: np.ndarray,
    said: np.ndarray,
    truth: np.ndarray,
    labels: Sequence[str],
    settled: Mapping[str, Any],
    seed: int,
    groups: Groups = None,
) -> Costs | None:
    """Of several labels at once; the costs of an image are the sum of those of its known labels.

    Args:
        probability: (N, K), N at least 1.
        said: (N, K) whether the label was given.
        truth: (N, K) 1, 0 and NaN (not known).
    """
    if "costs" not in settled:
        return None
    costs = settled["costs"]
    missed, false = label_costs(costs["mistakes"], labels)
    always = np.isin(list(labels), costs["constant"])

    def cost(told: np.ndarray) -> np.ndarray:
        return ((truth == 1) & ~told) @ missed + ((truth == 0) & told) @ false

    most = float(np.maximum(missed, false).sum())
    return _costs(cost(said), cost(probability >= THRESHOLD), cost(always[None]), most, costs, seed, groups)


def _costs(
    own: np.ndarray,
    plain: np.ndarray,
    always: np.ndarray,
    most: float,
    costs: Mapping[str, Any],
    seed: int,
    groups: Groups,
) -> Costs:
    """
    Args:
        own, plain, always: (N,) what each answer costs.
        most: that an image can cost.
    """
    constant = costs["constant"]
    exact = constant is None
    price = float(always[0])
    flat = Score(price, price, price, 0.95, len(always), "exact")
    return Costs(
        mistakes=tuple(costs["mistakes"]),
        abstain=costs.get("abstain"),
        constant=tuple([constant] if isinstance(constant, str) else constant or ()),
        silent=exact,
        mean=mean_cost(own, most, seed, groups),
        plain=mean_cost(plain, most, seed, groups),
        always=flat if exact else mean_cost(always, most, seed, groups),
        saved=_saved(plain, own, most, seed, groups),
        saved_always=_saved(always, own, most, seed, groups),
    )


def mean_cost(costs: np.ndarray, most: float, seed: int, groups: Groups = None) -> Score:
    """The mean with its bootstrap interval, on the scale of a share of the most that an image can cost. Where no
    resample differs, Wilson's interval of that share: the bootstrap's would have no width.

    Args:
        costs: (N,) from 0 to `most`, N at least 1.
    """
    if most <= 0:
        return Score(0.0, 0.0, 0.0, 0.95, len(costs), "exact")
    values, outcomes = np.unique(costs / most, return_inverse=True)
    if len(values) == 1:
        alone = len(costs) if groups is None else int(groups.max()) + 1
        share = bounded(float(values[0]), np.zeros(0), len(costs), alone)
    else:
        share = counted(
            outcomes, len(values), lambda cells: np.minimum(cells @ values / cells.sum(axis=1), 1.0), seed, groups
        )
    value, low, high = (bound * most for bound in (share.value, share.low, share.high))
    return replace(share, value=float(costs.mean()), low=min(low, value), high=max(high, value))


def _saved(others: np.ndarray, own: np.ndarray, most: float, seed: int, groups: Groups) -> Score:
    """The mean of `others` less that of `own`, of the same images."""
    n, scale = len(own), most or 1.0
    values, counts = np.unique((others - own) / scale, return_counts=True)
    if groups is None:
        drawn = np.random.default_rng(seed).multinomial(n, counts / n, RESAMPLES) @ values / n
    else:
        off = (others - own) / scale
        drawn = np.concatenate([off @ weights / weights.sum(axis=0) for weights in resampled(n, seed, groups=groups)])
    share, _ = drawn_difference(float((others - own).mean()) / scale, drawn, n, groups)
    return replace(share, value=share.value * scale, low=share.low * scale, high=share.high * scale)
