"""What becomes of the error when a network may stay silent, and what became of an operating point."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from foveal.measure.groups import Groups
from foveal.measure.intervals import share_among, share_of
from foveal.measured import Score
from foveal.trust import Operating, Selective

__all__ = ["PARTS", "operating_points", "selective"]

PARTS = 100
ANSWERED = 0.8


def selective(
    confidence: np.ndarray, right: np.ndarray, settled: Mapping[str, Any], groups: Groups = None
) -> Selective:
    """The risk–coverage curve, and what the threshold of `settled` makes of the test images, if there is one. Images
    of the same confidence count with the mean of their errors, whatever their order.

    Source: El-Yaniv and Wiener, "On the foundations of noise-free selective classification", JMLR 11 (2010) 1605-1641;
    Geifman and El-Yaniv, NeurIPS 2017, arXiv 1705.08500.

    Args:
        confidence: (N,) probability of the answer, N at least 1.
        right: (N,) whether it is right.
        groups: (N,) numbers.
    """
    order = np.argsort(-confidence, kind="stable")
    falling, wrong = confidence[order], (~right[order]).astype(np.float64)
    _, which, counts = np.unique(-falling, return_inverse=True, return_counts=True)
    errors = (np.bincount(which, wrong) / counts)[which]
    summed = np.append(0.0, np.cumsum(errors))
    falling_groups = None if groups is None else groups[order]
    n = len(falling)
    answered = np.maximum(1, np.round(np.arange(1, PARTS + 1) * n / PARTS).astype(np.int64))
    some = max(1, round(ANSWERED * n))
    found = Selective(
        errors=tuple((summed[answered] / answered).round(6).tolist()),
        error=share_of(errors, falling_groups),
        error_at_80=share_of(errors[:some], None if falling_groups is None else falling_groups[:some]),
    )
    if "abstain" not in settled:
        return found
    at = settled["abstain"]
    given = confidence >= at["confidence"]
    return Selective(
        found.errors,
        found.error,
        found.error_at_80,
        threshold=at["confidence"],
        wanted={name: at[name] for name in ("coverage", "risk") if name in at},
        met=at["met"],
        answered=share_of(given, groups),
        error_answered=share_among(given, ~right, groups),
    )


def operating_points(settled: Mapping[str, Any], scores: Callable[[str], Mapping[str, Score]]) -> tuple[Operating, ...]:
    """
    Args:
        scores: of a label: its sensitivity, specificity and precision on the test images, what of them is defined.
    """
    return tuple(
        Operating(at["label"], at["quantity"], at["value"], at["threshold"], at["met"], dict(scores(at["label"])))
        for at in settled.get("at", ())
    )
