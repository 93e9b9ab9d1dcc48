"""Images in parts, each of which is to be answered for by what was learned from the others."""

import numpy as np

__all__ = ["folds_of"]


def folds_of(strata: np.ndarray, groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(N,) the part of each image, 0 to `count` - 1: of equal size, with the same share of each stratum, as far as
    groups, which are not parted, allow.

    Args:
        strata: (N,) int64; a group has that of its first image.
        groups: (N,) int64.
    """
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))
    order = order[np.argsort(strata[first[order]], kind="stable")]
    part = np.empty(len(first), np.int64)
    part[order] = np.arange(len(first)) % count
    return part[group]
